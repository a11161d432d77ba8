import { featureInput, featureListQuery } from '@/features/features/schema'
import { createFeature, listFeatures } from '@/features/features/services/feature-service'
import { readJson, readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => ApiResponse.page(await listFeatures(readQuery(request, featureListQuery))),
  { permission: 'tiers:read' },
)

export const POST = withTenantAuth(
  async (request) => ApiResponse.created(await createFeature(await readJson(request, featureInput))),
  { permission: 'tiers:write' },
)
