import { getAuditLog } from '@/features/audit-logs/services/audit-log-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await getAuditLog(params.id ?? '')),
  { permission: 'audit-logs:read' },
)
