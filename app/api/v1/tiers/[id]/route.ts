import { tierPatch, tierQuery } from '@/features/tiers/schema'
import { getTier, updateTier } from '@/features/tiers/services/tier-service'
import { readJson, readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request, { params }) =>
    ApiResponse.success(await getTier(params.id ?? '', readQuery(request, tierQuery).version)),
  { permission: 'tiers:read' },
)

export const PATCH = withTenantAuth(
  async (request, { params }) =>
    ApiResponse.success(await updateTier(params.id ?? '', await readJson(request, tierPatch))),
  { permission: 'tiers:write' },
)

export const DELETE = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await updateTier(params.id ?? '', { archived: true })),
  { permission: 'tiers:write' },
)
