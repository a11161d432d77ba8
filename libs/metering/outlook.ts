import { tenantQuery } from '@/libs/db/tenant-db'
import { type Quantity, toQuantity } from '@/libs/ingest/decimal'
import { type ForecastMethod, forecastUsage } from '@/libs/metering/forecast'
import { loadUsage, type Span, spanOfDays, type UsageRow } from '@/libs/metering/load-usage'
import { addDays, addMonths, daysBetween, localToday, withoutNoise } from '@/libs/metering/trend'
import { currentContext } from '@/libs/tenancy/tenant-context'

/** Whole days that a forecast is drawn from at most. */
const LOOK_BACK = 30

/** One meter, or all; one customer, or all together. */
type Selection = { meterId: string | null; customerId: string | null }

/** Where a meter stands in the period that is foretold. */
type Standing = Span & { used: string; limit: string | null; period: string; starts_on: string; ends_on: string }

/** What a period comes to, and, under a cap, when it is reached at this pace. */
export type Outlook = {
  /** `days`: whole days it is drawn from, the first of them the first one with usage. */
  forecast: Span & { used: number; method: ForecastMethod; days: number }
  cap: { limit: Quantity; used: Quantity; period: string; resets_at: Date } | null
  cap_hit_on: string | null
}

/**
 * The one forecast of the product: of one customer in the period of its cap, of all together in this month. It goes by the last
 * thirty whole days, from the first with usage on, whatever range somebody looks at.
 * @returns the outlook of a meter by its id; of an archived meter or one without a period, that there is nothing to go by.
 */
export async function loadOutlooks(
  selection: Selection,
  timeZone: string,
): Promise<(meter: { id: string; aggregation: string }) => Outlook> {
  const { day: today, share } = localToday(timeZone)
  const span = await spanOfDays(addDays(today, -LOOK_BACK), today, timeZone)
  const past = Map.groupBy(
    await loadUsage({ ...selection, ...span, window: 'DAY', timeZone }),
    ({ meter_id }) => meter_id,
  )
  const standings = await loadStandings(selection, timeZone, today)
  return ({ id, aggregation }) => {
    const standing = standings(id)
    if (!standing) {
      const now = new Date()
      return { forecast: { from: now, to: now, used: 0, method: 'none', days: 0 }, cap: null, cap_hit_on: null }
    }
    const { from, to, used, limit, period, starts_on, ends_on } = standing
    const days = wholeDays(past.get(id) ?? [], today)
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
      forecast: { from, to, used: withoutNoise(forecast.used), method: forecast.method, days: days.length },
      cap: limit === null ? null : { limit: toQuantity(limit), used: toQuantity(used), period, resets_at: to },
      cap_hit_on: forecast.hit === null ? null : addDays(today, forecast.hit),
    }
  }
}

/** A value for each day from the first with usage up to yesterday. */
function wholeDays(rows: readonly UsageRow[], today: string): (number | null)[] {
  const values = new Map(rows.flatMap(({ day, value }) => (value === null ? [] : [[day, Number(value)] as const])))
  const names = Array.from({ length: LOOK_BACK }, (_, index) => addDays(today, index - LOOK_BACK))
  const first = names.findIndex((day) => values.has(day))
  return first < 0 ? [] : names.slice(first).map((day) => values.get(day) ?? null)
}

async function loadStandings({ meterId, customerId }: Selection, timeZone: string, today: string) {
  if (customerId !== null) {
    const rows = await tenantQuery<Standing & { meter_id: string }>(
      `select u.meter_id, app.first_moment(u.starts_on, $3) as from, u.resets_at as to, coalesce(u.used, 0)::text as used,
         u.cap_limit::text as limit, u.period, u.starts_on::text, (u.resets_at at time zone $3)::date::text as ends_on
       from app.customer_usage($1, $2, $3) u where $4::uuid is null or u.meter_id = $4`,
      [currentContext().tenantId, customerId, timeZone, meterId],
    )
    const found = new Map(rows.map(({ meter_id, ...standing }) => [meter_id, standing]))
    return (id: string): Standing | undefined => found.get(id)
  }
  const starts_on = `${today.slice(0, 7)}-01`
  const ends_on = addMonths(starts_on, 1)
  const month = await spanOfDays(starts_on, ends_on, timeZone)
  const rows = await loadUsage({ meterId, customerId, ...month, window: null, timeZone })
  const totals = new Map(rows.map(({ meter_id, value }) => [meter_id, value ?? '0']))
  return (id: string): Standing => ({
    ...month,
    used: totals.get(id) ?? '0',
    limit: null,
    period: 'month',
    starts_on,
    ends_on,
  })
}
