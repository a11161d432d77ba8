import { auditLogExportInput, auditLogExportQuery } from '@/features/audit-logs/schema'
import { exportAuditLogs } from '@/features/audit-logs/services/audit-export-service'
import { readJson, readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request, { tenant }) =>
    ApiResponse.file(await exportAuditLogs(readQuery(request, auditLogExportQuery), tenant.slug, request)),
  { permission: 'audit-logs:read', transaction: 'none' },
)

export const POST = withTenantAuth(
  async (request, { tenant }) =>
    ApiResponse.file(await exportAuditLogs(await readJson(request, auditLogExportInput), tenant.slug, request)),
  { permission: 'audit-logs:read', transaction: 'none' },
)
