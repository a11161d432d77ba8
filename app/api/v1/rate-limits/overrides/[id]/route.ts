import { overridePatch } from '@/features/rate-limits/schema'
import { deleteOverride, getOverride, updateOverride } from '@/features/rate-limits/services/override-service'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await getOverride(params.id ?? '')),
  { permission: 'rate-limits:read' },
)

export const PATCH = withTenantAuth(
  async (request, { params }) =>
    ApiResponse.success(await updateOverride(params.id ?? '', await readJson(request, overridePatch))),
  { permission: 'rate-limits:write' },
)

export const DELETE = withTenantAuth(
  async (_request, { params }) => {
    await deleteOverride(params.id ?? '')
    return ApiResponse.noContent()
  },
  { permission: 'rate-limits:write' },
)
