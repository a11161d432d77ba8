import { reserveInput } from '@/features/reservations/schema'
import { reserveUsage } from '@/features/reservations/services/reservation-service'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const POST = withTenantAuth(
  async (request) => ApiResponse.success(await reserveUsage(await readJson(request, reserveInput))),
  { permission: 'usage:write' },
)
