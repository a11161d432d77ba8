import { getGrant, voidGrant } from '@/features/entitlements/services/grant-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await getGrant(params.id ?? '', params.grant ?? '')),
  { permission: 'customers:read' },
)

export const DELETE = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await voidGrant(params.id ?? '', params.grant ?? '')),
  { permission: 'customers:write' },
)
