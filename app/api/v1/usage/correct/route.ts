import { trackQuery } from '@/features/usage-tracking/schema'
import { correctUsage } from '@/features/usage-tracking/services/usage-correction-service'
import { parseJson, readBody, readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const POST = withTenantAuth(
  async (request) => {
    const { strict } = readQuery(request, trackQuery)
    return ApiResponse.success(await correctUsage(parseJson(await readBody(request)), { strict: strict === 'true' }))
  },
  { permission: 'usage:write' },
)
