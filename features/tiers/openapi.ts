import { z } from 'zod'
import { operation, pageOf } from '@/libs/api-utils/openapi'
import { pageQuery } from '@/libs/api-utils/page'
import {
  tier,
  tierInput,
  tierListQuery,
  tierMove,
  tierMoved,
  tierPatch,
  tierPreview,
  tierQuery,
  tierVersion,
} from './schema'

const tag = 'Tiers'
const params = z.object({ id: z.string().meta({ description: 'Id or slug', example: 'pro' }) })

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
        'A cap is a number (a hard cap per month) or `{limit, behaviour, period, rollover, preserve_overage}`. A meter that `usage_caps` names and that does not exist is made, summing, and listed in `created_meters`.',
      permission: 'tiers:write',
      body: tierInput,
      example: {
        name: 'Pro',
        slug: 'pro',
        price: 49.99,
        currency: 'EUR',
        usage_caps: { api_calls: { limit: 10_000, behaviour: 'reject' } },
        feature_entitlements: ['exports'],
      },
      success: [201, tier],
    }),
  },
  '/api/v1/tiers/{id}': {
    get: operation({
      summary: 'Get a tier',
      tag,
      description: 'In its newest version, or in the one asked for.',
      permission: 'tiers:read',
      params,
      query: tierQuery,
      success: [200, tier],
    }),
    patch: operation({
      summary: 'Change a tier',
      tag,
      description:
        'Another price, caps or features make a new version, which new subscriptions get and customers without a subscription have at once when the tier is the default. Subscriptions keep their version until they are moved: with `move: true` now, or later. Moved caps hold for the very next event.',
      permission: 'tiers:write',
      params,
      body: tierPatch,
      example: { usage_caps: { api_calls: 20_000 } },
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
  '/api/v1/tiers/{id}/versions': {
    get: operation({
      summary: 'List the versions of a tier',
      tag,
      description: 'The newest first.',
      permission: 'tiers:read',
      params,
      query: pageQuery,
      success: [200, pageOf(tierVersion)],
    }),
  },
  '/api/v1/tiers/{id}/move': {
    post: operation({
      summary: 'Move subscriptions to the newest version of a tier',
      tag,
      description: 'All of them, or some. Needs `customers:write` too. What was used so far stays counted.',
      permission: 'tiers:write',
      params,
      body: tierMove,
      example: { customers: ['customer-42'] },
      bodyOptional: true,
      success: [200, tierMoved],
    }),
  },
  '/api/v1/tiers/{id}/preview': {
    post: operation({
      summary: 'Who a change of a tier would concern',
      tag,
      description:
        'Takes what PATCH takes and changes nothing: who would be over a cap in the present period if everybody were moved, and who no longer.',
      permission: 'tiers:write',
      params,
      query: pageQuery,
      body: tierPatch,
      example: { usage_caps: { api_calls: 5_000 } },
      success: [200, tierPreview],
    }),
  },
}
