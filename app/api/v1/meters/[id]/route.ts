import { meterPatch } from '@/features/meters/schema'
import { getMeter, updateMeter } from '@/features/meters/services/meter-service'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await getMeter(params.id ?? '')),
  { permission: 'meters:read' },
)

export const PATCH = withTenantAuth(
  async (request, { params }) =>
    ApiResponse.success(await updateMeter(params.id ?? '', await readJson(request, meterPatch))),
  { permission: 'meters:write' },
)

export const DELETE = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await updateMeter(params.id ?? '', { archived: true })),
  { permission: 'meters:write' },
)
