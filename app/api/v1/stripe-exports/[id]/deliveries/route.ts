import { stripeDeliveryListQuery } from '@/features/stripe-exports/schema'
import { listStripeDeliveries } from '@/features/stripe-exports/services/stripe-delivery-service'
import { readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request, { params }) => {
    const query = readQuery(request, stripeDeliveryListQuery)
    return ApiResponse.page(await listStripeDeliveries(params.id ?? '', query))
  },
  { permission: 'stripe-exports:read' },
)
