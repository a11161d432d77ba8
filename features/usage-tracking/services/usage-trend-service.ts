import { tenantQuery } from '@/libs/db/tenant-db'
import { type Quantity, toQuantity } from '@/libs/ingest/decimal'
import { type ForecastMethod, fillDays, forecastUsage } from '@/libs/metering/forecast'
import { loadUsage, type Span, shiftSpan, spanOfDays, type UsageRow } from '@/libs/metering/load-usage'
import { addDays, addMonths, changePercent, daysBetween, fitLine, localToday, roundTo } from '@/libs/metering/trend'
import { currentContext } from '@/libs/tenancy/tenant-context'
import type { TrendsQuery } from '../schema'
import { type Filter, resolveFilter, resolveQueryRange } from './usage-range'
import type { MeterRef } from './usage-report-service'
import { routeTenant } from './usage-statement'

export type Trend = {
  meter: MeterRef
  current: Quantity
  previous: Quantity
  last_year: Quantity
  change_percent: number | null
  change_last_year_percent: number | null
  slope_per_day: number
  forecast: { from: Date; to: Date; used: number; method: ForecastMethod }
  cap: { limit: Quantity; used: Quantity; period: string; resets_at: Date } | null
  cap_hit_on: string | null
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
/** Days a forecast goes by where the range itself has fewer, or does not reach until today. */
const PACE_DAYS = 30
const FEWEST_DAYS = 7

/** Where a meter stands in the period that is foretold. */
type Standing = Span & { used: string; limit: string | null; period: string; starts_on: string; ends_on: string }
type Clock = { timeZone: string; today: string; share: number }

/**
 * A range against the one before and the same one last year, with the slope per day, what is to be expected by the end of
 * the month (for one customer: of its own period), and, for one customer, the day a cap will be reached at this pace.
 * @throws AppError invalid_input for the range, not_found for a filter.
 */
export async function reportTrends(query: TrendsQuery): Promise<TrendsReport> {
  const { time_zone: timeZone } = await routeTenant(currentContext().tenantId)
  const { day: today, share } = localToday(timeZone)
  const clock = { timeZone, today, share }
  const [range, filter] = [await resolveQueryRange(query, timeZone), await resolveFilter(query)]
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
  const pace = hourly || !reachesToday(range, clock) ? await lastDays(filter, clock) : null
  const standings = await loadStandings(filter, clock)
  const meters = await tenantQuery<MeterRef>(
    'select id, slug, name, unit, aggregation from meters where tenant_id = $1 and ($2::uuid is null or id = $2) order by slug',
    [currentContext().tenantId, filter.meterId],
  )
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
      const windows = hourly ? hoursOf(rows, range) : daysOf(rows, rangeDays(range, clock))
      const days = pace ? daysOf(pace.get(meter.id) ?? [], lastDayNames(clock)) : windows
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
        slope_per_day: roundTo(hourly ? slope * 24 * 24 : slope, 4),
        ...foretell(meter, standings.of(meter.id), days, clock),
      }
    }),
  }
}

function byMeter(rows: readonly UsageRow[]): Map<string, string> {
  return new Map(rows.flatMap(({ meter_id, value }) => (value === null ? [] : [[meter_id, value] as const])))
}

/** The whole days of a range that are over: today is still running, and a day of which the range holds a part says too little. */
function rangeDays(range: Span, { timeZone, today }: Clock): string[] {
  const first = localToday(timeZone, range.from).day
  const begins = localToday(timeZone, new Date(range.from.getTime() - 1)).day !== first
  const end = localToday(timeZone, range.to).day
  const names: string[] = []
  for (let day = begins ? first : addDays(first, 1); day < end && day < today; day = addDays(day, 1)) names.push(day)
  return names
}

function reachesToday(range: Span, clock: Clock): boolean {
  const days = rangeDays(range, clock)
  return days.length >= FEWEST_DAYS && days.at(-1) === addDays(clock.today, -1)
}

const lastDayNames = ({ today }: Clock): string[] =>
  Array.from({ length: PACE_DAYS }, (_, index) => addDays(today, index - PACE_DAYS))

async function lastDays(filter: Filter, clock: Clock): Promise<Map<string, UsageRow[]>> {
  const span = await spanOfDays(addDays(clock.today, -PACE_DAYS), clock.today, clock.timeZone)
  const rows = await loadUsage({ ...filter, ...span, window: 'DAY', timeZone: clock.timeZone })
  return Map.groupBy(rows, ({ meter_id }) => meter_id)
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

/** The periods that are foretold: of one customer its own with their caps, of all together this month. */
async function loadStandings({ meterId, customerId }: Filter, { timeZone, today }: Clock) {
  if (customerId !== null) {
    const rows = await tenantQuery<Standing & { meter_id: string }>(
      `select u.meter_id, app.first_moment(u.starts_on, $3) as from, u.resets_at as to, u.used::text, u.cap_limit::text as limit, u.period,
         u.starts_on::text, (u.resets_at at time zone $3)::date::text as ends_on
       from app.customer_usage($1, $2, $3) u where $4::uuid is null or u.meter_id = $4`,
      [currentContext().tenantId, customerId, timeZone, meterId],
    )
    const found = new Map(rows.map(({ meter_id, ...standing }) => [meter_id, standing]))
    return { of: (id: string): Standing | undefined => found.get(id) }
  }
  const starts_on = `${today.slice(0, 7)}-01`
  const ends_on = addMonths(starts_on, 1)
  const month = await spanOfDays(starts_on, ends_on, timeZone)
  const totals = byMeter(await loadUsage({ meterId, customerId, ...month, window: null, timeZone }))
  return {
    of: (id: string): Standing => ({
      ...month,
      used: totals.get(id) ?? '0',
      limit: null,
      period: 'month',
      starts_on,
      ends_on,
    }),
  }
}

function foretell(
  { aggregation }: MeterRef,
  standing: Standing | undefined,
  days: readonly (number | null)[],
  { today, share }: Clock,
): Pick<Trend, 'forecast' | 'cap' | 'cap_hit_on'> {
  // An archived meter of a customer has no period any more.
  if (!standing) {
    const now = new Date()
    return { forecast: { from: now, to: now, used: 0, method: 'none' }, cap: null, cap_hit_on: null }
  }
  const { from, to, used, limit, period, starts_on, ends_on } = standing
  const forecast = forecastUsage({
    aggregation,
    used: Number(used),
    days,
    share,
    daysGone: daysBetween(starts_on, today),
    daysLeft: Math.max(0, daysBetween(today, ends_on) - 1),
    limit: limit === null ? null : Number(limit),
  })
  return {
    forecast: { from, to, used: roundTo(forecast.used, 2), method: forecast.method },
    cap: limit === null ? null : { limit: toQuantity(limit), used: toQuantity(used), period, resets_at: to },
    cap_hit_on: forecast.hit === null ? null : addDays(today, forecast.hit),
  }
}
