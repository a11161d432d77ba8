import { balanceQuery } from '@/features/entitlements/schema'
import { getBalance } from '@/features/entitlements/services/balance-service'
import { readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request, { params }) =>
    ApiResponse.success(await getBalance(params.id ?? '', readQuery(request, balanceQuery).meter)),
  { permission: 'customers:read' },
)
