import { getPortalOverview } from '@/features/entitlements/services/portal-overview-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(async () => ApiResponse.success(await getPortalOverview()), {
  permission: 'portal:read',
})
