import { trendsQuery } from '@/features/usage-tracking/schema'
import { reportTrends } from '@/features/usage-tracking/services/usage-trend-service'
import { readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => ApiResponse.success(await reportTrends(readQuery(request, trendsQuery))),
  { permission: 'usage:read' },
)
