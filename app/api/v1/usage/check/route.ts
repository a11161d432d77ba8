import { checkRequest } from '@/features/usage-tracking/services/track-request-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const POST = withTenantAuth(async (request) => ApiResponse.success(await checkRequest(request)), {
  permission: ['usage:read', 'usage:write'],
  transaction: 'none',
})
