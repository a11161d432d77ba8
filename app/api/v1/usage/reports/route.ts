import { reportQuery } from '@/features/reports/schema'
import { reportToCsv } from '@/features/reports/services/report-csv-service'
import { reportMonth } from '@/features/reports/services/report-service'
import { readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => {
    const query = readQuery(request, reportQuery)
    const report = await reportMonth(query)
    if (query.format === 'json') return ApiResponse.success(report)
    return new Response(reportToCsv(report), {
      headers: {
        'content-type': 'text/csv; charset=utf-8',
        'content-disposition': `attachment; filename="usage-${report.month}.csv"`,
      },
    })
  },
  { permission: 'usage:read' },
)
