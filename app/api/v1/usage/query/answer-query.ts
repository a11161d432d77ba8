import { queryUsage, usageSeriesToCsv } from '@/features/usage-tracking/services/usage-query-service'
import { ApiResponse } from '@/libs/api-utils/api-response'
import { CSV_TYPE } from '@/libs/csv-file'
import { invalidInput } from '@/libs/errors'
import { readUsageQuery } from '@/libs/metering/usage-query'

/** Answers a question about usage as JSON or CSV; the meter is named by the path, or by `meter` when that is null. */
export async function answerUsageQuery(request: Request, ref: string | null): Promise<Response> {
  const { query, rest } = readUsageQuery(request, ref === null ? ['meter', 'format'] : ['format'])
  const { meter = ref, format = 'json' } = rest
  if (!meter) throw invalidInput('/meter', 'is needed: id or slug of a meter')
  if (format !== 'json' && format !== 'csv') throw invalidInput('/format', 'must be json or csv')
  const series = await queryUsage(meter, query)
  if (format === 'json') return ApiResponse.success(series)
  return ApiResponse.file({
    file_name: `usage-${series.meter.slug}.csv`,
    content_type: CSV_TYPE,
    body: usageSeriesToCsv(series, query.group_by),
  })
}
