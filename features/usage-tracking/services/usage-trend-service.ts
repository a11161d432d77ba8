import { type Quantity, toQuantity } from '@/libs/ingest/decimal'
import { loadMeters, type MeterRef, resolveUsageFilter } from '@/libs/metering/find-meter'
import { fillDays } from '@/libs/metering/forecast'
import { loadUsage, type Span, shiftSpan, type UsageRow } from '@/libs/metering/load-usage'
import { loadOutlooks, type Outlook } from '@/libs/metering/outlook'
import { addDays, changePercent, fitLine, withoutNoise } from '@/libs/metering/trend'
import { routeTenant } from '@/libs/tenancy/resolve-tenant'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { dayIn } from '@/libs/tenancy/zoned-day'
import type { TrendsQuery } from '../schema'
import { resolveQueryRange } from './usage-range'

export type Trend = Outlook & {
  meter: MeterRef
  current: Quantity
  previous: Quantity
  last_year: Quantity
  change_percent: number | null
  change_last_year_percent: number | null
  slope_per_day: number
}
export type TrendsReport = Span & {
  time_zone: string
  interval: 'hour' | 'day'
  previous: Span
  last_year: Span
  data: Trend[]
}

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000

/**
 * A range against the one before and the same one last year, with the slope per day, what is to be expected by the end of
 * the month (for one customer: of its own period), and, for one customer, the day a cap will be reached at this pace.
 * @throws AppError invalid_input for the range, not_found for a filter.
 */
export async function reportTrends(query: TrendsQuery): Promise<TrendsReport> {
  const { time_zone: timeZone } = await routeTenant(currentContext().tenantId)
  const [range, filter] = [await resolveQueryRange(query, timeZone), await resolveUsageFilter(query)]
  const hourly = query.time_range === '24h'
  const length = Math.max(1, Math.round((range.to.getTime() - range.from.getTime()) / DAY_MS))
  const before = await shiftSpan(range, timeZone, hourly ? { hours: 24 } : { days: length })
  const lastYear = await shiftSpan(range, timeZone, { years: 1 })
  const select = (span: Span, window: 'HOUR' | 'DAY' | null) => loadUsage({ ...filter, ...span, window, timeZone })

  const [current, previous, yearAgo] = [
    byMeter(await select(range, null)),
    byMeter(await select(before, null)),
    byMeter(await select(lastYear, null)),
  ]
  const series = Map.groupBy(await select(range, hourly ? 'HOUR' : 'DAY'), ({ meter_id }) => meter_id)
  const outlookOf = await loadOutlooks(filter, timeZone)
  const meters = await loadMeters(filter.meterId)
  const used = meters.filter(({ id }) => current.has(id) || previous.has(id) || yearAgo.has(id))
  return {
    from: range.from,
    to: range.to,
    time_zone: timeZone,
    interval: hourly ? 'hour' : 'day',
    previous: before,
    last_year: lastYear,
    data: used.map((meter): Trend => {
      const rows = series.get(meter.id) ?? []
      const windows = hourly ? hoursOf(rows, range) : daysOf(rows, rangeDays(range, timeZone))
      const now = current.get(meter.id) ?? '0'
      const slope = fitLine(fillDays(meter.aggregation, windows)).slope
      return {
        meter,
        current: toQuantity(now),
        previous: toQuantity(previous.get(meter.id) ?? '0'),
        last_year: toQuantity(yearAgo.get(meter.id) ?? '0'),
        change_percent: changePercent(Number(now), Number(previous.get(meter.id) ?? 0)),
        change_last_year_percent: changePercent(Number(now), Number(yearAgo.get(meter.id) ?? 0)),
        // So much more per hour, every hour, is 24 times as much per day and 24 times as often.
        slope_per_day: withoutNoise(hourly ? slope * 24 * 24 : slope),
        ...outlookOf(meter),
      }
    }),
  }
}

function byMeter(rows: readonly UsageRow[]): Map<string, string> {
  return new Map(rows.flatMap(({ meter_id, value }) => (value === null ? [] : [[meter_id, value] as const])))
}

/** The whole days of a range that are over: today is still running, and a day of which the range holds a part says too little. */
function rangeDays(range: Span, timeZone: string): string[] {
  const today = dayIn(timeZone)
  const first = dayIn(timeZone, range.from)
  const begins = dayIn(timeZone, range.from.getTime() - 1) !== first
  const end = dayIn(timeZone, range.to)
  const names: string[] = []
  for (let day = begins ? first : addDays(first, 1); day < end && day < today; day = addDays(day, 1)) names.push(day)
  return names
}

function daysOf(rows: readonly UsageRow[], names: readonly string[]): (number | null)[] {
  const values = new Map(rows.map(({ day, value }) => [day, value === null ? null : Number(value)]))
  return names.map((day) => values.get(day) ?? null)
}

/** The hours that are over, oldest first. */
function hoursOf(rows: readonly UsageRow[], { from, to }: Span): (number | null)[] {
  const values = new Map(rows.map(({ window_start, value }) => [window_start.getTime(), Number(value ?? 0)]))
  const hours: (number | null)[] = []
  for (let at = from.getTime(); at + HOUR_MS <= Math.min(to.getTime(), Date.now()); at += HOUR_MS)
    hours.push(values.get(at) ?? null)
  return hours
}
