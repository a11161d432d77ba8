import { z } from 'zod'
import { decimalInput } from '@/libs/api-utils/decimal-input'
import { reportMoment } from '@/libs/api-utils/moment'
import { numberInQuery, pageQuery } from '@/libs/api-utils/page'
import { customerNameInput, userIdInput } from '@/libs/api-utils/text-input'
import { behaviour, customerRef, meterRef, quantity, tierRef } from '@/libs/metering/fields'

export const trackQuery = z.strictObject({
  strict: z.enum(['true', 'false']).optional().meta({ description: 'true: all or nothing, 422 when one is refused' }),
  enforce: z
    .enum(['true', 'false'])
    .optional()
    .meta({ description: 'true: soft caps refuse as well, so that deciding and recording are one step' }),
})

export const checkBody = z
  .strictObject({
    meter_id: z.string().min(1).max(64).meta({ description: 'Id or slug of a meter', example: 'api_calls' }),
    user_id: userIdInput(),
    amount: decimalInput('zero').prefault(1).meta({ description: 'How much is asked for; 0 is a look', example: 1 }),
  })
  .meta({ id: 'UsageCheckInput' })

/** The range and filters of usage reports: `timeRange` or `from` and `to`, half open. */
export const rangeFields = {
  time_range: z.enum(['24h', '7d', '30d', '90d', '12m']).optional().meta({ description: 'Default 30d' }),
  from: reportMoment.optional().meta({ description: 'Inclusive: a moment, or a day in the time zone of the tenant' }),
  to: reportMoment.optional().meta({ description: 'Exclusive; now when left out' }),
  meter: z.string().max(64).optional().meta({ description: 'Id or slug' }),
  customer: customerNameInput().optional().meta({ description: 'Id or external id' }),
}
export const usageQuery = z.strictObject({
  ...rangeFields,
  group_by: z.enum(['meter', 'customer']).default('meter').meta({ description: 'What the figures are of' }),
  limit: numberInQuery(z.number().int().min(1).max(500))
    .prefault(50)
    .meta({ description: 'Most rows, the largest first' }),
})
export const dailyQuery = z.strictObject({
  ...rangeFields,
  group_by: z.enum(['meter', 'customer']).default('meter').meta({ description: 'What the figures are of' }),
  fill: z.enum(['true', 'false']).default('false').meta({ description: 'true: days without usage as well' }),
  limit: numberInQuery(z.number().int().min(1).max(50))
    .prefault(10)
    .meta({ description: 'Most customers when grouped by them' }),
})
export const trendsQuery = z.strictObject(rangeFields)

const meter = meterRef.extend({ aggregation: z.string() })
const range = { from: z.iso.datetime(), to: z.iso.datetime(), time_zone: z.string() }

export const usageReport = z
  .object({
    ...range,
    group_by: z.enum(['meter', 'customer']),
    data: z.array(
      z.object({
        meter,
        customer: customerRef.optional(),
        used: quantity,
        events: z.number().int(),
      }),
    ),
  })
  .meta({ id: 'UsageReport' })

export const dailyReport = z
  .object({
    ...range,
    group_by: z.enum(['meter', 'customer']),
    data: z.array(
      z.object({
        day: z.iso.date(),
        meter: z.string(),
        customer: z.string().optional(),
        used: quantity,
        events: z.number().int(),
      }),
    ),
    meters: z.array(meter),
  })
  .meta({ id: 'DailyUsage' })

const span = z.object({ from: z.iso.datetime(), to: z.iso.datetime() })
export const trendsReport = z
  .object({
    ...range,
    interval: z.enum(['hour', 'day']).meta({ description: 'What the slope goes by: hours for 24h' }),
    previous: span,
    last_year: span,
    data: z.array(
      z.object({
        meter,
        current: quantity,
        previous: quantity,
        last_year: quantity,
        change_percent: z
          .number()
          .nullable()
          .meta({ description: 'Against the range before; null when that is empty' }),
        change_last_year_percent: z.number().nullable().meta({ description: 'Against the same range last year' }),
        slope_per_day: z.number().meta({ description: 'Least squares over the whole days (or hours) of the range' }),
        forecast: z
          .object({
            from: z.iso.datetime(),
            to: z.iso.datetime(),
            used: z.number(),
            method: z.enum(['sum', 'level', 'proportional', 'none']).meta({
              description:
                'sum: what is there, and the line through the days for those that are left; level: that line itself; proportional: as fast as so far; none: there was nothing to go by',
            }),
            days: z
              .int()
              .meta({ description: 'Whole days it is drawn from: the last thirty, from the first with usage on' }),
          })
          .meta({ description: 'Expected by the end of the month; for one customer, of its present period' }),
        cap: z
          .object({
            limit: quantity,
            used: quantity,
            period: z.enum(['day', 'month']),
            resets_at: z.iso.datetime(),
          })
          .nullable()
          .meta({ description: 'For one customer: allowance and grants of the present period' }),
        cap_hit_on: z.iso
          .date()
          .nullable()
          .meta({ description: 'When the cap will be reached at this pace, for one customer' }),
      }),
    ),
  })
  .meta({ id: 'UsageTrends' })

export const usageCapsQuery = pageQuery.extend({
  above: numberInQuery(z.number().min(0).max(1_000))
    .prefault(80)
    .meta({ description: 'Least share of a cap, in percent' }),
})
export const cappedCustomer = z
  .object({
    customer: z.object({
      id: z.uuid(),
      external_id: z.string(),
      name: z.string().nullable(),
      tier: tierRef.nullable(),
    }),
    percent: z.number().meta({ description: 'Of the cap that is nearest' }),
    caps: z.array(
      z.object({
        meter_id: z.uuid(),
        meter: z.string(),
        name: z.string(),
        unit: z.string(),
        used: quantity,
        limit: quantity.meta({
          description: 'The allowance; with grants or rollover, what was used and what is left together',
        }),
        remaining: quantity,
        overage: quantity,
        percent: z.number(),
        behaviour,
        period: z.enum(['day', 'month']),
        starts_on: z.iso.date(),
        reset_at: z.iso.datetime(),
      }),
    ),
  })
  .meta({ id: 'CappedCustomer' })

const settings = {
  creates_customers: z.boolean().meta({ description: 'Whether a user_id seen for the first time becomes a customer' }),
  accepts_late_days: z.number().int().min(35).max(400),
  accepts_early_seconds: z.number().int().min(0).max(86_400),
}
export const usageSettings = z.object(settings).meta({ id: 'UsageSettings' })
export const usageSettingsInput = z.strictObject(settings).partial().meta({ id: 'UsageSettingsInput' })

export type UsageQuery = z.infer<typeof usageQuery>
export type DailyQuery = z.infer<typeof dailyQuery>
export type TrendsQuery = z.infer<typeof trendsQuery>
export type UsageCapsQuery = z.infer<typeof usageCapsQuery>
export type UsageSettings = z.infer<typeof usageSettings>
export type UsageSettingsInput = z.infer<typeof usageSettingsInput>
