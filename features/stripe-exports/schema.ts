import { z } from 'zod'
import { pageQuery } from '@/libs/api-utils/page'
import { customerNameInput } from '@/libs/api-utils/text-input'
import { customerRef, meterRef, quantity } from '@/libs/metering/fields'

const CONNECTION_STATES = ['checking', 'connected', 'refused', 'disconnected'] as const
export const DELIVERY_STATES = ['pending', 'sent', 'failed', 'skipped'] as const
/** Stripe takes usage that is at most 35 days old. */
export const OLDEST_DAYS = 35

const moment = z.iso.datetime()

const secretKey = z
  .string()
  .trim()
  .max(500)
  .regex(
    /^(sk|rk)_(test|live)_[A-Za-z0-9_]{8,}$/,
    'must be a secret or restricted key of Stripe: sk_test_…, sk_live_…, rk_test_… or rk_live_…',
  )
  .meta({
    description: 'Write-only. A restricted key needs: customers write, billing meter events write, account read',
    example: 'rk_test_51Example',
  })

export const stripeExportInput = z.strictObject({ secret_key: secretKey }).meta({ id: 'StripeExportInput' })

export const stripeExportPatch = z
  .strictObject({
    secret_key: secretKey,
    enabled: z.boolean().meta({ description: 'False holds everything back until it is true again' }),
  })
  .partial()
  .refine((patch) => Object.keys(patch).length > 0, 'must change something')
  .meta({ id: 'StripeExportPatch' })

export const stripeMeterInput = z
  .strictObject({
    event_name: z
      .string()
      .trim()
      .min(1)
      .max(100)
      .optional()
      .meta({ description: 'event_name of the meter at Stripe; without it the slug' }),
    enabled: z.boolean().optional().meta({ description: 'False holds this meter back; nothing is lost' }),
    from: moment.optional().meta({
      description:
        'When a meter is added: usage received since then is pushed, at most 35 days back and not before what was pushed; without it from now on',
    }),
  })
  .meta({ id: 'StripeMeterInput' })

export const stripeCustomerInput = z
  .strictObject({
    stripe_customer_id: z
      .string()
      .trim()
      .regex(/^cus_[A-Za-z0-9]{1,200}$/, 'must be the id of a customer of Stripe: cus_…'),
  })
  .meta({ id: 'StripeCustomerInput' })

export const stripeDeliveryListQuery = pageQuery.extend({
  status: z.enum(DELIVERY_STATES).optional().meta({ description: 'All when left out' }),
  meter: z.string().min(1).max(64).optional().meta({ description: 'Id or slug' }),
  customer: customerNameInput().optional().meta({ description: 'Id or external id' }),
})
export const stripeCustomerListQuery = pageQuery.extend({
  q: z.string().max(255).optional().meta({ description: 'Part of the name or external id' }),
})

export const stripeExport = z
  .object({
    id: z.uuid(),
    status: z.enum(CONNECTION_STATES).meta({
      description: 'checking: the key is being tried; refused: Stripe does not take it, nothing is sent',
    }),
    enabled: z.boolean(),
    mode: z.enum(['test', 'live']),
    last_four: z.string(),
    account_id: z.string().nullable(),
    account_name: z.string().nullable(),
    last_error: z.string().nullable(),
    paused_until: moment.nullable().meta({ description: 'Stripe asked to wait so long' }),
    checked_at: moment.nullable(),
    pushed_at: moment.nullable().meta({ description: 'When Stripe last took something' }),
    pending: z.number().int().meta({ description: 'Deliveries that wait' }),
    failed: z.number().int().meta({ description: 'Deliveries that Stripe refused' }),
    created_at: moment,
    updated_at: moment,
    disconnected_at: moment.nullable(),
  })
  .meta({ id: 'StripeExport' })

export const stripeMeter = z
  .object({
    meter: meterRef.extend({ aggregation: z.string(), archived_at: moment.nullable() }),
    mapped: z.boolean(),
    event_name: z.string().meta({ description: 'Of the mapping, or what it would be' }),
    enabled: z.boolean(),
    cut_at: moment.nullable().meta({ description: 'Usage received before is written down to be pushed' }),
    reason: z.string().nullable().meta({ description: 'Why it cannot be pushed' }),
  })
  .meta({ id: 'StripeMeter' })

export const stripeDelivery = z
  .object({
    id: z.uuid(),
    customer: customerRef,
    meter: meterRef,
    event_name: z.string(),
    hour: moment.meta({ description: 'Hour of UTC the usage happened in' }),
    happened_at: moment.meta({ description: 'The time Stripe is told' }),
    amount: quantity.meta({ description: 'Below zero where more was corrected than came in' }),
    events: z.number().int(),
    identifier: z.string(),
    status: z.enum(DELIVERY_STATES),
    attempts: z.number().int(),
    last_error: z.string().nullable(),
    next_attempt_at: moment.nullable(),
    sent_at: moment.nullable(),
    created_at: moment,
  })
  .meta({ id: 'StripeDelivery' })

export const stripeCustomer = z
  .object({
    customer: customerRef,
    stripe_customer_id: z.string().nullable().meta({ description: 'Null: made there with the first usage' }),
    linked: z.boolean().meta({ description: 'Named by a person' }),
  })
  .meta({ id: 'StripeCustomer' })

export const retried = z.object({ retried: z.number().int() }).meta({ id: 'StripeRetried' })

export type StripeExport = z.infer<typeof stripeExport>
export type StripeExportInput = z.infer<typeof stripeExportInput>
export type StripeExportPatch = z.infer<typeof stripeExportPatch>
export type StripeMeter = z.infer<typeof stripeMeter>
export type StripeMeterInput = z.infer<typeof stripeMeterInput>
export type StripeDelivery = z.infer<typeof stripeDelivery>
export type StripeDeliveryListQuery = z.infer<typeof stripeDeliveryListQuery>
export type StripeCustomer = z.infer<typeof stripeCustomer>
export type StripeCustomerInput = z.infer<typeof stripeCustomerInput>
export type StripeCustomerListQuery = z.infer<typeof stripeCustomerListQuery>
