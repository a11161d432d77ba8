import { countActiveCustomers } from '@/features/overview/services/active-customers-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(async () => ApiResponse.success(await countActiveCustomers()), {
  permission: 'usage:read',
})
