import { historyQuery } from '@/features/entitlements/schema'
import { listBalanceHistory } from '@/features/entitlements/services/balance-service'
import { readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request, { params }) =>
    ApiResponse.success(await listBalanceHistory(params.id ?? '', readQuery(request, historyQuery))),
  { permission: 'customers:read' },
)
