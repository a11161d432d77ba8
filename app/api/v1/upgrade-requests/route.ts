import { upgradeRequestListQuery } from '@/features/upgrade-requests/schema'
import { listUpgradeRequests } from '@/features/upgrade-requests/services/upgrade-request-service'
import { readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => ApiResponse.page(await listUpgradeRequests(readQuery(request, upgradeRequestListQuery))),
  { permission: 'customers:read' },
)
