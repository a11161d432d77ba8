import { retryStripeDeliveries } from '@/features/stripe-exports/services/stripe-delivery-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const POST = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await retryStripeDeliveries(params.id ?? '')),
  { permission: 'stripe-exports:write' },
)
