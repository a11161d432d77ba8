import { z } from 'zod'
import { operation, pageOf } from '@/libs/api-utils/openapi'
import { meter, meterInput, meterListQuery, meterPatch } from './schema'

const tag = 'Meters'
const params = z.object({ id: z.string().meta({ description: 'Id or slug' }) })

export const paths = {
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
