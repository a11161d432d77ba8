import { z } from 'zod'
import { behaviour, quantity } from '@/libs/metering/fields'

/** A meter of a customer in its present period; see UsageLine. */
export const usageLine = z
  .object({
    meter_id: z.uuid(),
    meter: z.string(),
    name: z.string(),
    unit: z.string(),
    aggregation: z.string(),
    used: quantity.meta({ description: 'By the aggregation of the meter; carried overage included' }),
    limit: quantity.nullable().meta({
      description: 'The allowance; with grants or rollover, what was used and what is left together',
    }),
    remaining: quantity.nullable().meta({ description: 'What is left and not reserved; null without a cap' }),
    overage: quantity,
    percent: z.number().nullable().meta({ description: 'Used of the limit' }),
    balance: quantity.nullable().meta({ description: 'What is left, where there are grants or rollover; else null' }),
    granted: quantity.nullable().meta({ description: 'Everything available in this period' }),
    held: quantity.meta({ description: 'Reserved and not yet settled' }),
    entitlement_id: z
      .uuid()
      .nullable()
      .meta({ description: "The customer's own entitlement, when the cap is not its tier's" }),
    behaviour: behaviour.nullable(),
    period: z.enum(['day', 'month']),
    starts_on: z.iso.date(),
    reset_at: z.iso.datetime(),
  })
  .meta({ id: 'UsageLine' })
