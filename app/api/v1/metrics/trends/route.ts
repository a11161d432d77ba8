import { metricDaysQuery } from '@/features/metrics/schema'
import { reportMetricTrends } from '@/features/metrics/services/metric-trend-service'
import { readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => ApiResponse.success(await reportMetricTrends(readQuery(request, metricDaysQuery))),
  { permission: 'metrics:read' },
)
