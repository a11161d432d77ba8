import type { UsageSeries } from '@/libs/metering/usage-query'
import type { ChartPoint, ChartSeries } from '@/libs/ui/chart-data'
import { t } from '@/libs/ui/messages'

const MOST_SERIES = 8

/** Whether the figures of windows and groups add up to a whole. */
export function addsUp(aggregation: string): boolean {
  return aggregation === 'SUM' || aggregation === 'COUNT'
}

type SeriesRow = UsageSeries['data'][number]

/** What tells a row's group from others, in words. */
export function groupLabel({ customer, group }: SeriesRow): string {
  const parts = [
    ...(customer ? [customer.name ?? customer.external_id] : []),
    ...Object.values(group ?? {}).map((value) => value ?? t('usage.explorer.missing')),
  ]
  return parts.join(' · ')
}

/** The same for rows of one group, and for those alone. */
export const groupKey = ({ customer, group }: SeriesRow): string =>
  JSON.stringify([customer?.id ?? null, group ?? null])

function toPoints(rows: readonly SeriesRow[]): ChartPoint[] {
  const points = new Map<string, number>()
  for (const { window_start, value } of rows)
    if (value !== null) points.set(window_start, (points.get(window_start) ?? 0) + Number(value))
  return [...points].map(([at, value]) => ({ at, value })).sort((a, b) => a.at.localeCompare(b.at))
}

/**
 * A series of the API as those of a chart, the largest first. Beyond eight groups the rest is put together where figures
 * add up, and left to the table where they do not. `whole`, the same unsplit and with its empty windows, gives the windows in
 * which no group has anything.
 */
export function toChartSeries({ meter, aggregation, data }: UsageSeries, whole?: UsageSeries): ChartSeries[] {
  if (!data.some(({ events, value }) => events > 0 || Number(value) !== 0)) return []
  const groups = [...Map.groupBy(data, groupKey)]
    .map(([key, rows]) => ({ key, rows, size: rows.reduce((sum, { value }) => sum + Math.abs(Number(value)), 0) }))
    .sort((a, b) => b.size - a.size)
  const rest = groups.length > MOST_SERIES && addsUp(aggregation) ? groups.slice(MOST_SERIES - 1) : []
  const shown = groups.slice(0, rest.length > 0 ? MOST_SERIES - 1 : MOST_SERIES)
  const empty = addsUp(aggregation) ? (whole?.data ?? []).map((row) => ({ ...row, value: 0 })) : []
  return [
    ...shown.map(({ key, rows }, index) => ({
      key,
      label: (rows[0] && groupLabel(rows[0])) || meter.name,
      points: toPoints(index === 0 ? [...rows, ...empty] : rows),
    })),
    ...(rest.length > 0
      ? [{ key: 'rest', label: t('usage.rest'), points: toPoints(rest.flatMap(({ rows }) => rows)) }]
      : []),
  ]
}

/** How many groups a chart leaves out. */
export function countLeftOut({ aggregation, data }: UsageSeries): number {
  return addsUp(aggregation) ? 0 : Math.max(0, new Set(data.map(groupKey)).size - MOST_SERIES)
}

/** One series, to be laid behind another. */
export function toPreviousPoints(series: UsageSeries): ChartPoint[] {
  return toPoints(series.data)
}
