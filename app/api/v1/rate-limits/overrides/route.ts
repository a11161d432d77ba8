import { overrideInput, overrideListQuery } from '@/features/rate-limits/schema'
import { listOverrides, setOverride } from '@/features/rate-limits/services/override-service'
import { readJson, readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => ApiResponse.page(await listOverrides(readQuery(request, overrideListQuery))),
  { permission: 'rate-limits:read' },
)

export const POST = withTenantAuth(
  async (request) => {
    const { override, created } = await setOverride(await readJson(request, overrideInput))
    return created ? ApiResponse.created(override) : ApiResponse.success(override)
  },
  { permission: 'rate-limits:write' },
)
