import { billingExportQuery } from '@/features/billing-periods/schema'
import { exportUsageCut } from '@/features/billing-periods/services/billing-export-service'
import { readQuery } from '@/libs/api-utils/read-json'
import { withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request, { tenant }) => {
    const file = await exportUsageCut(readQuery(request, billingExportQuery), tenant.slug, request)
    return new Response(file.body, {
      headers: { 'content-type': file.content_type, 'content-disposition': `attachment; filename="${file.file_name}"` },
    })
  },
  { permission: 'billing-periods:read', transaction: 'none' },
)
