import { z } from 'zod'
import { zonedMoment } from '@/libs/api-utils/moment'
import { pageQuery } from '@/libs/api-utils/page'
import { customerNameInput, givenNameInput, lineInput } from '@/libs/api-utils/text-input'
import { checkCode } from '@/libs/metering/fields'

const MOST = Number.MAX_SAFE_INTEGER
const LONGEST_WINDOW = 31_622_400_000
/** What a rotated key may still live, in seconds. */
export const GRACES = { '0': 0, '1m': 60, '15m': 900, '1h': 3_600, '6h': 21_600, '24h': 86_400 } as const

const word = givenNameInput(255)
const words = z
  .array(word.regex(/^[^\s()]+$/, 'has no spaces and no parentheses'))
  .max(200)
  .transform((list) => [...new Set(list)])
const credits = z.number().int().min(0).max(MOST)

const keyRefill = z
  .strictObject({
    amount: z.number().int().min(1).max(MOST),
    interval: z.enum(['daily', 'monthly']),
    refill_day: z
      .number()
      .int()
      .min(1)
      .max(31)
      .optional()
      .meta({ description: 'Day of the month; the first when left out' }),
  })
  .refine(({ interval, refill_day }) => interval === 'monthly' || refill_day === undefined, {
    path: ['refill_day'],
    message: 'belongs to monthly refills',
  })
  .meta({
    id: 'CustomerKeyRefill',
    description: 'At midnight UTC the credits are raised to `amount`, where fewer are left',
  })

const keyLimit = z
  .strictObject({
    name: word,
    limit: z.number().int().min(0).max(1_000_000_000),
    duration_ms: z.number().int().min(1).max(LONGEST_WINDOW),
    auto_apply: z
      .boolean()
      .default(false)
      .meta({ description: 'Whether every verification counts, not only those that name it' }),
  })
  .meta({ id: 'CustomerKeyLimit' })

const limits = z
  .array(keyLimit)
  .max(50)
  .refine((list) => new Set(list.map(({ name }) => name)).size === list.length, 'has two limits of one name')

const fields = {
  name: lineInput(255),
  api_id: word.nullable(),
  external_id: customerNameInput()
    .nullable()
    .meta({ description: 'The customer it belongs to: the `user_id` of usage calls' }),
  meta: z
    .record(z.string(), z.unknown())
    .refine((value) => JSON.stringify(value).length <= 10_240, 'is longer than 10 KB')
    .meta({ description: 'Yours; given back by every verification' }),
  permissions: words.meta({ description: 'Your own words; `docs.*` holds everything below `docs.`' }),
  roles: words,
  ratelimits: limits,
  enabled: z.boolean(),
  expires_at: zonedMoment.nullable(),
  remaining: credits
    .nullable()
    .meta({ description: 'Credits: each valid verification takes its cost. null: unlimited' }),
  refill: keyRefill.nullable(),
}

const refillNeedsCredits = {
  check: ({ refill, remaining }: { refill?: unknown; remaining?: number | null | undefined }) =>
    !refill || remaining !== null,
  params: { path: ['refill'], message: 'needs credits that are limited' },
}

export const customerKeyInput = z
  .strictObject({
    prefix: z
      .string()
      .regex(/^[a-zA-Z0-9][a-zA-Z0-9_]{0,15}$/, 'is 1 to 16 letters, digits and underscores')
      .refine((prefix) => !/^hf(?:_|$)/i.test(prefix), 'is taken: our own keys begin with hf_')
      .default('key'),
    name: fields.name.default(''),
    api_id: fields.api_id.default(null),
    external_id: fields.external_id.default(null),
    meta: fields.meta.default({}),
    permissions: fields.permissions.default([]),
    roles: fields.roles.default([]),
    ratelimits: fields.ratelimits.default([]),
    enabled: fields.enabled.default(true),
    expires_at: fields.expires_at.default(null),
    remaining: fields.remaining.default(null),
    refill: fields.refill.default(null),
  })
  .refine(refillNeedsCredits.check, refillNeedsCredits.params)
  .meta({ id: 'CustomerKeyInput' })

export const customerKeyPatch = z
  .strictObject(fields)
  .partial()
  .refine(refillNeedsCredits.check, refillNeedsCredits.params)
  .meta({ id: 'CustomerKeyPatch' })

export const customerKey = z
  .object({
    id: z.uuid(),
    prefix: z.string().meta({ example: 'acme_3fQ8' }),
    last_four: z.string(),
    name: z.string(),
    api_id: z.string().nullable(),
    external_id: z.string().nullable(),
    customer_id: z.uuid().nullable().meta({ description: 'The customer of this external id, where there is one' }),
    meta: z.record(z.string(), z.unknown()),
    permissions: z.array(z.string()),
    roles: z.array(z.string()),
    ratelimits: z.array(keyLimit),
    enabled: z.boolean(),
    remaining: z.number().nullable(),
    refill: keyRefill.nullable(),
    succeeded_by: z
      .uuid()
      .nullable()
      .meta({ description: 'The key it was rotated to, whose credits and limits it shares' }),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
    expires_at: z.iso.datetime().nullable(),
    last_used_at: z.iso.datetime().nullable().meta({ description: 'Written at most once a minute' }),
    revoked_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'CustomerKey' })

export const newCustomerKey = customerKey
  .extend({ key: z.string().meta({ description: 'The key itself: shown now and never again' }) })
  .meta({ id: 'NewCustomerKey' })

export const customerKeyListQuery = pageQuery.extend({
  status: z.enum(['active', 'disabled', 'expired', 'revoked']).optional().meta({ description: 'All when left out' }),
  external_id: customerNameInput().optional().meta({ description: 'Keys of one customer' }),
  api_id: word.optional().meta({ description: 'Keys of one API' }),
  q: z.string().trim().max(255).optional().meta({ description: 'In the name or the external id' }),
})

export const rotationInput = z
  .strictObject({
    grace: z
      .enum(['0', '1m', '15m', '1h', '6h', '24h'])
      .default('0')
      .meta({ description: 'How long the old key still works; never past its own expiry' }),
  })
  .meta({ id: 'KeyRotationInput' })

export const creditsInput = z
  .strictObject({
    operation: z.enum(['set', 'increment', 'decrement']),
    value: credits.nullable().default(null).meta({ description: 'null with `set`: unlimited from now on' }),
  })
  .refine(({ operation, value }) => operation === 'set' || value !== null, {
    path: ['value'],
    message: 'is needed to increment or decrement',
  })
  .meta({ id: 'CustomerKeyCreditsInput' })

export const verifyInput = z
  .strictObject({
    key: z.string().min(1).max(512),
    permissions: z
      .string()
      .max(1_000)
      .optional()
      .meta({ description: 'What it must hold', example: 'docs.read AND (docs.write OR admin)' }),
    credits: z.strictObject({ cost: z.number().int().min(0).max(1_000_000_000) }).optional(),
    ratelimits: z
      .array(
        z.strictObject({
          name: word,
          cost: z.number().int().min(0).max(1_000_000_000).default(1),
          limit: z.number().int().min(0).max(1_000_000_000).optional(),
          duration_ms: z.number().int().min(1).max(LONGEST_WINDOW).optional(),
        }),
      )
      .max(50)
      .default([]),
    tags: z.array(z.string().max(512)).max(50).optional().meta({ description: 'Accepted, and kept nowhere' }),
  })
  .meta({ id: 'VerifyCustomerKeyInput' })

export const verification = z
  .object({
    valid: z.boolean(),
    code: checkCode,
    id: z.uuid().optional().meta({ description: 'Of the key; absent when there is none' }),
    name: z.string().optional(),
    external_id: z.string().nullable().optional(),
    customer_id: z.uuid().nullable().optional(),
    meta: z.record(z.string(), z.unknown()).optional(),
    permissions: z.array(z.string()).optional(),
    roles: z.array(z.string()).optional(),
    enabled: z.boolean().optional(),
    expires_at: z.iso.datetime().nullable().optional(),
    remaining: z.number().nullable().optional().meta({ description: 'Credits left after this call; null: unlimited' }),
    ratelimits: z
      .array(
        z.object({
          name: z.string(),
          limit: z.number(),
          remaining: z.number(),
          reset: z.number().meta({ description: 'Milliseconds since 1970' }),
          duration_ms: z.number(),
          exceeded: z.boolean(),
          auto_apply: z.boolean(),
        }),
      )
      .optional(),
  })
  .meta({ id: 'CustomerKeyVerification', description: 'An answer is not a status: always 200' })

export type CustomerKeyInput = z.infer<typeof customerKeyInput>
export type CustomerKeyPatch = z.infer<typeof customerKeyPatch>
export type CustomerKeyListQuery = z.infer<typeof customerKeyListQuery>
export type CreditsInput = z.infer<typeof creditsInput>
export type VerifyInput = z.infer<typeof verifyInput>
export type KeyLimit = z.infer<typeof keyLimit>
export type Grace = keyof typeof GRACES
