import { repairReconciliation } from '@/features/reconciliations/services/reconciliation-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const POST = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await repairReconciliation(params.id ?? '')),
  { permission: 'usage:write' },
)
