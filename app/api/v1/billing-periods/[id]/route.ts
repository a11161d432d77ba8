import { getBillingPeriod } from '@/features/billing-periods/services/billing-period-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await getBillingPeriod(params.id ?? '')),
  { permission: 'billing-periods:read' },
)
