import { tierInput, tierListQuery } from '@/features/tiers/schema'
import { createTier, listTiers } from '@/features/tiers/services/tier-service'
import { readJson, readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => ApiResponse.page(await listTiers(readQuery(request, tierListQuery))),
  { permission: 'tiers:read' },
)

export const POST = withTenantAuth(
  async (request) => ApiResponse.created(await createTier(await readJson(request, tierInput))),
  { permission: 'tiers:write' },
)
