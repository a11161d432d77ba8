import { reportQuery } from '@/features/reports/schema'
import { reportToCsv } from '@/features/reports/services/report-csv-service'
import { reportMonth } from '@/features/reports/services/report-service'
import { readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'
import { CSV_TYPE } from '@/libs/csv-file'

export const GET = withTenantAuth(
  async (request) => {
    const query = readQuery(request, reportQuery)
    const report = await reportMonth(query)
    if (query.format === 'json') return ApiResponse.success(report)
    return ApiResponse.file({
      file_name: `usage-${report.month}.csv`,
      content_type: CSV_TYPE,
      body: reportToCsv(report),
    })
  },
  { permission: 'usage:read' },
)
