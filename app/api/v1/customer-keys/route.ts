import { customerKeyInput, customerKeyListQuery } from '@/features/customer-keys/schema'
import { createCustomerKey, listCustomerKeys } from '@/features/customer-keys/services/customer-key-service'
import { readJson, readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => ApiResponse.page(await listCustomerKeys(readQuery(request, customerKeyListQuery))),
  { permission: 'customer-keys:read' },
)

export const POST = withTenantAuth(
  async (request) => ApiResponse.created(await createCustomerKey(await readJson(request, customerKeyInput))),
  { permission: 'customer-keys:write' },
)
