import { auditLogListQuery } from '@/features/audit-logs/schema'
import { listAuditLogs } from '@/features/audit-logs/services/audit-log-service'
import { readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => ApiResponse.page(await listAuditLogs(readQuery(request, auditLogListQuery))),
  { permission: 'audit-logs:read' },
)
