import { billingDownloadQuery } from '@/features/billing-periods/schema'
import { downloadBillingPeriod } from '@/features/billing-periods/services/billing-export-service'
import { readQuery } from '@/libs/api-utils/read-json'
import { withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request, { params, tenant }) => {
    const { format } = readQuery(request, billingDownloadQuery)
    const file = await downloadBillingPeriod(params.id ?? '', format, tenant.slug, request)
    return new Response(file.body, {
      headers: { 'content-type': file.content_type, 'content-disposition': `attachment; filename="${file.file_name}"` },
    })
  },
  { permission: 'billing-periods:read', transaction: 'none' },
)
