import { auditLogListQuery } from '@/features/audit-logs/schema'
import { listAuditLogs } from '@/features/audit-logs/services/audit-log-service'
import { readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => {
    const { data, next_cursor } = await listAuditLogs(readQuery(request, auditLogListQuery))
    return ApiResponse.page(data, next_cursor)
  },
  { permission: 'audit-logs:read' },
)
