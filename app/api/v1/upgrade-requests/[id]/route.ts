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
    return ApiResponse.success(
      await decideRequest(params.id ?? '', status, (customer, tier) => setSubscription(customer, { tier })),
    )
  },
  { permission: 'customers:write' },
)
