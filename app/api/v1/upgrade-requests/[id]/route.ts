import { setSubscription } from '@/features/customers/services/subscription-service'
import { upgradeRequestPatch } from '@/features/upgrade-requests/schema'
import { decideRequest, getUpgradeRequest } from '@/features/upgrade-requests/services/upgrade-request-service'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await getUpgradeRequest(params.id ?? '')),
  { permission: 'customers:read' },
)

export const PATCH = withTenantAuth(
  async (request, { params }) => {
    const { status } = await readJson(request, upgradeRequestPatch)
    const before = await getUpgradeRequest(params.id ?? '')
    const decided = await decideRequest(before.id, status)
    // A request that was accepted before gave its tier then; the customer may have another one by now.
    if (before.status === 'open' && status === 'accepted') {
      await setSubscription(decided.customer.id, { tier: decided.tier.id })
    }
    return ApiResponse.success(decided)
  },
  { permission: 'customers:write' },
)
