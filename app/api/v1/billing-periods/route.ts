import { billingPeriodInput, billingPeriodListQuery } from '@/features/billing-periods/schema'
import { closeBillingPeriod, listBillingPeriods } from '@/features/billing-periods/services/billing-period-service'
import { readJson, readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => ApiResponse.page(await listBillingPeriods(readQuery(request, billingPeriodListQuery))),
  { permission: 'billing-periods:read' },
)

export const POST = withTenantAuth(
  async (request) => {
    const period = await closeBillingPeriod(await readJson(request, billingPeriodInput))
    return ApiResponse.created(period, `/api/v1/billing-periods/${period.id}`)
  },
  { permission: 'billing-periods:write' },
)
