import { rateLimitCall, rateLimitCalls } from '@/features/rate-limits/schema'
import { callLimits } from '@/features/rate-limits/services/rate-limit-service'
import { parseInput, parseJson, readBody } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const POST = withTenantAuth(
  async (request) => {
    const body = parseJson(await readBody(request))
    const several = Array.isArray(body)
    // One or the other, so that what is wrong is said where it is.
    const calls = several ? parseInput(rateLimitCalls, body) : [parseInput(rateLimitCall, body)]
    const { headers, ...answer } = await callLimits(calls)
    return ApiResponse.success(several ? answer : answer.limits[0], { headers })
  },
  { permission: 'usage:write', transaction: 'keyed' },
)
