import { z } from 'zod'
import { dayOrMoment, isCountable, OUT_OF_RANGE } from '@/libs/api-utils/moment'
import { pageQuery } from '@/libs/api-utils/page'
import { customerNameInput } from '@/libs/api-utils/text-input'
import { quantity } from '@/libs/metering/fields'

export const billingPeriodListQuery = pageQuery

export const billingPeriodInput = z
  .strictObject({
    ends_at: dayOrMoment
      .refine((text) => isCountable(text.slice(0, 10)), OUT_OF_RANGE)
      .meta({
        description:
          'End of the period: a moment, or a day that begins in the time zone of the tenant. Not in the future, and after the period before.',
        example: '2026-11-01',
      }),
  })
  .meta({ id: 'BillingPeriodInput' })

export const billingPeriod = z
  .object({
    id: z.uuid(),
    starts_at: z.iso.datetime().meta({ description: 'Usage received from here on' }),
    ends_at: z.iso.datetime().meta({ description: 'Usage received before' }),
    closed_at: z.iso.datetime(),
    lines: z.number().int(),
    events: z.number().int().meta({ description: 'Events received, less those taken back' }),
    adjustments: z
      .number()
      .int()
      .meta({ description: 'Lines for usage that lies before the period; none in the first' }),
  })
  .meta({ id: 'BillingPeriod' })

export const billingLine = z
  .object({
    customer_id: z.uuid(),
    customer: z.string().meta({ description: 'External id of the customer' }),
    meter_id: z.uuid(),
    meter: z.string().meta({ description: 'Slug' }),
    meter_name: z.string().meta({ description: 'Name of the meter, as it is now' }),
    starts_on: z.iso
      .date()
      .meta({ description: 'First day of the period of usage, by the anchor of the subscription' }),
    ends_on: z.iso.date().meta({ description: 'First day after it' }),
    quantity: quantity.meta({
      description:
        'SUM and COUNT: what was received in the cut. Others: the value of the period of usage as of the end of the cut, less what was billed before',
    }),
    events: z.number().int(),
    tier: z.string().nullable(),
    tier_version: z.number().int().nullable(),
    cap_limit: quantity.nullable(),
    overage: quantity.nullable().meta({
      description:
        'Beyond the cap that holds at the end of the cut, less what was billed as overage of this period of usage before; null without a cap',
    }),
    adjustment: z
      .boolean()
      .meta({ description: 'Whether the usage lies before the cut, and something was received before it' }),
  })
  .meta({ id: 'BillingLine' })

export const billingLineListQuery = pageQuery.extend({
  customer: customerNameInput().optional().meta({ description: 'Id or external id' }),
  meter: z.string().max(64).optional().meta({ description: 'Id or slug' }),
  adjustment: z
    .enum(['true', 'false'])
    .optional()
    .meta({ description: 'true: only lines about usage of earlier periods; false: only the others' }),
})

const format = z.enum(['csv', 'jsonl']).default('jsonl').meta({ description: 'jsonl: one JSON object in each line' })
export const billingDownloadQuery = z.strictObject({ format })
export const billingExportQuery = z.strictObject({
  from: dayOrMoment.optional().meta({
    description:
      'Received at or after: a moment, or a day that begins in the time zone of the tenant; this month when left out',
  }),
  to: dayOrMoment.optional().meta({ description: 'Received before; now when left out' }),
  format,
})

export type BillingFormat = z.infer<typeof format>
export type BillingPeriodInput = z.infer<typeof billingPeriodInput>
export type BillingPeriodListQuery = z.infer<typeof billingPeriodListQuery>
export type BillingLineListQuery = z.infer<typeof billingLineListQuery>
export type BillingExportQuery = z.infer<typeof billingExportQuery>
export type BillingPeriodRow = z.infer<typeof billingPeriod>
export type BillingLineRow = z.infer<typeof billingLine>
