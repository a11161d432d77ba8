import { portalUsageQuery } from '@/features/portal/schema'
import { reportPortalUsage } from '@/features/portal/services/portal-usage-service'
import { readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => ApiResponse.success(await reportPortalUsage(readQuery(request, portalUsageQuery))),
  { permission: 'portal:read' },
)
