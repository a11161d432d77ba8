import { apiKeyInput, apiKeyListQuery } from '@/features/api-keys/schema'
import { createApiKey, listApiKeys } from '@/features/api-keys/services/api-key-service'
import { readJson, readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => ApiResponse.page(await listApiKeys(readQuery(request, apiKeyListQuery))),
  { permission: 'api-keys:read' },
)

export const POST = withTenantAuth(
  async (request) => ApiResponse.created(await createApiKey(await readJson(request, apiKeyInput))),
  {
    permission: 'api-keys:write',
  },
)
