import { tenantQuery } from '@/libs/db/tenant-db'
import { invalidInput, notFound } from '@/libs/errors'
import { type Quantity, toQuantity } from '@/libs/ingest/decimal'
import { FEWEST_DAYS } from '@/libs/metering/forecast'
import { loadOutlooks } from '@/libs/metering/outlook'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { readTimeZone } from '@/libs/tenancy/time-zone'
import { dayIn } from '@/libs/tenancy/zoned-day'
import type { PortalUsageQuery } from '../schema'

type Meter = { slug: string; name: string; unit: string; aggregation: string }
type Period = { starts_on: string; ends_on: string }
export type PortalUsageReport = {
  time_zone: string
  meters: Meter[]
  meter: Meter | null
  period: Period & { present: boolean }
  days: { day: string; used: Quantity | null }[]
  periods: (Period & { used: Quantity | null })[]
  limit: Quantity | null
  forecast: { ends_on: string; used: number; cap_reached: boolean; cap_hit_on: string | null; days: number } | null
}

const ADDITIVE = ['SUM', 'COUNT']
/** Aggregations of which a day without events is zero. */
const EMPTY_IS_ZERO = [...ADDITIVE, 'UNIQUE_COUNT']

/**
 * What the customer who is signed in used of a meter: each day of a period, the periods before, and, for the present one, what it
 * comes to and when the cap will be reached at this pace: the forecast of libs/metering, as in the dashboard.
 * @throws AppError not_found when the actor is no customer; invalid_input for a meter or period that is not there.
 */
export async function reportPortalUsage(query: PortalUsageQuery): Promise<PortalUsageReport> {
  const { tenantId, actor } = currentContext()
  const customerId = actor.customer_id
  if (!customerId) throw notFound()
  const zone = await readTimeZone()
  const meters = await tenantQuery<Meter & { id: string }>(
    'select id, slug, name, unit, aggregation from meters where tenant_id = $1 and archived_at is null order by name, slug',
    [tenantId],
  )
  const lines = await loadPresent(customerId, zone)
  const meter = query.meter ? meters.find(({ slug }) => slug === query.meter) : chooseMeter(meters, lines)
  if (query.meter && !meter) throw invalidInput('/meter', 'there is no such meter')
  const today = dayIn(zone)
  const present = await periodOf(customerId, today)
  const period = query.starts_on ? await periodOf(customerId, query.starts_on) : present
  if (query.starts_on && (period.starts_on !== query.starts_on || period.starts_on > present.starts_on))
    throw invalidInput('/starts_on', 'is not the first day of a period')
  const common = {
    time_zone: zone,
    meters: meters.map(({ slug, name, unit, aggregation }) => ({ slug, name, unit, aggregation })),
    period: { ...period, present: period.starts_on === present.starts_on },
  }
  if (!meter) return { ...common, meter: null, days: [], periods: [], limit: null, forecast: null }
  const { id, ...shown } = meter
  const days = await loadDays(customerId, id, zone, period)
  const limit = lines.get(id)?.available ?? null
  return {
    ...common,
    meter: shown,
    days: days.map(({ day, used }) => ({ day, used: toValue(used, meter.aggregation) })),
    periods: await loadPeriods(customerId, meter, zone, present),
    limit: limit === null ? null : toQuantity(limit),
    forecast: ADDITIVE.includes(meter.aggregation) ? await foretell(customerId, meter, zone) : null,
  }
}

const toValue = (used: string | null, aggregation: string): Quantity | null =>
  used === null ? (EMPTY_IS_ZERO.includes(aggregation) ? 0 : null) : toQuantity(used)

/** The customer's month that a day lies in. */
async function periodOf(customerId: string, day: string): Promise<Period> {
  const [row] = await tenantQuery<Period>(
    `select p.starts_on::text, app.period_end(p.starts_on, 'month', p.anchor)::text as ends_on
     from (select a.anchor, app.period_start($3::date, 'month', a.anchor) as starts_on
       from (select coalesce((select s.anchor_day from subscriptions s
         where s.tenant_id = $1 and s.customer_id = $2 and s.canceled_at is null), 1)::integer as anchor) a) p`,
    [currentContext().tenantId, customerId, day],
  )
  if (!row) throw notFound()
  return row
}

// A level of WEIGHTED_SUM goes on while nothing happens; every other day means what its counter says.
const VALUE = (starts: string, ends: string) => `case when m.aggregation = 'WEIGHTED_SUM' then
    app.weighted_average($1, m.id, $2, ${starts}, app.day_start(${starts}, $4),
      least(app.day_start(${ends}, $4), statement_timestamp()), k.used, k.moment)
  else app.metered_value(m.aggregation, k.used, k.events) end::text as used`

async function loadDays(customerId: string, meterId: string, zone: string, { starts_on, ends_on }: Period) {
  return tenantQuery<{ day: string; used: string | null }>(
    `select d.day::date::text as day, ${VALUE('d.day::date', 'd.day::date + 1')}
     from generate_series($5::date, least($6::date - 1, (statement_timestamp() at time zone $4)::date), interval '1 day') d (day)
     join meters m on m.tenant_id = $1 and m.id = $3
     left join usage_counters k on k.tenant_id = $1 and k.period = 'day' and k.meter_id = $3 and k.starts_on = d.day::date and k.customer_id = $2
     order by 1`,
    [currentContext().tenantId, customerId, meterId, zone, starts_on, ends_on],
  )
}

async function loadPeriods(
  customerId: string,
  { id, aggregation }: Meter & { id: string },
  zone: string,
  present: Period,
): Promise<PortalUsageReport['periods']> {
  const rows = await tenantQuery<Period & { used: string | null }>(
    `with recursive anchor as (
       select coalesce((select s.anchor_day from subscriptions s
         where s.tenant_id = $1 and s.customer_id = $2 and s.canceled_at is null), 1)::integer as day
     ),
     since as (select (created_at at time zone $4)::date as day from customers where tenant_id = $1 and id = $2),
     spans as (
       select $5::date as starts_on, $6::date as ends_on, 0 as back
       union all
       select app.period_start(s.starts_on - 1, 'month', a.day), s.starts_on, s.back + 1 from spans s, anchor a, since
       where s.back < 12 and (s.starts_on > since.day or exists (select from usage_counters k
         where k.tenant_id = $1 and k.period = 'month' and k.meter_id = $3 and k.starts_on < s.starts_on and k.customer_id = $2))
     )
     select s.starts_on::text, s.ends_on::text, ${VALUE('s.starts_on', 's.ends_on')}
     from spans s
     join meters m on m.tenant_id = $1 and m.id = $3
     left join usage_counters k on k.tenant_id = $1 and k.period = 'month' and k.meter_id = $3 and k.starts_on = s.starts_on and k.customer_id = $2
     order by s.back`,
    [currentContext().tenantId, customerId, id, zone, present.starts_on, present.ends_on],
  )
  return rows.map(({ used, ...row }) => ({ ...row, used: toValue(used, aggregation) }))
}

type Line = { id: string; available: string | null; used: boolean }

/** Of each meter what is available in the present period, grants and what carried over included (null without a cap), and whether it was used. */
async function loadPresent(customerId: string, zone: string): Promise<Map<string, Line>> {
  const lines = await tenantQuery<Line>(
    'select meter_id as id, cap_limit::text as available, coalesce(used, 0) <> 0 as used from app.customer_usage($1, $2, $3)',
    [currentContext().tenantId, customerId, zone],
  )
  return new Map(lines.map((line) => [line.id, line]))
}

/** The meter to begin with: one that is capped, else one that was used, else the first there is. */
function chooseMeter<M extends { id: string }>(meters: readonly M[], lines: ReadonlyMap<string, Line>): M | undefined {
  return (
    meters.find(({ id }) => typeof lines.get(id)?.available === 'string') ??
    meters.find(({ id }) => lines.get(id)?.used) ??
    meters[0]
  )
}

async function foretell(customerId: string, meter: { id: string; aggregation: string }, zone: string) {
  const outlookOf = await loadOutlooks({ meterId: meter.id, customerId }, zone)
  const { forecast, cap, cap_hit_on } = outlookOf(meter)
  if (forecast.days < FEWEST_DAYS) return null
  const { used, days, to } = forecast
  const cap_reached = cap !== null && Number(cap.used) >= Number(cap.limit)
  return { ends_on: dayIn(zone, to), used, cap_reached, cap_hit_on, days }
}
