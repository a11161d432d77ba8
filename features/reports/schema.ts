import { z } from 'zod'
import { customerNameInput } from '@/libs/api-utils/text-input'
import { customerRef, meterRef, quantity } from '@/libs/metering/fields'

const month = z.string().regex(/^\d{4}-(0[1-9]|1[0-2])$/, 'must be a month, such as 2026-11')

export const reportQuery = z.strictObject({
  month: month.optional().meta({ description: 'The running month when left out', example: '2026-11' }),
  customer: customerNameInput().optional().meta({ description: 'Id or external id; all together when left out' }),
  format: z
    .enum(['json', 'csv'])
    .default('json')
    .meta({ description: 'csv: one table of the meters, the customers and the days' }),
})

const meter = meterRef.extend({ aggregation: z.string() })

export const monthReport = z
  .object({
    month,
    from: z.iso.datetime(),
    to: z.iso.datetime(),
    time_zone: z.string(),
    complete: z.boolean().meta({ description: 'false while the month is running' }),
    customer: customerRef.nullable(),
    meters: z.array(
      z.object({
        meter,
        used: quantity.meta({ description: 'By event time in the calendar month, by the aggregation of the meter' }),
        events: z.number().int(),
        previous: quantity.meta({ description: 'The month before' }),
        change_percent: z.number().nullable(),
        cap: quantity.nullable().meta({ description: 'For one customer: the cap that holds now' }),
        cap_period: z.enum(['day', 'month']).nullable(),
        overage: quantity.nullable().meta({
          description:
            'What is billed as overage of the periods of usage that begin in this month: what closed billing periods say, and what one closed now would add; null without any cap',
        }),
      }),
    ),
    top_customers: z.array(
      z.object({
        meter: z.string(),
        customers: z.array(z.object({ customer: customerRef, used: quantity, events: z.number().int() })),
      }),
    ),
    daily: z.array(z.object({ day: z.iso.date(), meter: z.string(), used: quantity, events: z.number().int() })),
  })
  .meta({ id: 'MonthReport' })

export type ReportQuery = z.infer<typeof reportQuery>
export type MonthReport = z.infer<typeof monthReport>
