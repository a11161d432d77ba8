import { escapeFormula, quantityCell } from '@/libs/csv-cell'
import { formatDate, formatQuantity } from '@/libs/ui/format'
import { t } from '@/libs/ui/messages'

export type ChartPoint = { at: string; value: number }

export type ChartSeries = { key: string; label: string; points: readonly ChartPoint[] }

/** The colour of a series by its place; from the ninth on, grey. */
export function seriesColor(index: number): string {
  return index < 8 ? `var(--chart-${index + 1})` : 'var(--chart-other)'
}

export type ChartInterval = 'hour' | 'day' | 'week' | 'month'

/** One bucket: the values of the series in their order (null where there is none), their sum, and the same place in the period before. */
export type ChartBucket = {
  at: string
  values: (number | null)[]
  total: number
  previous: number | null
  partial: boolean
}

/**
 * Series as buckets, in order of time; a series without a point in a bucket counts 0 there, or with `gaps` nothing.
 * `previous` is aligned by place, not by date. With `partial`, the last bucket is still filling.
 */
export function toBuckets(
  series: readonly ChartSeries[],
  previous: readonly ChartPoint[] | undefined,
  partial: boolean,
  gaps = false,
): ChartBucket[] {
  const times = [...new Set(series.flatMap((item) => item.points.map((point) => point.at)))].sort()
  const lookup = series.map((item) => new Map(item.points.map((point) => [point.at, point.value])))
  return times.map((at, index) => {
    const values = lookup.map((points) => points.get(at) ?? (gaps ? null : 0))
    return {
      at,
      values,
      total: values.reduce<number>((sum, value) => sum + (value ?? 0), 0),
      previous: previous?.[index]?.value ?? null,
      partial: partial && index === times.length - 1,
    }
  })
}

/** The name of a bucket on the axis (`short`) or in full. */
export function bucketLabel(at: string, interval: ChartInterval, timeZone: string, short = false): string {
  if (interval === 'month') return formatDate(at, 'month', timeZone)
  if (interval === 'hour') return formatDate(at, short ? 'hour' : 'datetime', timeZone)
  const day = formatDate(at, short ? 'day' : 'date', timeZone)
  return interval === 'week' && !short ? t('ui.chart.weekOf', { date: day }) : day
}

/**
 * A figure of a chart in its unit. Charts reckon in doubles, and beyond 2^53 these do not hold every digit: what they hold
 * is shown, as about that much.
 */
export function formatFigure(value: number, unit?: string): string {
  if (Math.abs(value) <= Number.MAX_SAFE_INTEGER || unit === 'bytes') return formatQuantity(value, unit)
  return t('ui.chart.about', { amount: formatQuantity(Number(value.toPrecision(15)), unit) })
}

/** One bucket in a sentence: its name, each series, the total and the period before. */
export function describeBucket(
  bucket: ChartBucket,
  series: readonly ChartSeries[],
  options: { unit?: string; interval: ChartInterval; timeZone: string; sums: boolean },
): string {
  const amount = (value: number | null | undefined) =>
    value === null || value === undefined ? '–' : formatFigure(value, options.unit)
  const named = series.map(({ label }, index) => `${label} ${amount(bucket.values[index])}`)
  if (options.sums && series.length > 1) named.push(`${t('ui.chart.total')} ${amount(bucket.total)}`)
  if (bucket.previous !== null) named.push(`${t('ui.chart.previous')} ${amount(bucket.previous)}`)
  const name = bucketLabel(bucket.at, options.interval, options.timeZone)
  return `${name}${bucket.partial ? `, ${t('ui.chart.partial')}` : ''}: ${named.join(', ')}`
}

/** What a chart shows, in sentences: total, highest and lowest bucket, comparison. */
export function summarizeBuckets(
  buckets: readonly ChartBucket[],
  options: { unit?: string; interval: ChartInterval; timeZone: string; sums?: boolean },
): string {
  const [first] = buckets
  const last = buckets.at(-1)
  if (!first || !last) return t('ui.chart.empty')
  const name = (bucket: ChartBucket) => bucketLabel(bucket.at, options.interval, options.timeZone)
  const amount = (value: number) => formatFigure(value, options.unit)
  if (options.sums === false) return summarizeLevels(buckets, name, amount)
  const total = buckets.reduce((sum, bucket) => sum + bucket.total, 0)
  const sorted = buckets.toSorted((a, b) => b.total - a.total)
  const highest = sorted[0] ?? first
  const lowest = sorted.at(-1) ?? last
  const parts = [
    t('ui.chart.summaryTotal', { total: amount(total), from: name(first), to: name(last) }),
    t('ui.chart.summaryHighest', { value: amount(highest.total), at: name(highest) }),
    t('ui.chart.summaryLowest', { value: amount(lowest.total), at: name(lowest) }),
  ]
  const before = buckets.reduce((sum, bucket) => sum + (bucket.previous ?? 0), 0)
  if (buckets.some((bucket) => bucket.previous !== null)) {
    parts.push(t('ui.chart.summaryPrevious', { total: amount(before) }))
  }
  if (last.partial) parts.push(t('ui.chart.summaryPartial', { at: name(last) }))
  return parts.join(' ')
}

/** Figures that do not add up: only the highest and the lowest of them can be told. */
function summarizeLevels(
  buckets: readonly ChartBucket[],
  name: (bucket: ChartBucket) => string,
  amount: (value: number) => string,
): string {
  const levels = buckets
    .flatMap((bucket) => bucket.values.flatMap((value) => (value === null ? [] : [{ bucket, value }])))
    .toSorted((a, b) => b.value - a.value)
  const [highest] = levels
  const lowest = levels.at(-1)
  if (!highest || !lowest) return t('ui.chart.empty')
  return [
    t('ui.chart.summaryHighest', { value: amount(highest.value), at: name(highest.bucket) }),
    t('ui.chart.summaryLowest', { value: amount(lowest.value), at: name(lowest.bucket) }),
  ].join(' ')
}

function csvCell(value: string): string {
  const safe = escapeFormula(value)
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

/** The buckets as CSV, one row each, times in ISO 8601. */
export function bucketsToCsv(buckets: readonly ChartBucket[], series: readonly ChartSeries[]): string {
  const compared = buckets.some((bucket) => bucket.previous !== null)
  const head = ['bucket', ...series.map((item) => item.label)]
  if (series.length > 1) head.push('total')
  if (compared) head.push('previous')
  const rows = buckets.map((bucket) => {
    const row = [csvCell(bucket.at), ...bucket.values.map(quantityCell)]
    if (series.length > 1) row.push(quantityCell(bucket.total))
    if (compared) row.push(quantityCell(bucket.previous))
    return row.join(',')
  })
  return `${[head.map(csvCell).join(','), ...rows].join('\r\n')}\r\n`
}
