import { meterInput, meterListQuery } from '@/features/meters/schema'
import { createMeter, listMeters } from '@/features/meters/services/meter-service'
import { readJson, readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => ApiResponse.page(await listMeters(readQuery(request, meterListQuery))),
  { permission: 'meters:read' },
)

export const POST = withTenantAuth(
  async (request) => ApiResponse.created(await createMeter(await readJson(request, meterInput))),
  { permission: 'meters:write' },
)
