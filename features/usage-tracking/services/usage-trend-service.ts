import { tenantQuery } from '@/libs/db/tenant-db'
import { addDecimals, type Quantity, toQuantity } from '@/libs/ingest/decimal'
import { currentContext } from '@/libs/tenancy/tenant-context'
import type { TrendsQuery } from '../schema'
import { resolveFilter, resolveRange, shiftRange, type UsageRange } from './usage-range'
import { type DayRow, daysOf, loadDays, type MeterRef } from './usage-report-service'

type Span = { from: Date; to: Date }
export type Trend = {
  meter: MeterRef
  current: Quantity
  previous: Quantity
  last_year: Quantity
  change_percent: number | null
  slope_per_day: number
  forecast: { to: Date; used: number }
  cap_hit_on: string | null
}
export type TrendsReport = Span & { time_zone: string; previous: Span; last_year: Span; data: Trend[] }

const DAY_MS = 86_400_000

type Cap = { meter_id: string; cap_limit: string; used: string; period: string; starts_on: string; resets_at: Date }

/**
 * A range against the one before and the same one last year, with the slope per day, what is to be expected by the end of
 * the month, and, for one customer, the day a cap will be reached at this pace.
 * @throws AppError invalid_input for the range, not_found for a filter.
 */
export async function reportTrends(query: TrendsQuery): Promise<TrendsReport> {
  const [range, filter] = [await resolveRange(query), await resolveFilter(query)]
  const length = Math.max(1, Math.round((range.to.getTime() - range.from.getTime()) / DAY_MS))
  const before = await shiftRange(range, { days: length })
  const lastYear = await shiftRange(range, { years: 1 })
  const now = await loadDays(range, filter, null)
  const earlier = totalsOf(await loadDays(before, filter, null))
  const yearAgo = totalsOf(await loadDays(lastYear, filter, null))
  const totals = totalsOf(now)
  const caps = filter.customerId ? await loadCaps(filter.customerId, range.timeZone) : []
  const meters = await tenantQuery<MeterRef>(
    'select id, slug, name, unit, aggregation from meters where tenant_id = $1 and ($2::uuid is null or id = $2) order by slug',
    [currentContext().tenantId, filter.meterId],
  )
  const used = meters.filter(({ id }) => totals.has(id) || earlier.has(id) || yearAgo.has(id))
  return {
    from: range.from,
    to: range.to,
    time_zone: range.timeZone,
    previous: { from: before.from, to: before.to },
    last_year: { from: lastYear.from, to: lastYear.to },
    data: used.map((meter): Trend => {
      const current = totals.get(meter.id) ?? '0'
      const previous = earlier.get(meter.id) ?? '0'
      const pace = paceOf(seriesOf(now, meter.id, range))
      return {
        meter,
        current: toQuantity(current),
        previous: toQuantity(previous),
        last_year: toQuantity(yearAgo.get(meter.id) ?? '0'),
        change_percent: Number(previous) === 0 ? null : round((Number(current) / Number(previous) - 1) * 100, 1),
        slope_per_day: round(pace.slope, 4),
        forecast: forecastOf(now, meter.id, pace, range.timeZone),
        cap_hit_on: capHitOn(
          caps.find(({ meter_id }) => meter_id === meter.id),
          pace,
          range.timeZone,
        ),
      }
    }),
  }
}

function totalsOf(rows: readonly DayRow[]): Map<string, string> {
  const sums = new Map<string, string>()
  for (const { meter_id, used } of rows) sums.set(meter_id, addDecimals(sums.get(meter_id) ?? '0', used))
  return sums
}

/** Amounts of the days that are over, today left out: it is still running. */
function seriesOf(rows: readonly DayRow[], meterId: string, range: UsageRange): number[] {
  const amounts = new Map(rows.filter((row) => row.meter_id === meterId).map(({ day, used }) => [day, Number(used)]))
  const today = new Intl.DateTimeFormat('en-CA', { timeZone: range.timeZone }).format(new Date())
  return daysOf(range)
    .filter((day) => day < today)
    .map((day) => amounts.get(day) ?? 0)
}

type Pace = { slope: number; next: number }

/** Least squares through the days: how usage per day changes, and what it expects of today. */
function paceOf(series: readonly number[]): Pace {
  const count = series.length
  if (count === 0) return { slope: 0, next: 0 }
  const meanX = (count - 1) / 2
  const meanY = series.reduce((sum, value) => sum + value, 0) / count
  let above = 0
  let below = 0
  for (const [x, y] of series.entries()) {
    above += (x - meanX) * (y - meanY)
    below += (x - meanX) ** 2
  }
  const slope = below === 0 ? 0 : above / below
  return { slope, next: Math.max(0, meanY + slope * (count - meanX)) }
}

const expected = ({ slope, next }: Pace, daysAhead: number): number => Math.max(0, next + slope * daysAhead)

function localToday(timeZone: string): Date {
  return new Date(`${new Intl.DateTimeFormat('en-CA', { timeZone }).format(new Date())}T00:00:00Z`)
}

/** What this month comes to: what it has, today at least at its expected pace, and the days that are left. */
function forecastOf(
  rows: readonly DayRow[],
  meterId: string,
  pace: Pace,
  timeZone: string,
): { to: Date; used: number } {
  const today = localToday(timeZone)
  const end = new Date(Date.UTC(today.getUTCFullYear(), today.getUTCMonth() + 1, 1))
  const month = today.toISOString().slice(0, 7)
  const mine = rows.filter((row) => row.meter_id === meterId && row.day.startsWith(month))
  const soFar = mine.reduce((sum, { used }) => sum + Number(used), 0)
  const todayUsed = Number(mine.find(({ day }) => day === today.toISOString().slice(0, 10))?.used ?? 0)
  let used = soFar - todayUsed + Math.max(todayUsed, expected(pace, 0))
  const left = Math.round((end.getTime() - today.getTime()) / DAY_MS) - 1
  for (let ahead = 1; ahead <= left; ahead += 1) used += expected(pace, ahead)
  return { to: end, used: round(used, 2) }
}

async function loadCaps(customerId: string, timeZone: string): Promise<Cap[]> {
  return tenantQuery<Cap>(
    `select meter_id, cap_limit::text, used::text, period, starts_on::text, resets_at from app.customer_usage($1, $2, $3)
     where cap_limit is not null`,
    [currentContext().tenantId, customerId, timeZone],
  )
}

/** The day within the present period on which a cap is reached at this pace; null when it will hold. */
function capHitOn(cap: Cap | undefined, pace: Pace, timeZone: string): string | null {
  if (!cap) return null
  const today = localToday(timeZone)
  let used = Number(cap.used)
  const limit = Number(cap.cap_limit)
  for (let ahead = 0; ; ahead += 1) {
    const day = new Date(today.getTime() + ahead * DAY_MS)
    if (used >= limit) return day.toISOString().slice(0, 10)
    if (day >= cap.resets_at) return null
    used += expected(pace, ahead)
  }
}

function round(value: number, digits: number): number {
  const factor = 10 ** digits
  return Math.round(value * factor) / factor
}
