import { z } from 'zod'
import { operation, pageOf } from '@/libs/api-utils/openapi'
import { usageQueryInput, usageSeries } from '@/libs/metering/usage-query'
import { meter, meterInput, meterListQuery, meterPatch } from './schema'

const tag = 'Meters'
const params = z.object({ id: z.string().meta({ description: 'Id or slug', example: 'api_calls' }) })

// In a query an object is nothing that two clients write alike.
const filter = z.string().optional().meta({
  description: 'On group_by properties: `filter[region]=eu` (repeated: any of them), or a MeterFilter as JSON',
  example: '{"property": "region", "operator": "eq", "value": "eu"}',
})
const format = z.enum(['json', 'csv']).default('json').meta({ description: 'csv: one row for each window and group' })

export const paths = {
  '/api/v1/meters/{id}/query': {
    get: operation({
      summary: 'Query the usage of a meter',
      tag,
      description:
        'By event time over a half-open range, in windows of any time zone, by customer and by the group_by properties of the meter. Values are exact. At most 50,000 rows.',
      permission: 'usage:read',
      params,
      query: usageQueryInput.extend({ filter, format }),
      success: [200, usageSeries],
      csv: true,
    }),
  },
  '/api/v1/usage/query': {
    get: operation({
      summary: 'Query usage',
      tag: 'Usage',
      description: 'The same, with the meter as a parameter.',
      permission: 'usage:read',
      query: usageQueryInput.extend({
        meter: z.string().meta({ description: 'Id or slug', example: 'api_calls' }),
        filter,
        format,
      }),
      success: [200, usageSeries],
      csv: true,
    }),
  },
  '/api/v1/meters': {
    get: operation({
      summary: 'List meters',
      tag,
      permission: 'meters:read',
      query: meterListQuery,
      success: [200, pageOf(meter)],
    }),
    post: operation({
      summary: 'Create a meter',
      tag,
      permission: 'meters:write',
      body: meterInput,
      example: { name: 'API calls', slug: 'api_calls', unit: 'calls', group_by: ['endpoint'] },
      success: [201, meter],
    }),
  },
  '/api/v1/meters/{id}': {
    get: operation({ summary: 'Get a meter', tag, permission: 'meters:read', params, success: [200, meter] }),
    patch: operation({
      summary: 'Change a meter',
      tag,
      permission: 'meters:write',
      params,
      body: meterPatch,
      example: { unit: 'requests' },
      success: [200, meter],
    }),
    delete: operation({
      summary: 'Archive a meter',
      tag,
      description: 'Its usage stays; new events are refused with `meter_archived`.',
      permission: 'meters:write',
      params,
      success: [200, meter],
    }),
  },
}
