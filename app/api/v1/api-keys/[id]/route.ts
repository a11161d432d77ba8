import { getApiKey, revokeApiKey } from '@/features/api-keys/services/api-key-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await getApiKey(params.id ?? '')),
  {
    permission: 'api-keys:read',
  },
)

export const DELETE = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await revokeApiKey(params.id ?? '')),
  {
    permission: 'api-keys:write',
  },
)
