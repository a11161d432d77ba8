import { z } from 'zod'
import { operation, pageOf } from '@/libs/api-utils/openapi'
import { checkCode, quantity, tierUpgrade } from '@/libs/metering/fields'
import {
  cappedCustomer,
  checkBody,
  dailyQuery,
  dailyReport,
  trackQuery,
  trendsQuery,
  trendsReport,
  usageCapsQuery,
  usageQuery,
  usageReport,
  usageSettings,
  usageSettingsInput,
} from './schema'
import { correctionPaths } from './services/correction-openapi'
import { eventListQuery, rejectionListQuery, usageEvent, usageRejection } from './services/event-schema'

const tag = 'Usage'

const usagePeriod = z.enum(['day', 'month'])

/** Fields of where a customer stands with a meter. */
const standing = {
  limit: quantity.nullable(),
  used: quantity,
  held: quantity.optional().meta({ description: 'What open reservations hold; no longer part of what remains' }),
  remaining: quantity.nullable().meta({ description: 'What is left, never negative; null without a cap' }),
  overage: quantity.meta({ description: 'What was used beyond the cap' }),
  period: usagePeriod,
  reset_at: z.iso.datetime(),
}

// What comes in is read by services/event-parser.ts, event by event; this is its description.
const usageEventInput = z
  .object({
    meter_id: z.string().meta({ description: 'Id or slug of a meter', example: 'api_calls' }),
    user_id: z.string().max(255).meta({
      description: "The tenant's own name for the customer; made a customer at first sight",
      example: 'customer-42',
    }),
    event_value: quantity
      .optional()
      .meta({ description: 'Decimal of at most 30 + 20 digits; 1 when left out', example: 1 }),
    properties: z
      .record(z.string().max(128), z.union([z.string(), z.number(), z.boolean(), z.null()]))
      .optional()
      .meta({ example: { endpoint: '/api/v1/data', method: 'GET' } }),
    event_id: z.string().max(255).optional().meta({ description: 'Makes the event safe to send again' }),
    source: z.string().max(255).optional().meta({ description: 'Where event_id is unique; none when left out' }),
    timestamp: z
      .union([z.string(), z.number()])
      .optional()
      .meta({ description: 'RFC 3339, or seconds or milliseconds since 1970; the moment of reception when left out' }),
  })
  .meta({ id: 'UsageEventInput' })

const trackBody = z.union([
  usageEventInput,
  z.array(usageEventInput).min(1).max(1_000),
  z.object({ events: z.array(usageEventInput).min(1).max(1_000) }),
])

const trackResult = z
  .object({
    inserted: z.number().int().meta({ description: 'Events counted now, durably' }),
    duplicates: z.number().int().meta({ description: 'Events that were counted before with the same content' }),
    rejected: z.array(
      z
        .object({ index: z.number().int(), code: z.string(), detail: z.string() })
        .extend(z.object(standing).partial().shape),
    ),
    usage: z
      .array(z.object({ meter: z.string(), user_id: z.string(), ...standing }))
      .optional()
      .meta({ description: 'Where the customers stand now; for requests of at most 20 events' }),
  })
  .meta({ id: 'TrackResult' })

const checkResult = z
  .object({
    allowed: z.boolean(),
    code: checkCode,
    ...standing,
    upgrade: tierUpgrade.optional(),
  })
  .meta({ id: 'UsageCheckResult' })

export const paths = {
  '/api/v1/usage/track': {
    post: operation({
      summary: 'Track usage',
      tag,
      description:
        'One event, or up to 1,000. When the answer arrives the events are durable, counted exactly once, visible and enforced. An event that is refused never takes its neighbours down: `rejected` names it with the reason. Events with an `event_id` are safe to send again; without one, an `Idempotency-Key` protects the whole request. The body may be gzip.',
      permission: 'usage:write',
      query: trackQuery,
      body: trackBody,
      example: {
        meter_id: 'api_calls',
        user_id: 'customer-42',
        event_value: 1,
        properties: { endpoint: '/v1/orders', method: 'GET' },
        event_id: 'request-1001',
      },
      success: [200, trackResult],
    }),
  },
  '/api/v1/usage/check': {
    post: operation({
      summary: 'Check what a customer may use',
      tag,
      description:
        'Always 200: `allowed` and `code` are the answer. Amount 0 is a look: allowed as long as anything is left. Nothing is changed, so that it needs no `Idempotency-Key`.',
      repeatable: false,
      permission: 'usage:read',
      body: checkBody,
      example: { meter_id: 'api_calls', user_id: 'customer-42', amount: 1 },
      success: [200, checkResult],
    }),
  },
  '/api/v1/usage': {
    get: operation({
      summary: 'Usage totals',
      tag,
      description: 'By event time, over `time_range` (also `timeRange`) or `from` and `to`, half open.',
      permission: 'usage:read',
      query: usageQuery,
      success: [200, usageReport],
    }),
  },
  '/api/v1/usage/daily': {
    get: operation({
      summary: 'Usage by day',
      tag,
      permission: 'usage:read',
      query: dailyQuery,
      success: [200, dailyReport],
    }),
  },
  '/api/v1/usage/trends': {
    get: operation({
      summary: 'Usage trends',
      tag: 'Reports',
      description:
        'The range against the one before and the same one last year, with slope and forecast. The slope is fitted by least squares; the forecast adds what is left of today and the days left, as the line through the last days says, to what is there exactly.',
      permission: 'usage:read',
      query: trendsQuery,
      success: [200, trendsReport],
    }),
  },
  '/api/v1/usage/caps': {
    get: operation({
      summary: 'List customers near a cap',
      tag,
      description:
        'Customers who used at least `above` percent of a cap in its present period, the highest share first, each with the caps it is about.',
      permission: 'usage:read',
      query: usageCapsQuery,
      success: [200, pageOf(cappedCustomer)],
    }),
  },
  '/api/v1/usage/events': {
    get: operation({
      summary: 'List usage events',
      tag,
      description: 'The last received first.',
      permission: 'usage:read',
      query: eventListQuery,
      success: [200, pageOf(usageEvent)],
    }),
  },
  '/api/v1/usage/rejections': {
    get: operation({
      summary: 'List refused events',
      tag,
      description: 'The newest ten thousand, with the reason.',
      permission: 'usage:read',
      query: rejectionListQuery,
      success: [200, pageOf(usageRejection)],
    }),
  },
  '/api/v1/usage/settings': {
    get: operation({ summary: 'Usage settings', tag, permission: 'usage:read', success: [200, usageSettings] }),
    patch: operation({
      summary: 'Change usage settings',
      tag,
      permission: 'meters:write',
      body: usageSettingsInput,
      example: { accepts_late_days: 60 },
      success: [200, usageSettings],
    }),
  },
  ...correctionPaths,
}
