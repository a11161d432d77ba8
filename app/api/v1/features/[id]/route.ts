import { featurePatch } from '@/features/features/schema'
import { archiveFeature, getFeature, updateFeature } from '@/features/features/services/feature-service'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await getFeature(params.id ?? '')),
  { permission: 'tiers:read' },
)

export const PATCH = withTenantAuth(
  async (request, { params }) =>
    ApiResponse.success(await updateFeature(params.id ?? '', await readJson(request, featurePatch))),
  { permission: 'tiers:write' },
)

export const DELETE = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await archiveFeature(params.id ?? '')),
  { permission: 'tiers:write' },
)
