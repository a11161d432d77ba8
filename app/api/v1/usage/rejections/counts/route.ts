import { countRejections } from '@/features/usage-tracking/services/usage-rejection-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(async () => ApiResponse.page({ data: await countRejections(), next_cursor: null }), {
  permission: 'usage:read',
})
