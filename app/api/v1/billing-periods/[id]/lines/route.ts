import { billingLineListQuery } from '@/features/billing-periods/schema'
import { listBillingLines } from '@/features/billing-periods/services/billing-period-service'
import { readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request, { params }) =>
    ApiResponse.page(await listBillingLines(params.id ?? '', readQuery(request, billingLineListQuery))),
  { permission: 'billing-periods:read' },
)
