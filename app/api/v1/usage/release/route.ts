import { releaseInput } from '@/features/reservations/schema'
import { releaseReservation } from '@/features/reservations/services/reservation-service'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const POST = withTenantAuth(
  async (request) =>
    ApiResponse.success(await releaseReservation((await readJson(request, releaseInput)).reservation_id)),
  { permission: 'usage:write' },
)
