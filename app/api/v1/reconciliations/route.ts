import { reconciliationListQuery } from '@/features/reconciliations/schema'
import { listReconciliations, requestReconciliation } from '@/features/reconciliations/services/reconciliation-service'
import { readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => ApiResponse.page(await listReconciliations(readQuery(request, reconciliationListQuery))),
  { permission: 'usage:read' },
)

export const POST = withTenantAuth(async () => ApiResponse.accepted(await requestReconciliation()), {
  permission: 'usage:write',
})
