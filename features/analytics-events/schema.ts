import { z } from 'zod'
import { zonedMoment } from '@/libs/api-utils/moment'
import { pageQuery } from '@/libs/api-utils/page'
import { timeRangeFields } from '@/libs/tenancy/time-range'

const name = z.string().trim().min(1).max(200)
const source = z.enum(['server', 'browser'])

const properties = z
  .record(z.string(), z.unknown())
  .refine((value) => Buffer.byteLength(JSON.stringify(value)) <= 30_000, 'may be at most 30,000 bytes as JSON')

const FUTURE_MS = 300_000
const PAST_MS = 7 * 86_400_000

export const analyticsEventOne = z.strictObject({
  event: name.meta({ example: 'report_opened' }),
  distinct_id: name.optional().meta({ description: 'Who did it; the caller when left out' }),
  properties: properties.default({}),
  occurred_at: zonedMoment
    .refine((text) => Date.parse(text) <= Date.now() + FUTURE_MS, 'is more than five minutes in the future')
    .refine((text) => Date.parse(text) >= Date.now() - PAST_MS, 'is more than seven days ago')
    .optional()
    .meta({ description: 'Now when left out; at most seven days ago, at most five minutes ahead' }),
})

export const analyticsEventMany = z.array(analyticsEventOne).min(1).max(100)

/** One event, or up to a hundred; checked by the one of the two it is, so that errors say where. */
export const analyticsEventInput = z
  .union([analyticsEventMany, analyticsEventOne])
  .meta({ id: 'AnalyticsEventInput', description: 'One event, or an array of up to 100' })

export const analyticsEventListQuery = pageQuery.extend({
  event: name.optional().meta({ description: 'Name of the event' }),
  distinct_id: name.optional().meta({ description: 'Whose events: the person or machine they are told of' }),
  source: source.optional().meta({ description: 'Where they were noted' }),
  ...timeRangeFields,
})

export const analyticsEvent = z
  .object({
    id: z.uuid(),
    event: z.string(),
    distinct_id: z.string(),
    properties: z.record(z.string(), z.unknown()),
    source,
    occurred_at: z.iso.datetime(),
    created_at: z.iso.datetime(),
    forwarded_at: z.iso
      .datetime()
      .nullable()
      .meta({ description: 'When PostHog took it; null where it is not configured' }),
  })
  .meta({ id: 'AnalyticsEvent' })

export const storedAnalyticsEvents = z.object({ ids: z.array(z.uuid()) }).meta({ id: 'StoredAnalyticsEvents' })

export type AnalyticsEventInput = z.infer<typeof analyticsEventInput>
export type AnalyticsEventListQuery = z.infer<typeof analyticsEventListQuery>
