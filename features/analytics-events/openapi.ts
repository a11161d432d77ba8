import { z } from 'zod'
import { operation, pageOf } from '@/libs/api-utils/openapi'
import { analyticsEvent, analyticsEventInput, analyticsEventListQuery, storedAnalyticsEvents } from './schema'

const tag = 'Analytics events'

export const paths = {
  '/api/v1/analytics-events': {
    get: operation({
      summary: 'List analytics events',
      tag,
      permission: 'analytics-events:read',
      query: analyticsEventListQuery,
      success: [200, pageOf(analyticsEvent)],
    }),
    post: operation({
      summary: 'Record analytics events',
      description: 'What a browser saw. Kept per tenant, and forwarded to PostHog where that is configured.',
      tag,
      permission: 'analytics-events:write',
      body: analyticsEventInput,
      example: { event: 'export_started', distinct_id: 'user-7', properties: { format: 'csv' } },
      success: [201, storedAnalyticsEvents],
    }),
  },
  '/api/v1/analytics-events/{id}': {
    get: operation({
      summary: 'Get one analytics event',
      tag,
      permission: 'analytics-events:read',
      params: z.object({ id: z.uuid().meta({ description: 'Id of the event' }) }),
      success: [200, analyticsEvent],
    }),
  },
}
