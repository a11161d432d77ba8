import { listStripeMeters } from '@/features/stripe-exports/services/stripe-meter-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (_request, { params }) =>
    ApiResponse.page({ data: await listStripeMeters(params.id ?? ''), next_cursor: null }),
  { permission: 'stripe-exports:read' },
)
