import { tenantQuery } from '@/libs/db/tenant-db'
import { invalidInput } from '@/libs/errors'
import { addDecimals, type Quantity, toQuantity } from '@/libs/ingest/decimal'
import {
  addDays,
  addMonths,
  changePercent,
  daysBetween,
  fitLine,
  forecastSum,
  localToday,
  withoutNoise,
  yearBefore,
} from '@/libs/metering/trend'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { readTimeZone } from '@/libs/tenancy/time-zone'
import { METRICS, type MetricDaysQuery, type MetricName } from '../schema'

/** Days from `from` up to `to`, which is not in it any more. */
type Days = { from: string; to: string }
type Range = Days & { timeZone: string; today: string; share: number }
type Series = { metric: MetricName; label: string; kind: 'sum' | 'gauge'; values: Map<string, string> }

const PRESETS = { '24h': 2, '7d': 7, '30d': 30, '90d': 90, '12m': 365 } as const
const MOST_DAYS = 5 * 366

async function readRange({ time_range, from, to }: MetricDaysQuery): Promise<Range> {
  const timeZone = await readTimeZone()
  const { day: today, share } = localToday(timeZone)
  const now = { timeZone, today, share }
  if (from === undefined) {
    if (to !== undefined) throw invalidInput('/from', 'is needed with to')
    return { ...now, from: addDays(today, 1 - PRESETS[time_range ?? '30d']), to: addDays(today, 1) }
  }
  if (time_range !== undefined) throw invalidInput('/time_range', 'excludes from and to')
  const end = addDays(to ?? today, 1)
  if (from >= end) throw invalidInput('/from', 'is after `to`')
  if (daysBetween(from, end) > MOST_DAYS) throw invalidInput('/from', 'is more than five years before `to`')
  return { ...now, from, to: end }
}

/** Every metric that has a value in the range; a gauge goes on with the value it had before. */
async function loadSeries({ from, to }: Days, metric: MetricName | undefined): Promise<Series[]> {
  const rows = await tenantQuery<{ metric: MetricName; label: string; day: string; value: string }>(
    `select metric, label, day::text, value::text from tenant_metrics
     where tenant_id = $1 and day >= $2 and day < $3 and ($4::text is null or metric = $4)
     union all
     select distinct on (metric, label) metric, label, $2::date::text, value::text from (
       select m.metric, m.label, m.day, m.value from tenant_metrics m
       where m.tenant_id = $1 and m.day < $2 and m.metric = any($5) and ($4::text is null or m.metric = $4)
         and not exists (select 1 from tenant_metrics f where f.tenant_id = $1 and f.metric = m.metric and f.label = m.label and f.day = $2)
       order by m.metric, m.label, m.day desc
     ) earlier
     order by 1, 2, 3`,
    [
      currentContext().tenantId,
      from,
      to,
      metric ?? null,
      Object.entries(METRICS).flatMap(([name, kind]) => (kind === 'gauge' ? [name] : [])),
    ],
  )
  return [...Map.groupBy(rows, (row) => `${row.metric} ${row.label}`).values()].flatMap((group) => {
    const [first] = group
    if (!first) return []
    const kind = METRICS[first.metric]
    const values = new Map(group.map(({ day, value }) => [day, value]))
    return [{ metric: first.metric, label: first.label, kind, values }]
  })
}

/** One value a day: a sum without one is 0, a gauge keeps the one before. */
function fill({ kind, values }: Series, { from, to }: Days): { day: string; value: string }[] {
  const filled: { day: string; value: string }[] = []
  let last = '0'
  for (let day = from; day < to; day = addDays(day, 1)) {
    const value = values.get(day) ?? (kind === 'gauge' ? last : '0')
    last = value
    filled.push({ day, value })
  }
  return filled
}

export type MetricDaysReport = Days & {
  time_zone: string
  data: { day: string; metric: MetricName; label: string; value: Quantity }[]
}

/** Metrics day by day in the tenant's time zone, no day left out. @throws AppError invalid_input for the range. */
export async function reportMetricDays(query: MetricDaysQuery): Promise<MetricDaysReport> {
  const range = await readRange(query)
  const series = await loadSeries(range, query.metric)
  const data = series.flatMap((one) =>
    fill(one, { from: range.from, to: range.to > range.today ? addDays(range.today, 1) : range.to }).map(
      ({ day, value }) => ({ day, metric: one.metric, label: one.label, value: toQuantity(value) }),
    ),
  )
  return { from: range.from, to: range.to, time_zone: range.timeZone, data }
}

export type MetricTrend = {
  metric: MetricName
  label: string
  kind: 'sum' | 'gauge'
  current: Quantity
  previous: Quantity
  last_year: Quantity
  change_percent: number | null
  slope_per_day: number
  forecast: { to: string; value: number }
}
export type MetricTrendsReport = Days & { time_zone: string; previous: Days; last_year: Days; data: MetricTrend[] }

/** What a series comes to over its days: all of a sum, the last of a gauge. */
function totalOf(series: Series | undefined, days: Days): string {
  if (!series) return '0'
  const filled = fill(series, days)
  if (series.kind === 'gauge') return filled.at(-1)?.value ?? '0'
  return filled.reduce((sum, { value }) => addDecimals(sum, value), '0')
}

/**
 * A range against the one before, of as many days, and the same one last year; the slope by least squares over the days that
 * are over, and where that leads by the end of this month. @throws AppError invalid_input for the range.
 */
export async function reportMetricTrends(query: MetricDaysQuery): Promise<MetricTrendsReport> {
  const range = await readRange(query)
  const length = daysBetween(range.from, range.to)
  const previous = { from: addDays(range.from, -length), to: range.from }
  const lastYear = yearBefore(range)
  const month = { from: `${range.today.slice(0, 7)}-01`, to: addMonths(`${range.today.slice(0, 7)}-01`, 1) }
  const [present, before, yearAgo, ofMonth] = [
    await loadSeries(range, query.metric),
    await loadSeries(previous, query.metric),
    await loadSeries(lastYear, query.metric),
    await loadSeries(month, query.metric),
  ]
  const same = (list: Series[], one: Series) =>
    list.find(({ metric, label }) => metric === one.metric && label === one.label)
  const all = [...present, ...before.filter((one) => !same(present, one))]
  const data = all.map((one): MetricTrend => {
    const current = totalOf(same(present, one), range)
    const earlier = totalOf(same(before, one), previous)
    const past = fill(same(present, one) ?? { ...one, values: new Map() }, range)
      .filter(({ day }) => day < range.today)
      .map(({ value }) => Number(value))
    const line = fitLine(past)
    return {
      metric: one.metric,
      label: one.label,
      kind: one.kind,
      current: toQuantity(current),
      previous: toQuantity(earlier),
      last_year: toQuantity(totalOf(same(yearAgo, one), lastYear)),
      change_percent: changePercent(Number(current), Number(earlier)),
      slope_per_day: withoutNoise(line.slope),
      forecast: { to: month.to, value: forecast(one.kind, same(ofMonth, one), month, line, past.length, range) },
    }
  })
  return { from: range.from, to: range.to, time_zone: range.timeZone, previous, last_year: lastYear, data }
}

function forecast(
  kind: 'sum' | 'gauge',
  series: Series | undefined,
  month: Days,
  line: ReturnType<typeof fitLine>,
  today: number,
  { today: day, share }: Range,
): number {
  const soFar = Number(totalOf(series, { from: month.from, to: addDays(day, 1) }))
  const daysLeft = daysBetween(day, month.to) - 1
  if (kind === 'gauge') return withoutNoise(Math.max(0, soFar + line.slope * (daysLeft + 1 - share)))
  return withoutNoise(forecastSum(soFar, line, today, share, daysLeft))
}
