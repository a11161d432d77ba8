import { listAuditLogFacets } from '@/features/audit-logs/services/audit-log-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(async () => ApiResponse.success(await listAuditLogFacets()), {
  permission: 'audit-logs:read',
})
