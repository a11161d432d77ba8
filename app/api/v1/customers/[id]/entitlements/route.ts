import { entitlementInput } from '@/features/entitlements/schema'
import { listEntitlements } from '@/features/entitlements/services/entitlement-service'
import { createEntitlement } from '@/features/entitlements/services/entitlement-write-service'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await listEntitlements(params.id ?? '')),
  { permission: 'customers:read' },
)

export const POST = withTenantAuth(
  async (request, { params }) =>
    ApiResponse.created(await createEntitlement(params.id ?? '', await readJson(request, entitlementInput))),
  { permission: 'customers:write' },
)
