import { type AuditLogExportInput, auditLogExportInput, auditLogExportQuery } from '@/features/audit-logs/schema'
import { exportAuditLogs } from '@/features/audit-logs/services/audit-export-service'
import { readJson, readQuery } from '@/libs/api-utils/read-json'
import { type TenantRequestContext, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

async function download(
  request: Request,
  input: AuditLogExportInput,
  { tenant }: TenantRequestContext,
): Promise<Response> {
  const { body, file_name, content_type } = await exportAuditLogs(input, tenant.slug, request)
  return new Response(body, {
    headers: { 'content-type': content_type, 'content-disposition': `attachment; filename="${file_name}"` },
  })
}

export const GET = withTenantAuth(
  async (request, context) => download(request, readQuery(request, auditLogExportQuery), context),
  { permission: 'audit-logs:read', transaction: 'none' },
)

export const POST = withTenantAuth(
  async (request, context) => download(request, await readJson(request, auditLogExportInput), context),
  { permission: 'audit-logs:read', transaction: 'none' },
)
