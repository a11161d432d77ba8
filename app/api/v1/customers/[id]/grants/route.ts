import { grantInput, grantListQuery } from '@/features/entitlements/schema'
import { createGrant, listGrants } from '@/features/entitlements/services/grant-service'
import { readJson, readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request, { params }) =>
    ApiResponse.page(await listGrants(params.id ?? '', readQuery(request, grantListQuery))),
  { permission: 'customers:read' },
)

export const POST = withTenantAuth(
  async (request, { params }) =>
    ApiResponse.created(await createGrant(params.id ?? '', await readJson(request, grantInput))),
  { permission: 'customers:write' },
)
