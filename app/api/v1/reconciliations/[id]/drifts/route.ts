import { reconciliationListQuery } from '@/features/reconciliations/schema'
import { listDrifts } from '@/features/reconciliations/services/reconciliation-service'
import { readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request, { params }) =>
    ApiResponse.page(await listDrifts(params.id ?? '', readQuery(request, reconciliationListQuery))),
  { permission: 'usage:read' },
)
