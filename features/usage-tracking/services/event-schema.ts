import { z } from 'zod'
import { reportMoment } from '@/libs/api-utils/moment'
import { pageQuery } from '@/libs/api-utils/page'
import { givenNameInput } from '@/libs/api-utils/text-input'
import { quantity } from '@/libs/metering/fields'
import { rangeFields } from '../schema'

const eventState = z.enum(['counted', 'filtered', 'corrected', 'correction']).meta({
  description:
    'counted; filtered: does not pass the filter of its meter; corrected: was taken back; correction: takes another one back',
})
export const eventListQuery = pageQuery.extend({
  meter: z.string().max(64).optional().meta({ description: 'Id or slug' }),
  customer: rangeFields.customer,
  event_id: givenNameInput(255)
    .optional()
    .meta({ description: 'With its corrections; without `source` the last two months are searched' }),
  source: givenNameInput(255).optional().meta({ description: 'Source it was sent with' }),
  state: eventState.optional(),
  time_range: rangeFields.time_range,
  from: reportMoment.optional().meta({ description: 'Received at or after' }),
  to: reportMoment.optional().meta({ description: 'Received before' }),
})
export const usageEvent = z
  .object({
    id: z.uuid(),
    event_id: z.string().nullable(),
    source: z.string().nullable(),
    meter: z.string().meta({ description: 'Slug' }),
    meter_name: z.string(),
    meter_id: z.uuid(),
    user_id: z.string(),
    customer_id: z.uuid(),
    value: quantity,
    occurred_at: z.iso.datetime(),
    received_at: z.iso.datetime(),
    properties: z.record(z.string(), z.unknown()).nullable(),
    state: eventState,
    counted: quantity.nullable().meta({ description: 'What it added where a cap left only a part of its value' }),
    corrects: z.uuid().nullable().meta({ description: 'The event this one takes back or stands for' }),
  })
  .meta({ id: 'UsageEvent' })

export const usageEventDetail = z
  .object({
    event: usageEvent,
    aggregation: z.string(),
    unit: z.string(),
    amount: quantity.nullable().meta({ description: 'What it adds to each total; null where a total is no sum' }),
    chain: z
      .array(usageEvent)
      .meta({ description: 'Everything that corrects it or that it corrects, in order of reception' }),
    moved: z
      .array(
        z.object({
          scope: z.enum(['customer_day', 'customer_period', 'day', 'quarter', 'group']),
          starts_at: z.string(),
          used: quantity,
          events: z.number().int(),
          group: z.record(z.string(), z.string().nullable()).nullable(),
        }),
      )
      .meta({ description: 'The running totals it is part of, as they stand now' }),
  })
  .meta({ id: 'UsageEventDetail' })

export const rejectionCounts = z.object({
  data: z.array(z.object({ code: z.string(), count: z.number().int(), last_at: z.iso.datetime() })),
  next_cursor: z.null(),
})

export const rejectionListQuery = pageQuery.extend({
  code: z.string().max(64).optional().meta({ description: 'Why they were refused' }),
})
export const usageRejection = z
  .object({
    id: z.uuid(),
    received_at: z.iso.datetime(),
    code: z.string(),
    detail: z.string(),
    event: z.unknown(),
    request_id: z.string().nullable(),
  })
  .meta({ id: 'UsageRejection' })

export type EventListQuery = z.infer<typeof eventListQuery>
export type RejectionListQuery = z.infer<typeof rejectionListQuery>
