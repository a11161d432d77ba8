import { operation, pageOf } from '@/libs/api-utils/openapi'
import {
  checkBody,
  checkResult,
  dailyQuery,
  dailyReport,
  eventListQuery,
  rejectionListQuery,
  trackBody,
  trackQuery,
  trackResult,
  trendsQuery,
  trendsReport,
  usageEvent,
  usageQuery,
  usageRejection,
  usageReport,
  usageSettings,
  usageSettingsInput,
} from './schema'

const tag = 'Usage'

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
      success: [200, trackResult],
    }),
  },
  '/api/v1/usage/check': {
    post: operation({
      summary: 'Check what a customer may use',
      tag,
      description:
        'Always 200: `allowed` and `code` are the answer. Amount 0 is a look: allowed as long as anything is left.',
      permission: 'usage:read',
      body: checkBody,
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
      tag,
      description: 'The range against the one before and the same one last year, with slope and forecast.',
      permission: 'usage:read',
      query: trendsQuery,
      success: [200, trendsReport],
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
      success: [200, usageSettings],
    }),
  },
}
