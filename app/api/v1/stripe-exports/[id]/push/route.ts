import { askForPush } from '@/features/stripe-exports/services/stripe-export-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const POST = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await askForPush(params.id ?? '')),
  { permission: 'stripe-exports:write' },
)
