import { listPortalTiers } from '@/features/upgrade-requests/services/portal-tier-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(async () => ApiResponse.success(await listPortalTiers()), {
  permission: 'portal:read',
})
