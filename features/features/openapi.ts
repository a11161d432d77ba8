import { z } from 'zod'
import { operation, pageOf } from '@/libs/api-utils/openapi'
import { feature, featureInput, featureListQuery, featurePatch } from './schema'

const tag = 'Features'
const params = z.object({ id: z.string().meta({ description: 'Id or key', example: 'exports' }) })

export const paths = {
  '/api/v1/features': {
    get: operation({
      summary: 'List features',
      tag,
      description: 'By key.',
      permission: 'tiers:read',
      query: featureListQuery,
      success: [200, pageOf(feature)],
    }),
    post: operation({
      summary: 'Create a feature',
      tag,
      description:
        'A name for what customers can be entitled to. Tiers and entitlements may use keys that are not listed here; one that is brings its meter along.',
      permission: 'tiers:write',
      body: featureInput,
      example: { key: 'exports', name: 'Exports' },
      success: [201, feature],
    }),
  },
  '/api/v1/features/{id}': {
    get: operation({ summary: 'Get a feature', tag, permission: 'tiers:read', params, success: [200, feature] }),
    patch: operation({
      summary: 'Change a feature',
      tag,
      description:
        'Calls it otherwise, archives it, or brings it back while no other feature has its key. Key and meter never change.',
      permission: 'tiers:write',
      params,
      body: featurePatch,
      example: { name: 'Exports of any size' },
      success: [200, feature],
    }),
    delete: operation({
      summary: 'Archive a feature',
      tag,
      description: 'Entitlements stay as they are; the key may be given to another feature.',
      permission: 'tiers:write',
      params,
      success: [200, feature],
    }),
  },
}
