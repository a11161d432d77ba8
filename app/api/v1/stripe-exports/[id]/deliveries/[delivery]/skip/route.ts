import { skipStripeDelivery } from '@/features/stripe-exports/services/stripe-delivery-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const POST = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await skipStripeDelivery(params.id ?? '', params.delivery ?? '')),
  { permission: 'stripe-exports:write' },
)
