import { z } from 'zod'
import { operation, pageOf } from '@/libs/api-utils/openapi'
import { tier, tierInput, tierListQuery, tierPatch } from './schema'

const tag = 'Tiers'
const params = z.object({ id: z.string().meta({ description: 'Id or slug' }) })

export const paths = {
  '/api/v1/tiers': {
    get: operation({
      summary: 'List tiers',
      tag,
      description: 'The cheapest first.',
      permission: 'tiers:read',
      query: tierListQuery,
      success: [200, pageOf(tier)],
    }),
    post: operation({
      summary: 'Create a tier',
      tag,
      description:
        'A cap is a number (a hard cap per month) or `{limit, behaviour, period}`. A meter that `usage_caps` names and that does not exist is made, summing, and listed in `created_meters`.',
      permission: 'tiers:write',
      body: tierInput,
      success: [201, tier],
    }),
  },
  '/api/v1/tiers/{id}': {
    get: operation({ summary: 'Get a tier', tag, permission: 'tiers:read', params, success: [200, tier] }),
    patch: operation({
      summary: 'Change a tier',
      tag,
      description: 'Changed caps hold for the very next event of every customer who has the tier.',
      permission: 'tiers:write',
      params,
      body: tierPatch,
      success: [200, tier],
    }),
    delete: operation({
      summary: 'Archive a tier',
      tag,
      description: '409 while customers have it.',
      permission: 'tiers:write',
      params,
      success: [200, tier],
    }),
  },
}
