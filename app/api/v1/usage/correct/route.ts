import { correctQuery } from '@/features/usage-tracking/services/correction-schema'
import { correctUsage } from '@/features/usage-tracking/services/usage-correction-service'
import { parseJson, readBody, readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const POST = withTenantAuth(
  async (request) => {
    const { strict } = readQuery(request, correctQuery)
    return ApiResponse.success(
      await correctUsage(parseJson(await readBody(request), { lenient: true }), { strict: strict === 'true' }),
    )
  },
  { permission: 'usage:write' },
)
