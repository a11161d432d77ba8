import { z } from 'zod'

/** An exact amount, as it is answered. */
export const quantity = z
  .union([z.number(), z.string()])
  .meta({ id: 'Quantity', description: 'A number, or exact decimal text where a double would lie', example: 42 })

export const behaviour = z.enum(['reject', 'overflow', 'cap'])
/** The same as it is sent, by the names caps have elsewhere as well. */
export const behaviourInput = z
  .enum([...behaviour.options, 'hard', 'soft'])
  .transform((name) => (name === 'hard' ? 'reject' : name === 'soft' ? 'overflow' : name))

export const meterRef = z.object({ id: z.uuid(), slug: z.string(), name: z.string(), unit: z.string() })
export const customerRef = z.object({ id: z.uuid(), external_id: z.string(), name: z.string().nullable() })
export const tierRef = z.object({ id: z.uuid(), slug: z.string(), name: z.string() })
export type TierRef = z.infer<typeof tierRef>

/** What a check answers, of a meter or of a key. */
export const checkCode = z.enum([
  'VALID',
  'NOT_FOUND',
  'FORBIDDEN',
  'INSUFFICIENT_PERMISSIONS',
  'USAGE_EXCEEDED',
  'RATE_LIMITED',
  'DISABLED',
  'EXPIRED',
])
export type CheckCode = z.infer<typeof checkCode>

/** What there is to go up to, where a cap was in the way. */
export const tierUpgrade = z.object({
  reason: z.string(),
  meter: z.string(),
  next_tiers: z.array(
    tierRef.extend({
      price_minor: z.number().int(),
      currency: z.string(),
      billing_interval: z.string(),
      limit: quantity.nullable(),
    }),
  ),
})
export type TierUpgrade = z.infer<typeof tierUpgrade>
