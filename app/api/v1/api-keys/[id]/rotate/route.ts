import { apiKeyRotation } from '@/features/api-keys/schema'
import { rotateApiKey } from '@/features/api-keys/services/api-key-service'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const POST = withTenantAuth(
  async (request, { params }) => {
    const { grace } = await readJson(request, apiKeyRotation, { optional: true })
    return ApiResponse.created(await rotateApiKey(params.id ?? '', grace))
  },
  { permission: 'api-keys:write' },
)
