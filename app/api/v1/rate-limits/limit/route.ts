import { rateLimitInput } from '@/features/rate-limits/schema'
import { callLimits } from '@/features/rate-limits/services/rate-limit-service'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const POST = withTenantAuth(
  async (request) => {
    const input = await readJson(request, rateLimitInput)
    const { headers, ...answer } = await callLimits(Array.isArray(input) ? input : [input])
    return ApiResponse.success(Array.isArray(input) ? answer : answer.limits[0], { headers })
  },
  { permission: 'usage:write', transaction: 'none' },
)
