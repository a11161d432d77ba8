import { countRejections } from '@/features/usage-tracking/services/usage-rejection-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(async () => ApiResponse.page(await countRejections(), null), {
  permission: 'usage:read',
})
