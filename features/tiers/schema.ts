import { z } from 'zod'
import { pageQuery } from '@/libs/api-utils/page'

const SLUG = /^[a-z0-9]+([_-][a-z0-9]+)*$/
const UUID_LIKE = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const slug = z
  .string()
  .max(64)
  .regex(SLUG, 'must be lower-case letters and digits, with single - or _ between')
  .refine((text) => !UUID_LIKE.test(text), 'must not look like an id')

const limit = z.union([
  z.number().min(0).lt(1e30),
  z.string().regex(/^\d{1,30}(\.\d{1,20})?$/, 'must be a decimal of zero or more'),
])
const behaviour = z
  .enum(['reject', 'overflow', 'hard', 'soft'])
  .transform((name) => (name === 'hard' ? 'reject' : name === 'soft' ? 'overflow' : name))
const cap = z.union([
  limit.transform((value) => ({ limit: value, behaviour: 'reject' as const, period: 'month' as const })),
  z.strictObject({
    limit,
    behaviour: behaviour
      .default('reject')
      .meta({ description: 'reject (hard) refuses, overflow (soft) counts as overage' }),
    period: z.enum(['day', 'month']).default('month'),
  }),
])
const usageCaps = z
  .record(slug, cap)
  .refine((caps) => Object.keys(caps).length <= 100, 'at most 100 caps')
  .meta({
    description: 'By slug of a meter; one that does not exist is made, summing',
    example: { api_calls: 100_000 },
  })

const featureKey = z
  .string()
  .max(64)
  .regex(/^[a-z0-9]+([._-][a-z0-9]+)*$/, 'must be lower-case letters and digits, with single . - or _ between')
const feature = z.union([
  featureKey.transform((key) => ({ key, config: null as unknown })),
  z.strictObject({ key: featureKey, config: z.unknown().default(null) }),
])
const featureEntitlements = z
  .array(feature)
  .max(200)
  .refine((list) => new Set(list.map(({ key }) => key)).size === list.length, 'names a feature twice')
  .meta({ example: ['custom_domain', 'api_access'] })

const currency = z
  .string()
  .transform((code) => code.toUpperCase())
  .refine(isCurrency, 'must be an ISO 4217 code')
const interval = z.enum(['month', 'year'])
const price = z.number().min(0).max(1e10).meta({ description: 'In whole units of the currency', example: 49.99 })
const priceMinor = z
  .int()
  .min(0)
  .max(1e12)
  .meta({ description: 'In the smallest units of the currency', example: 4999 })

function isCurrency(code: string): boolean {
  return Intl.supportedValuesOf('currency').includes(code)
}

const onePrice = (tier: { price?: unknown; price_minor?: unknown }) =>
  tier.price === undefined || tier.price_minor === undefined
const oneInterval = (tier: { interval?: unknown; billing_interval?: unknown }) =>
  tier.interval === undefined || tier.billing_interval === undefined

const fields = {
  name: z.string().trim().min(1).max(120).meta({ example: 'Professional' }),
  description: z.string().trim().max(2_000),
  price,
  price_minor: priceMinor,
  currency,
  billing_interval: interval,
  interval: interval.meta({ description: 'The same as billing_interval' }),
  is_default: z.boolean().meta({ description: 'Holds for customers without a subscription; at most one tier' }),
  usage_caps: usageCaps,
  feature_entitlements: featureEntitlements,
}

export const tierInput = z
  .strictObject({ ...fields, slug: slug.meta({ description: 'Made from the name when left out; never changes' }) })
  .partial()
  .required({ name: true })
  .refine(onePrice, { path: ['price'], error: 'excludes price_minor' })
  .refine(oneInterval, { path: ['interval'], error: 'is the same as billing_interval; send one' })
  .meta({ id: 'TierInput' })

export const tierPatch = z
  .strictObject({ ...fields, archived: z.boolean() })
  .partial()
  .refine(onePrice, { path: ['price'], error: 'excludes price_minor' })
  .refine(oneInterval, { path: ['interval'], error: 'is the same as billing_interval; send one' })
  .meta({ id: 'TierPatch', description: 'usage_caps and feature_entitlements replace what is there' })

const quantity = z.union([z.number(), z.string()])
export const tier = z
  .object({
    id: z.uuid(),
    slug: z.string(),
    name: z.string(),
    description: z.string(),
    price: z.number(),
    price_minor: z.number().int(),
    currency: z.string(),
    billing_interval: interval,
    is_default: z.boolean(),
    usage_caps: z.record(
      z.string(),
      z.object({ limit: quantity, behaviour: z.enum(['reject', 'overflow']), period: z.enum(['day', 'month']) }),
    ),
    feature_entitlements: z.array(z.object({ key: z.string(), config: z.unknown() })),
    customers: z.number().int().meta({ description: 'Customers who are subscribed to it' }),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
    archived_at: z.iso.datetime().nullable(),
    created_meters: z
      .array(z.string())
      .optional()
      .meta({ description: 'Meters that were made because usage_caps named them' }),
  })
  .meta({ id: 'Tier' })

export const tierListQuery = pageQuery.extend({
  q: z.string().trim().max(120).optional(),
  archived: z.enum(['true', 'false', 'all']).default('false').meta({ description: 'true: only archived ones' }),
})

export type TierInput = z.infer<typeof tierInput>
export type TierPatch = z.infer<typeof tierPatch>
export type TierListQuery = z.infer<typeof tierListQuery>
