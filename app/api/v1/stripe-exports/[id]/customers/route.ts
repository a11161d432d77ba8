import { stripeCustomerListQuery } from '@/features/stripe-exports/schema'
import { listStripeCustomers } from '@/features/stripe-exports/services/stripe-customer-service'
import { readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request, { params }) => {
    const query = readQuery(request, stripeCustomerListQuery)
    return ApiResponse.page(await listStripeCustomers(params.id ?? '', query))
  },
  { permission: 'stripe-exports:read' },
)
