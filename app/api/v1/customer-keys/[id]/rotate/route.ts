import { GRACES, rotationInput } from '@/features/customer-keys/schema'
import { rotateCustomerKey } from '@/features/customer-keys/services/rotation-service'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const POST = withTenantAuth(
  async (request, { params }) => {
    const { grace } = await readJson(request, rotationInput, { optional: true })
    return ApiResponse.created(await rotateCustomerKey(params.id ?? '', GRACES[grace] * 1_000))
  },
  { permission: 'customer-keys:write' },
)
