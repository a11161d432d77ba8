import { getTenantInfo } from '@/features/tenants/services/tenant-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (_request, { role }) => ApiResponse.success({ ...(await getTenantInfo()), role }),
  { permission: ['tenants:read', 'portal:read'] },
)
