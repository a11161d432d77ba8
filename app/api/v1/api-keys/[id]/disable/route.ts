import { switchApiKey } from '@/features/api-keys/services/api-key-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const POST = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await switchApiKey(params.id ?? '', false)),
  { permission: 'api-keys:write' },
)
