import { metricInput, metricsQuery } from '@/features/metrics/schema'
import { addMetric, reportMetrics } from '@/features/metrics/services/metric-service'
import { readJson, readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => {
    readQuery(request, metricsQuery)
    return ApiResponse.success(await reportMetrics())
  },
  { permission: 'metrics:read' },
)

export const POST = withTenantAuth(
  async (request) => ApiResponse.created(await addMetric(await readJson(request, metricInput))),
  { permission: 'metrics:write' },
)
