import { z } from 'zod'
import { operation, pageOf } from '@/libs/api-utils/openapi'
import {
  portalTiers,
  upgradeRequest,
  upgradeRequestInput,
  upgradeRequestListQuery,
  upgradeRequestPatch,
} from './schema'

const params = z.object({ id: z.uuid().meta({ description: 'Id of the request' }) })

export const paths = {
  '/api/v1/upgrade-requests': {
    get: operation({
      summary: 'List what customers asked for',
      tag: 'Customers',
      description: 'The newest first.',
      permission: 'customers:read',
      query: upgradeRequestListQuery,
      success: [200, pageOf(upgradeRequest)],
    }),
  },
  '/api/v1/upgrade-requests/{id}': {
    get: operation({
      summary: 'Get an upgrade request',
      tag: 'Customers',
      permission: 'customers:read',
      params,
      success: [200, upgradeRequest],
    }),
    patch: operation({
      summary: 'Accept or decline an upgrade request',
      tag: 'Customers',
      description:
        'Accepting gives the customer the tier. Whoever asked is told by mail. 409 when it is decided already.',
      permission: 'customers:write',
      params,
      body: upgradeRequestPatch,
      example: { status: 'accepted' },
      success: [200, upgradeRequest],
    }),
  },
  '/api/v1/portal/tiers': {
    get: operation({
      summary: 'The tiers a signed-in customer has and may have',
      tag: 'Portal',
      permission: 'portal:read',
      success: [200, portalTiers],
    }),
  },
  '/api/v1/portal/upgrade-requests': {
    post: operation({
      summary: 'Ask for a tier, or take it',
      tag: 'Portal',
      description:
        'A tier with `self_service` holds at once (`accepted`). Any other is asked for: the admins of the tenant are told by mail, and `upgrade.requested` goes to connectors. An open request for another tier is withdrawn.',
      permission: 'portal:write',
      body: upgradeRequestInput,
      example: { tier: 'pro', note: 'We open a second shop.' },
      limited: true,
      success: [201, upgradeRequest],
    }),
  },
  '/api/v1/portal/upgrade-requests/{id}': {
    delete: operation({
      summary: 'Withdraw an upgrade request',
      tag: 'Portal',
      permission: 'portal:write',
      params,
      success: [200, upgradeRequest],
    }),
  },
}
