import { verifyInput } from '@/features/customer-keys/schema'
import { verifyCustomerKey } from '@/features/customer-keys/services/verification-service'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const POST = withTenantAuth(
  async (request) => ApiResponse.success(await verifyCustomerKey(await readJson(request, verifyInput))),
  { permission: 'usage:write', transaction: 'keyed' },
)
