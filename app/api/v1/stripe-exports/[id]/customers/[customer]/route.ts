import { stripeCustomerInput } from '@/features/stripe-exports/schema'
import { linkStripeCustomer } from '@/features/stripe-exports/services/stripe-customer-service'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const PUT = withTenantAuth(
  async (request, { params }) =>
    ApiResponse.success(
      await linkStripeCustomer(params.id ?? '', params.customer ?? '', await readJson(request, stripeCustomerInput)),
    ),
  { permission: 'stripe-exports:write' },
)
