import { z } from 'zod'
import { decimalInput, rolloverInput } from '@/libs/api-utils/decimal-input'
import { zonedMoment } from '@/libs/api-utils/moment'
import { pageQuery } from '@/libs/api-utils/page'
import { featureKeyInput } from '@/libs/api-utils/text-input'
import { behaviour, behaviourInput, meterRef, quantity, tierRef } from '@/libs/metering/fields'
import { usageLine } from '@/libs/metering/usage-line'

const ref = z.string().trim().min(1).max(64)
const featureKey = featureKeyInput()
const config = z
  .unknown()
  .refine((value) => JSON.stringify(value ?? null).length <= 8_192, 'may have at most 8,192 characters as JSON')
const moment = zonedMoment.transform((text) => new Date(text))

const rollover = rolloverInput.meta({
  description: 'What is left carries over as min(max, max(left, min)); a number is max',
})

const terms = {
  config: config
    .optional()
    .meta({ description: 'What the feature means, for your own product to read; only for static ones' }),
  limit: decimalInput('zero')
    .nullish()
    .meta({ description: 'Allowance of each period; without it only grants count. Only for metered ones' }),
  behaviour: behaviourInput.optional().meta({
    description:
      'reject (hard) refuses, overflow (soft) counts as overage, cap counts the part that is left. Default reject',
  }),
  period: z.enum(['day', 'month']).optional().meta({ description: 'Default month' }),
  rollover: rollover.nullish(),
  preserve_overage: z.boolean().optional().meta({ description: 'Overage is used from the next period. Default false' }),
}

export const entitlementTerms = z.strictObject(terms).meta({ id: 'EntitlementTerms' })
export const entitlementInput = z
  .strictObject({
    kind: z.enum(['boolean', 'static', 'metered']),
    feature_key: featureKey
      .optional()
      .meta({ description: 'The slug of the meter when left out; needed for the other kinds' }),
    meter: ref.optional().meta({ description: 'Id or slug; needed for metered ones' }),
    ...terms,
  })
  .meta({ id: 'EntitlementInput' })

export const entitlement = z
  .object({
    id: z.uuid().nullable().meta({ description: 'null: it is the tier that entitles' }),
    feature_key: z.string(),
    kind: z.enum(['boolean', 'static', 'metered']),
    source: z.enum(['tier', 'customer']),
    has_access: z.boolean(),
    config: z.unknown(),
    meter: meterRef.extend({ aggregation: z.string() }).nullable(),
    limit: quantity.nullable().meta({ description: 'Allowance of each period' }),
    behaviour: behaviour.nullable(),
    period: z.enum(['day', 'month']).nullable(),
    rollover: z.object({ min: quantity, max: quantity }).nullable(),
    preserve_overage: z.boolean().nullable(),
    usage: quantity.nullable(),
    balance: quantity.nullable().meta({ description: 'What is left, grants and rollover included' }),
    overage: quantity.nullable(),
    granted: quantity.nullable().meta({ description: 'Everything available in this period' }),
    held: quantity.nullable().meta({ description: 'Reserved and not yet settled' }),
    starts_on: z.iso.date().nullable(),
    reset_at: z.iso.datetime().nullable(),
    created_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Entitlement' })

export const entitlements = z
  .object({
    customer_id: z.uuid(),
    tier: tierRef.nullable(),
    features: z.array(z.object({ key: z.string(), config: z.unknown() })),
    usage: z.array(usageLine),
    entitlements: z.array(entitlement),
  })
  .meta({ id: 'Entitlements' })

export const entitlementValue = z
  .object({
    has_access: z.boolean(),
    config: z.unknown(),
    usage: quantity.nullable(),
    balance: quantity.nullable(),
    overage: quantity.nullable(),
    granted: quantity.nullable(),
  })
  .meta({ id: 'EntitlementValue' })

export const grantInput = z
  .strictObject({
    meter: ref.meta({ description: 'Id or slug' }),
    amount: decimalInput('more').meta({ example: 1_000 }),
    priority: z
      .int()
      .min(0)
      .max(255)
      .default(1)
      .meta({ description: 'Lower ones are used first; the allowance has 1' }),
    effective_at: moment.optional().meta({ description: 'Now when left out; at most 35 days back' }),
    expires_at: moment.nullish(),
    recurrence: z.enum(['day', 'week', 'month', 'year']).nullish().meta({
      description: 'Issued anew so often, counted from effective_at in the time zone of the tenant',
    }),
    rollover: rollover.nullish().meta({
      description:
        'What is left at a reset (of a recurring one: at the next issue) carries over as min(max, max(left, min)). ' +
        'Left out: a one-time grant keeps what is left, a recurring one nothing',
    }),
    metadata: z
      .record(z.string().max(128), z.unknown())
      .refine((value) => JSON.stringify(value).length <= 8_192, 'may have at most 8,192 characters as JSON')
      .nullish(),
  })
  .meta({ id: 'GrantInput' })

export const grant = z
  .object({
    id: z.uuid(),
    meter: meterRef,
    amount: quantity,
    remaining: quantity,
    priority: z.number().int(),
    effective_at: z.iso.datetime(),
    expires_at: z.iso.datetime().nullable(),
    recurrence: z.enum(['day', 'week', 'month', 'year']).nullable(),
    rollover: z.object({ min: quantity, max: quantity }),
    state: z.enum(['scheduled', 'active', 'used', 'expired', 'voided']),
    issued_at: z.iso.datetime().nullable(),
    issues: z.number().int().meta({ description: 'How often it was issued' }),
    next_issue_at: z.iso.datetime().nullable(),
    metadata: z.record(z.string(), z.unknown()).nullable(),
    created_at: z.iso.datetime(),
    closed_at: z.iso.datetime().nullable(),
    voided_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Grant' })

export const grantListQuery = pageQuery.extend({
  meter: ref.optional().meta({ description: 'Id or slug' }),
  state: z.enum(['open', 'closed', 'all']).default('all').meta({ description: 'open: neither expired nor voided' }),
})

export const balanceQuery = z.strictObject({ meter: ref.meta({ description: 'Id or slug', example: 'api_calls' }) })
export const balance = z
  .object({ customer_id: z.uuid(), ...usageLine.shape, grants: z.array(grant).meta({ description: 'Open ones' }) })
  .meta({ id: 'Balance' })

export const historyQuery = pageQuery.extend({ meter: ref.meta({ description: 'Id or slug', example: 'api_calls' }) })
const balanceEntry = z
  .object({
    id: z.uuid(),
    kind: z.enum(['allowance', 'issued', 'expired', 'voided', 'reset', 'rollover']),
    amount: quantity.meta({ description: 'What it changed the balance by' }),
    balance: quantity.meta({ description: 'What was left after it' }),
    grant_id: z.uuid().nullable(),
    occurred_at: z.iso.datetime(),
  })
  .meta({ id: 'BalanceEntry' })
export const balanceHistory = z
  .object({
    data: z.array(balanceEntry),
    next_cursor: z.string().nullable(),
    daily: z
      .array(z.object({ day: z.iso.date(), used: quantity, events: z.number().int() }))
      .meta({ description: 'Usage of the last 90 days, on the first page' }),
  })
  .meta({ id: 'BalanceHistory' })

const offer = z.object({
  id: z.uuid(),
  slug: z.string(),
  name: z.string(),
  price: z.number(),
  price_minor: z.number().int(),
  currency: z.string(),
  billing_interval: z.enum(['month', 'year']),
})
export const portalOverview = z
  .object({
    customer: z.object({
      id: z.uuid(),
      external_id: z.string(),
      name: z.string().nullable(),
      email: z.string().nullable(),
    }),
    tier: offer.extend({ description: z.string() }).nullable(),
    usage: z.array(usageLine),
    features: z.array(
      z.object({
        key: z.string(),
        name: z.string().meta({ description: 'What people call it; the key where no feature of this key is listed' }),
        config: z.unknown(),
      }),
    ),
    entitlements: z.array(entitlement),
    upgrade: z
      .object({
        reason: z.enum(['cap_near', 'cap_reached']),
        meter: z.string(),
        name: z.string(),
        percent: z.number(),
        next_tiers: z.array(offer.extend({ limit: quantity.nullable() })),
      })
      .nullable()
      .meta({ description: 'From 80 % of a cap on: the meter that is nearest to its cap, and what allows more of it' }),
  })
  .meta({ id: 'PortalOverview' })

export type EntitlementTerms = z.infer<typeof entitlementTerms>
export type EntitlementInput = z.infer<typeof entitlementInput>
export type GrantInput = z.infer<typeof grantInput>
export type GrantListQuery = z.infer<typeof grantListQuery>
export type HistoryQuery = z.infer<typeof historyQuery>
