import type { z } from 'zod'
import type { dailyReport } from '@/features/usage-tracking/schema'
import type { ChartInterval, ChartPoint, ChartSeries } from '@/libs/ui/chart-data'
import { t } from '@/libs/ui/messages'

export type DailyReport = z.infer<typeof dailyReport>
type DailyRow = DailyReport['data'][number]

const DAY_MS = 86_400_000
const MOST_SERIES = 8

/** Days for up to three months, weeks beyond, so that bars stay wide enough to be told apart. */
export function chartInterval(from: string, to: string): ChartInterval {
  return Date.parse(to) - Date.parse(from) > 100 * DAY_MS ? 'week' : 'day'
}

/** The day a bucket begins with: the day itself, or the Monday of its week. */
function bucketOf(day: string, interval: ChartInterval): string {
  if (interval === 'day') return day
  const date = new Date(`${day}T00:00:00Z`)
  date.setUTCDate(date.getUTCDate() - ((date.getUTCDay() + 6) % 7))
  return date.toISOString().slice(0, 10)
}

function toPoints(
  rows: readonly DailyRow[],
  interval: ChartInterval,
  amountOf: (row: DailyRow) => number,
): ChartPoint[] {
  const sums = new Map<string, number>()
  for (const row of rows) {
    const at = bucketOf(row.day, interval)
    sums.set(at, (sums.get(at) ?? 0) + amountOf(row))
  }
  return [...sums].map(([at, value]) => ({ at, value })).sort((a, b) => a.at.localeCompare(b.at))
}

export type Grouping = 'none' | 'meter' | 'customer'

export type SeriesOptions = { group: Grouping; interval: ChartInterval }

const eventsOf = ({ events }: DailyRow): number => events

/** Daily numbers of events as the series of a chart, the largest first; beyond eight, the rest together. */
export function toSeries(report: DailyReport, { group, interval }: SeriesOptions): ChartSeries[] {
  if (group === 'none')
    return [{ key: 'total', label: t('usage.events'), points: toPoints(report.data, interval, eventsOf) }]
  const keyOf = (row: DailyRow) => (group === 'meter' ? row.meter : (row.customer ?? ''))
  const groups = [...Map.groupBy(report.data, keyOf)]
    .map(([key, rows]) => ({ key, rows, total: rows.reduce((sum, row) => sum + row.events, 0) }))
    .sort((a, b) => b.total - a.total)
  const shown = groups.slice(0, groups.length > MOST_SERIES ? MOST_SERIES - 1 : MOST_SERIES)
  const rest = groups.slice(shown.length).flatMap((each) => each.rows)
  return [
    ...shown.map(({ key, rows }) => ({
      key,
      label: group === 'meter' ? (report.meters.find((each) => each.slug === key)?.name ?? key) : key,
      points: toPoints(rows, interval, eventsOf),
    })),
    ...(rest.length > 0 ? [{ key: 'rest', label: t('usage.rest'), points: toPoints(rest, interval, eventsOf) }] : []),
  ]
}

/** The totals of a report bucket by bucket, to be laid behind another one. */
export function toTotals(report: DailyReport, { interval }: SeriesOptions): ChartPoint[] {
  return toPoints(report.data, interval, eventsOf)
}
