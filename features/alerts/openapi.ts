import { z } from 'zod'
import { operation, pageOf } from '@/libs/api-utils/openapi'
import { alert, alertFiring, alertInput, alertListQuery, alertPatch, firingListQuery, standardAlerts } from './schema'

const tag = 'Alerts'
const params = z.object({ id: z.uuid().meta({ description: 'Id of the rule' }) })

export const paths = {
  '/api/v1/alerts': {
    get: operation({
      summary: 'List alerts',
      tag,
      permission: 'alerts:read',
      query: alertListQuery,
      success: [200, pageOf(alert)],
    }),
    post: operation({
      summary: 'Create an alert',
      tag,
      description:
        'It fires once per customer, period and step, in the transaction that counts the usage. What is reached already fires within seconds. Meters of the aggregation WEIGHTED_SUM pass thresholds without an event and cannot be watched.',
      permission: 'alerts:write',
      body: alertInput,
      example: { name: '80 % of the cap', meter: 'api_calls', kind: 'usage_percent', threshold: 80 },
      success: [201, alert],
    }),
  },
  '/api/v1/alerts/{id}': {
    get: operation({ summary: 'Get an alert', tag, permission: 'alerts:read', params, success: [200, alert] }),
    patch: operation({
      summary: 'Change an alert',
      tag,
      description: 'A new threshold may fire again in the present period.',
      permission: 'alerts:write',
      params,
      body: alertPatch,
      example: { threshold: 90 },
      success: [200, alert],
    }),
    delete: operation({
      summary: 'Archive an alert',
      tag,
      description: 'It fires no more; what it fired stays listed.',
      permission: 'alerts:write',
      params,
      success: [200, alert],
    }),
  },
  '/api/v1/alerts/standard': {
    post: operation({
      summary: 'Watch 80 % and 100 % of every cap',
      tag,
      description: 'Makes the rules that are missing, for each meter a tier caps; harmless when repeated.',
      permission: 'alerts:write',
      success: [201, standardAlerts],
    }),
  },
  '/api/v1/alerts/firings': {
    get: operation({
      summary: 'List what alerts fired',
      tag,
      description: 'Newest first.',
      permission: 'alerts:read',
      query: firingListQuery,
      success: [200, pageOf(alertFiring)],
    }),
  },
}
