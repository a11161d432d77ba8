import { dailyQuery } from '@/features/usage-tracking/schema'
import { reportDailyUsage } from '@/features/usage-tracking/services/usage-report-service'
import { readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => ApiResponse.success(await reportDailyUsage(readQuery(request, dailyQuery))),
  { permission: 'usage:read' },
)
