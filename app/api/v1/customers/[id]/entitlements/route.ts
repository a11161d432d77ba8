import { getEntitlements } from '@/features/customers/services/entitlement-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await getEntitlements(params.id ?? '')),
  { permission: 'customers:read' },
)
