import { getEntitlementValue } from '@/features/entitlements/services/entitlement-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await getEntitlementValue(params.id ?? '', params.feature ?? '')),
  { permission: 'customers:read' },
)
