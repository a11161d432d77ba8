import { billingDownloadQuery } from '@/features/billing-periods/schema'
import { downloadBillingPeriod } from '@/features/billing-periods/services/billing-export-service'
import { readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request, { params, tenant }) => {
    const { format } = readQuery(request, billingDownloadQuery)
    return ApiResponse.file(await downloadBillingPeriod(params.id ?? '', format, tenant.slug, request))
  },
  { permission: 'billing-periods:read', transaction: 'none' },
)
