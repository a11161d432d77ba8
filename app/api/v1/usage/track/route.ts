import { trackRequest } from '@/features/usage-tracking/services/track-request-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const POST = withTenantAuth(
  async (request) => {
    const { replayed, ...result } = await trackRequest(request)
    return ApiResponse.success(result, replayed ? { headers: { 'idempotent-replayed': 'true' } } : {})
  },
  { permission: 'usage:write', transaction: 'none' },
)
