import { z } from 'zod'
import { decimalInput } from '@/libs/api-utils/decimal-input'
import { reportDay, zonedMoment } from '@/libs/api-utils/moment'
import { quantity } from '@/libs/metering/fields'

/** What the product measures of every tenant. Sums add up over a day; gauges hold the last value of it. */
export const METRICS = {
  api_calls: 'sum',
  bandwidth_bytes: 'sum',
  storage_bytes: 'gauge',
  users_count: 'gauge',
  transactions: 'sum',
  workflow_executions: 'sum',
  revenue: 'sum',
  communications: 'sum',
} as const

const METRIC_NAMES = Object.keys(METRICS) as [MetricName, ...MetricName[]]
const CHANNELS = ['email', 'whatsapp', 'sms', 'push'] as const

const metric = z.enum(METRIC_NAMES)
const label = z.string().meta({ description: 'communications: the channel; revenue: the currency; otherwise empty' })

/** What others send: the product cannot know it by itself. Gauges and what it counts itself are not taken. */
const SENT_METRICS = ['transactions', 'workflow_executions', 'revenue', 'communications'] as const

export const metricInput = z
  .strictObject({
    metric: z.enum(SENT_METRICS),
    value: decimalInput('any').meta({
      description: 'What to add; revenue in the smallest unit of its currency',
      example: 4999,
    }),
    channel: z.enum(CHANNELS).optional().meta({ description: 'Needed for communications' }),
    currency: z
      .string()
      .regex(/^[A-Za-z]{3}$/, 'must be a currency of three letters')
      .transform((text) => text.toUpperCase())
      .optional()
      .meta({ description: 'Needed for revenue', example: 'EUR' }),
    occurred_at: zonedMoment.optional().meta({ description: 'At most 35 days back; now when left out' }),
    event_id: z.string().min(1).max(255).optional().meta({ description: 'Makes the value safe to send again' }),
  })
  .meta({ id: 'MetricInput' })

export const metricAdded = z
  .object({ metric, label, value: quantity, inserted: z.boolean().meta({ description: 'false: it was added before' }) })
  .meta({ id: 'MetricAdded' })

const days = {
  time_range: z.enum(['24h', '7d', '30d', '90d', '12m']).optional().meta({ description: 'Default 30d' }),
  from: reportDay.optional().meta({ description: 'A day in the time zone of the tenant' }),
  to: reportDay.optional().meta({ description: 'The last day; today when left out' }),
  metric: metric.optional().meta({ description: 'One metric; all when left out' }),
}
export const metricDaysQuery = z.strictObject(days)
export const metricsQuery = z.strictObject({})

const span = z.object({ from: z.iso.date(), to: z.iso.date() })

export const metricsReport = z
  .object({
    ...span.shape,
    time_zone: z.string(),
    data: z.array(
      z.object({
        metric,
        label,
        kind: z.enum(['sum', 'gauge']),
        today: quantity,
        period: quantity.meta({ description: 'This month so far; for a gauge its last value' }),
        previous_period: quantity.meta({ description: 'The whole month before' }),
        updated_at: z.iso.datetime().nullable(),
      }),
    ),
  })
  .meta({ id: 'Metrics' })

export const metricDaysReport = z
  .object({
    ...span.shape,
    time_zone: z.string(),
    data: z.array(z.object({ day: z.iso.date(), metric, label, value: quantity })),
  })
  .meta({ id: 'MetricDays' })

export const metricTrendsReport = z
  .object({
    ...span.shape,
    time_zone: z.string(),
    previous: span,
    last_year: span,
    data: z.array(
      z.object({
        metric,
        label,
        kind: z.enum(['sum', 'gauge']),
        current: quantity,
        previous: quantity,
        last_year: quantity,
        change_percent: z.number().nullable(),
        slope_per_day: z.number().meta({ description: 'Least squares over the whole days of the range' }),
        forecast: z
          .object({ to: z.iso.date(), value: z.number() })
          .meta({ description: 'Expected at the end of this month: what is there, and the line for the days left' }),
      }),
    ),
  })
  .meta({ id: 'MetricTrends' })

export type MetricName = keyof typeof METRICS
export type MetricInput = z.infer<typeof metricInput>
export type MetricDaysQuery = z.infer<typeof metricDaysQuery>
