import { z } from 'zod'
import { day } from '@/libs/api-utils/moment'
import { quantity } from '@/libs/metering/fields'

export const portalUsageQuery = z.strictObject({
  meter: z
    .string()
    .min(1)
    .max(64)
    .optional()
    .meta({ description: 'Slug; by default the first with a cap, else the first that was used' }),
  starts_on: day.optional().meta({ description: 'First day of the period; the present one by default' }),
})

const meter = z.object({ slug: z.string(), name: z.string(), unit: z.string(), aggregation: z.string() })

export const portalUsage = z
  .object({
    time_zone: z.string(),
    meters: z.array(meter),
    meter: meter.nullable().meta({ description: 'Null where the tenant has no meter' }),
    period: z.object({ starts_on: z.iso.date(), ends_on: z.iso.date(), present: z.boolean() }),
    days: z
      .array(z.object({ day: z.iso.date(), used: quantity.nullable() }))
      .meta({ description: 'Each day of the period until today; null where nothing is known of a day' }),
    periods: z
      .array(z.object({ starts_on: z.iso.date(), ends_on: z.iso.date(), used: quantity.nullable() }))
      .meta({ description: 'The present period and at most twelve before it, the newest first' }),
    limit: quantity.nullable().meta({ description: 'What is available in the present period; null without a cap' }),
    forecast: z
      .object({
        ends_on: z.iso.date().meta({ description: 'First day after the period of the cap, which is what is foretold' }),
        used: z.number().meta({ description: 'Expected by then; the same figure as in `GET /usage/trends`' }),
        cap_reached: z.boolean().meta({ description: 'Whether nothing is left of the cap' }),
        cap_hit_on: z.iso.date().nullable().meta({ description: 'Day the cap is expected to be reached' }),
        days: z.int().meta({ description: 'Days it is drawn from' }),
      })
      .nullable()
      .meta({ description: 'For SUM and COUNT, from three whole days of usage on' }),
  })
  .meta({ id: 'PortalUsage' })

export type PortalUsageQuery = z.infer<typeof portalUsageQuery>
