import { upgradeRequestListQuery } from '@/features/upgrade-requests/schema'
import { listUpgradeRequests } from '@/features/upgrade-requests/services/upgrade-request-service'
import { readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => {
    const { data, next_cursor } = await listUpgradeRequests(readQuery(request, upgradeRequestListQuery))
    return ApiResponse.page(data, next_cursor)
  },
  { permission: 'customers:read' },
)
