import { creditsInput } from '@/features/customer-keys/schema'
import { changeCredits } from '@/features/customer-keys/services/customer-key-service'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const POST = withTenantAuth(
  async (request, { params }) =>
    ApiResponse.success(await changeCredits(params.id ?? '', await readJson(request, creditsInput))),
  { permission: 'customer-keys:write' },
)
