import { usageCapsQuery } from '@/features/usage-tracking/schema'
import { listCappedCustomers } from '@/features/usage-tracking/services/usage-caps-service'
import { readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => ApiResponse.page(await listCappedCustomers(readQuery(request, usageCapsQuery))),
  { permission: 'usage:read' },
)
