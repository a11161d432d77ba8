import { operation } from '@/libs/api-utils/openapi'
import {
  metricAdded,
  metricDaysQuery,
  metricDaysReport,
  metricInput,
  metricsQuery,
  metricsReport,
  metricTrendsReport,
} from './schema'

const tag = 'Metrics'

export const paths = {
  '/api/v1/metrics': {
    get: operation({
      summary: 'The built-in metrics of the tenant',
      tag,
      description:
        'Today, this month and the month before. API calls, bandwidth, storage, users and e-mails are measured by the product; the rest is what was sent.',
      permission: 'metrics:read',
      query: metricsQuery,
      success: [200, metricsReport],
    }),
    post: operation({
      summary: 'Add to a metric',
      tag,
      description:
        'With an `event_id` the same is added once, however often it is sent; the same `event_id` with other content is a conflict.',
      permission: 'metrics:write',
      body: metricInput,
      example: { metric: 'transactions', value: 3, event_id: 'orders-1001' },
      success: [201, metricAdded],
    }),
  },
  '/api/v1/metrics/daily': {
    get: operation({
      summary: 'Metrics day by day',
      tag,
      description: 'Every day of the range; days without a value of a sum are 0, of a gauge the value before.',
      permission: 'metrics:read',
      query: metricDaysQuery,
      success: [200, metricDaysReport],
    }),
  },
  '/api/v1/metrics/trends': {
    get: operation({
      summary: 'Trends of metrics',
      tag,
      description: 'A range against the one before and the same one last year, with slope and forecast.',
      permission: 'metrics:read',
      query: metricDaysQuery,
      success: [200, metricTrendsReport],
    }),
  },
}
