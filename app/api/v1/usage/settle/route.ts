import { settleInput } from '@/features/reservations/schema'
import { settleReservation } from '@/features/reservations/services/reservation-service'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const POST = withTenantAuth(
  async (request) => ApiResponse.success(await settleReservation(await readJson(request, settleInput))),
  { permission: 'usage:write' },
)
