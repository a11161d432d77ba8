import { getReconciliation } from '@/features/reconciliations/services/reconciliation-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await getReconciliation(params.id ?? '')),
  { permission: 'usage:read' },
)
