import { z } from 'zod'
import { whenFieldsAreRight } from '@/libs/api-utils/cross-field'
import { decimalInput, rolloverInput } from '@/libs/api-utils/decimal-input'
import { numberInQuery, pageQuery } from '@/libs/api-utils/page'
import { customerNameInput, featureKeyInput, nameInput, slugInput } from '@/libs/api-utils/text-input'
import { behaviour, behaviourInput, customerRef, quantity } from '@/libs/metering/fields'

const slug = slugInput()
const limit = decimalInput('zero')
const rollover = rolloverInput.meta({
  description:
    'What is left at a reset carries over as min(max, max(left, min)); a number is max. Only for SUM and COUNT.',
})
const NO_ROLLOVER = { min: '0', max: '0' }
const cap = z.union([
  limit.transform((value) => ({
    limit: value,
    behaviour: 'reject' as const,
    period: 'month' as const,
    rollover: NO_ROLLOVER,
    preserve_overage: false,
  })),
  z.strictObject({
    limit,
    behaviour: behaviourInput.default('reject').meta({
      description: 'reject (hard) refuses, overflow (soft) counts as overage, cap counts the part that is left',
    }),
    period: z.enum(['day', 'month']).default('month'),
    rollover: rollover.nullish().transform((value) => value ?? NO_ROLLOVER),
    preserve_overage: z
      .boolean()
      .default(false)
      .meta({ description: 'Overage is used from the allowance of the next period. Only for SUM and COUNT.' }),
  }),
])
const usageCaps = z
  .record(slug, cap)
  .refine((caps) => Object.keys(caps).length <= 100, 'may have at most 100 caps')
  .meta({
    description: 'By slug of a meter; one that does not exist is made, summing',
    example: { api_calls: 100_000 },
  })

const featureKey = featureKeyInput()
const feature = z.union([
  featureKey.transform((key) => ({ key, config: null as unknown })),
  z.strictObject({
    key: featureKey,
    config: z
      .unknown()
      .default(null)
      .refine((value) => JSON.stringify(value).length <= 8_192, 'may have at most 8,192 characters as JSON'),
  }),
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
  .meta({ description: 'ISO 4217', example: 'EUR' })
const interval = z.enum(['month', 'year'])
const price = z.number().min(0).max(1e10).meta({ description: 'In whole units of the currency', example: 49.99 })
/** The most a tier can cost, in the smallest units of its currency. */
export const MOST_PRICE_MINOR = 1e12
const priceMinor = z
  .int()
  .min(0)
  .max(MOST_PRICE_MINOR)
  .meta({ description: 'In the smallest units of the currency', example: 4999 })

function isCurrency(code: string): boolean {
  return Intl.supportedValuesOf('currency').includes(code)
}

const onePrice = (tier: { price?: unknown; price_minor?: unknown }) =>
  tier.price === undefined || tier.price_minor === undefined
const oneInterval = (tier: { interval?: unknown; billing_interval?: unknown }) =>
  tier.interval === undefined || tier.billing_interval === undefined

const fields = {
  name: nameInput(120).meta({ example: 'Professional' }),
  description: z.string().trim().max(2_000),
  price,
  price_minor: priceMinor,
  currency,
  billing_interval: interval,
  interval: interval.meta({ description: 'The same as billing_interval' }),
  is_default: z.boolean().meta({ description: 'Holds for customers without a subscription; at most one tier' }),
  self_service: z.boolean().meta({ description: 'Customers may take it by themselves in the portal' }),
  usage_caps: usageCaps,
  feature_entitlements: featureEntitlements,
}

export const tierInput = z
  .strictObject({ ...fields, slug: slug.meta({ description: 'Made from the name when left out; never changes' }) })
  .partial()
  .required({ name: true })
  .refine(onePrice, { path: ['price'], error: 'excludes price_minor', ...whenFieldsAreRight })
  .refine(oneInterval, {
    path: ['interval'],
    error: 'is the same as billing_interval; send one',
    ...whenFieldsAreRight,
  })
  .meta({ id: 'TierInput' })

const patchFields = z.strictObject({ ...fields, archived: z.boolean() }).partial()
const MOVE = 'Moves every subscription to the new version at once; without it subscriptions keep the version they have'
const IF_VERSION =
  'The version the change was written for: 409 `changed_meanwhile`, and nothing changes, when there is a newer one'

export const tierPatch = patchFields
  .extend({
    move: z.boolean().optional().meta({ description: MOVE }),
    if_version: z.int().min(1).max(2_147_483_647).optional().meta({ description: IF_VERSION }),
  })
  .refine(onePrice, { path: ['price'], error: 'excludes price_minor', ...whenFieldsAreRight })
  .refine(oneInterval, {
    path: ['interval'],
    error: 'is the same as billing_interval; send one',
    ...whenFieldsAreRight,
  })
  .meta({
    id: 'TierPatch',
    description:
      'usage_caps and feature_entitlements replace what is there. Another price, caps or features make a new version of the tier.',
  })

export const tierMove = z
  .strictObject({
    customers: z
      .array(customerNameInput())
      .min(1)
      .max(1_000)
      .optional()
      .meta({ description: 'Ids or external ids; all of the tier when left out' }),
    from_version: z.int().min(1).optional().meta({ description: 'Only those who have this version' }),
  })
  .meta({ id: 'TierMove' })

export const tierQuery = z.strictObject({
  version: numberInQuery(z.number().int().min(1).max(2_147_483_647))
    .optional()
    .meta({ description: 'The newest by default' }),
})

const capRead = z.object({
  limit: quantity,
  behaviour,
  period: z.enum(['day', 'month']),
  rollover: z.object({ min: quantity, max: quantity }).nullable(),
  preserve_overage: z.boolean(),
})
const versionFields = {
  version: z.number().int().meta({ description: 'Version that price, caps and features are of' }),
  price: z.number(),
  price_minor: z.number().int(),
  currency: z.string(),
  billing_interval: interval,
  usage_caps: z.record(z.string(), capRead),
  feature_entitlements: z.array(z.object({ key: z.string(), config: z.unknown() })),
}
export const tier = z
  .object({
    id: z.uuid(),
    slug: z.string(),
    name: z.string(),
    description: z.string(),
    ...versionFields,
    newest_version: z.number().int().meta({ description: 'What new subscriptions get' }),
    is_default: z.boolean(),
    self_service: z.boolean(),
    customers: z.number().int().meta({ description: 'Customers who are subscribed to it' }),
    customers_by_default: z.number().int().meta({
      description: 'Customers without a subscription, for whom it holds as the default; 0 for every other tier',
    }),
    customers_behind: z
      .number()
      .int()
      .meta({ description: 'Of those who are subscribed, the ones who have an older version' }),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
    archived_at: z.iso.datetime().nullable(),
    created_meters: z
      .array(z.string())
      .optional()
      .meta({ description: 'Meters that were made because usage_caps named them' }),
    moved: z.number().int().optional().meta({ description: 'Subscriptions that a move took to the new version' }),
  })
  .meta({ id: 'Tier' })

export const tierVersion = z
  .object({
    ...versionFields,
    customers: z.number().int().meta({ description: 'Customers whose subscription is to this version' }),
    created_at: z.iso.datetime(),
  })
  .meta({ id: 'TierVersion' })

export const tierMoved = z
  .object({ tier_id: z.uuid(), version: z.number().int(), moved: z.number().int() })
  .meta({ id: 'TierMoved' })

const standing = z.object({
  customer: customerRef,
  meter: z.string(),
  name: z.string(),
  unit: z.string(),
  version: z.number().int().meta({ description: 'Version the customer has now' }),
  used: quantity.meta({ description: 'In the present period of the new cap' }),
  limit_now: quantity.nullable(),
  limit_then: quantity.nullable(),
  over_now: z.boolean(),
})
export const tierPreview = z
  .object({
    new_version: z.boolean().meta({ description: 'Whether the change makes a new version' }),
    customers: z.number().int().meta({ description: 'Customers who have the tier, as the default too' }),
    by_default: z
      .number()
      .int()
      .meta({ description: 'Those of them who have it as the default: a new version holds for them at once' }),
    over_count: z.number().int().meta({ description: 'Customers who would be over a cap' }),
    newly_over_count: z.number().int().meta({ description: 'Those of them who are over none of these caps now' }),
    newly_within_count: z.number().int().meta({ description: 'Customers who are over a cap now and would not be' }),
    over: z.array(standing).meta({ description: 'Who would be over, the highest share of a cap first' }),
    within: z.array(standing).meta({ description: 'Who would no longer be over, at most as many as one page' }),
    next_cursor: z.string().nullable(),
  })
  .meta({ id: 'TierPreview' })

export const tierListQuery = pageQuery.extend({
  q: z.string().trim().max(120).optional().meta({ description: 'In the name or the slug' }),
  archived: z.enum(['true', 'false', 'all']).default('false').meta({ description: 'true: only archived ones' }),
})

export type TierInput = z.infer<typeof tierInput>
export type TierPatch = z.infer<typeof tierPatch>
export type TierMove = z.infer<typeof tierMove>
export type TierListQuery = z.infer<typeof tierListQuery>
