import { entitlementTerms } from '@/features/entitlements/schema'
import { getEntitlement } from '@/features/entitlements/services/entitlement-service'
import { cancelEntitlement, replaceEntitlement } from '@/features/entitlements/services/entitlement-write-service'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await getEntitlement(params.id ?? '', params.feature ?? '')),
  { permission: 'customers:read' },
)

export const PUT = withTenantAuth(
  async (request, { params }) => {
    const terms = await readJson(request, entitlementTerms)
    return ApiResponse.success(await replaceEntitlement(params.id ?? '', params.feature ?? '', terms))
  },
  { permission: 'customers:write' },
)

export const DELETE = withTenantAuth(
  async (_request, { params }) => {
    await cancelEntitlement(params.id ?? '', params.feature ?? '')
    return ApiResponse.noContent()
  },
  { permission: 'customers:write' },
)
