import { z } from 'zod'
import { creditsInput, customerKeyInput, customerKeyPatch, verifyInput } from '@/features/customer-keys/schema'
import { overrideInput, rateLimitCall, rateLimitCalls } from '@/features/rate-limits/schema'

// Bodies of the wire, after camelCase was read as snake_case; what they hold is checked by our own schemas.
const moment = z
  .number()
  .int()
  .min(0)
  .max(253_402_300_799_999)
  .transform((ms) => new Date(ms).toISOString())
const keyId = z.string().min(1).max(255)
const limit = z
  .strictObject({ name: z.string(), limit: z.number(), duration: z.number(), auto_apply: z.boolean().optional() })
  .transform(({ duration, ...rest }) => ({ ...rest, duration_ms: duration }))
const credits = z.strictObject({ remaining: z.number().nullable().optional(), refill: z.unknown().optional() })

export const createBody = z
  .strictObject({
    api_id: z.string().min(1).max(255),
    prefix: z.string().optional(),
    name: z.string().optional(),
    byte_length: z.number().int().min(16).max(255).optional(),
    external_id: z.string().nullable().optional(),
    meta: z.unknown().optional(),
    roles: z.unknown().optional(),
    permissions: z.unknown().optional(),
    expires: moment.nullable().optional(),
    credits: credits.nullable().optional(),
    ratelimits: z.array(limit).optional(),
    enabled: z.boolean().optional(),
    recoverable: z.literal(false, 'is never possible: a key is stored as a hash').optional(),
  })
  .transform(
    ({ byte_length, recoverable, expires, credits, ...rest }) =>
      ({
        ...rest,
        ...(expires === undefined ? {} : { expires_at: expires }),
        ...(credits?.remaining === undefined ? {} : { remaining: credits.remaining }),
        ...(credits?.refill === undefined ? {} : { refill: credits.refill }),
      }) as z.input<typeof customerKeyInput>,
  )
  .pipe(customerKeyInput)

export const updateBody = z
  .strictObject({
    key_id: keyId,
    name: z.string().nullable().optional(),
    external_id: z.string().nullable().optional(),
    meta: z.unknown().optional(),
    roles: z.unknown().optional(),
    permissions: z.unknown().optional(),
    expires: moment.nullable().optional(),
    credits: credits.nullable().optional(),
    ratelimits: z.array(limit).nullable().optional(),
    enabled: z.boolean().optional(),
  })
  .transform(({ expires, credits, name, meta, ratelimits, key_id, ...rest }) => ({
    key_id,
    patch: {
      ...rest,
      ...(name === undefined ? {} : { name: name ?? '' }),
      ...(meta === undefined ? {} : { meta: meta ?? {} }),
      ...(ratelimits === undefined ? {} : { ratelimits: ratelimits ?? [] }),
      ...(expires === undefined ? {} : { expires_at: expires }),
      ...(credits === null ? { remaining: null } : {}),
      ...(credits?.remaining === undefined ? {} : { remaining: credits.remaining }),
      ...(credits?.refill === undefined ? {} : { refill: credits.refill }),
    },
  }))
  .pipe(z.object({ key_id: z.string(), patch: customerKeyPatch }))

export const keyIdBody = z.strictObject({
  key_id: keyId,
  // Nothing is ever shown again; asking for it is no error.
  decrypt: z.boolean().optional(),
  // What is deleted is dead either way, and stays in the record.
  permanent: z.boolean().optional(),
})

export const creditsBody = z
  .strictObject({ key_id: keyId, value: z.unknown().optional(), operation: z.unknown() })
  .transform(({ key_id, value, operation }) => ({
    key_id,
    change: { operation, value: value ?? null } as z.input<typeof creditsInput>,
  }))
  .pipe(z.object({ key_id: z.string(), change: creditsInput }))

export const rerollBody = z.strictObject({ key_id: keyId, expiration: z.number().int().min(0).max(31_622_400_000) })
export const whoamiBody = z.strictObject({ key: z.string().min(1).max(512) })

const verifyLimit = z
  .strictObject({
    name: z.string(),
    cost: z.number().optional(),
    limit: z.number().optional(),
    duration: z.number().optional(),
  })
  .transform(({ duration, ...rest }) => (duration === undefined ? rest : { ...rest, duration_ms: duration }))

export const verifyBody = z
  .strictObject({
    key: z.string(),
    tags: z.unknown().optional(),
    permissions: z.string().optional(),
    credits: z.unknown().optional(),
    ratelimits: z.array(verifyLimit).optional(),
    migration_id: z.string().optional(),
  })
  .transform(({ migration_id, ...rest }) => rest)
  .pipe(verifyInput)

export const limitBody = rateLimitCall
export const multiLimitBody = rateLimitCalls
export const overrideBody = overrideInput
export const overrideNameBody = overrideInput.pick({ namespace: true, identifier: true })
export const overrideListBody = z.strictObject({
  namespace: z.string().min(1).max(255),
  cursor: z.string().max(1_000).optional(),
  limit: z.number().int().min(1).max(100).default(10),
})
