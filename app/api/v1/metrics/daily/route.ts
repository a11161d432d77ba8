import { metricDaysQuery } from '@/features/metrics/schema'
import { reportMetricDays } from '@/features/metrics/services/metric-trend-service'
import { readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => ApiResponse.success(await reportMetricDays(readQuery(request, metricDaysQuery))),
  { permission: 'metrics:read' },
)
