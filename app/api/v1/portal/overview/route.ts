import { getPortalOverview } from '@/features/customers/services/entitlement-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(async () => ApiResponse.success(await getPortalOverview()), {
  permission: 'portal:read',
})
