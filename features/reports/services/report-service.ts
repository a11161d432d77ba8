import { tenantQuery } from '@/libs/db/tenant-db'
import { AppError, notFound } from '@/libs/errors'
import { toQuantity } from '@/libs/ingest/decimal'
import { loadUsage, type Span, spanOfDays, type UsageRow } from '@/libs/metering/load-usage'
import { addMonths, changePercent, localToday } from '@/libs/metering/trend'
import { findTenantRouting } from '@/libs/tenancy/resolve-tenant'
import { currentContext } from '@/libs/tenancy/tenant-context'
import type { MonthReport, ReportQuery } from '../schema'

type Meter = MonthReport['meters'][number]['meter']
type Customer = NonNullable<MonthReport['customer']>
type Caps = { meter_id: string; cap: string | null; period: 'day' | 'month' | null; overage: string }

const TOP = 10
const EARLIEST = '2000-01'

function wrong(pointer: string, detail: string): AppError {
  return new AppError('invalid_input', `Check ${pointer}.`, { errors: [{ pointer, detail }] })
}

/**
 * Usage of a calendar month in the tenant's time zone, of all customers or one. Exact, as far as the month has come.
 * @throws AppError not_found for the customer, invalid_input for a month that has not begun.
 */
export async function reportMonth({ month: asked, customer: ref }: ReportQuery): Promise<MonthReport> {
  const { tenantId } = currentContext()
  const routing = await findTenantRouting({ id: tenantId })
  if (!routing) throw notFound()
  const timeZone = routing.time_zone
  const running = localToday(timeZone).day.slice(0, 7)
  const month = asked ?? running
  if (month > running) throw wrong('/month', 'has not begun')
  if (month < EARLIEST) throw wrong('/month', `is before ${EARLIEST}`)
  const customer = ref === undefined ? null : await findCustomer(ref)
  const customerId = customer?.id ?? null
  const first = `${month}-01`
  const span = await spanOfDays(first, addMonths(first, 1), timeZone)
  const before = await spanOfDays(addMonths(first, -1), first, timeZone)

  const select = { meterId: null, customerId, timeZone }
  const totals = await loadUsage({ ...select, ...span, window: null })
  const earlier = byMeter(await loadUsage({ ...select, ...before, window: null }))
  const days = await loadUsage({ ...select, ...span, window: 'DAY' })
  const caps = new Map((await loadCaps(customerId, first)).map((row) => [row.meter_id, row]))
  const present = byMeter(totals)
  const meters = (await loadMeters()).filter(({ id }) => present.has(id) || earlier.has(id))
  const slugs = new Map(meters.map(({ id, slug }) => [id, slug]))
  return {
    month,
    from: span.from.toISOString(),
    to: span.to.toISOString(),
    time_zone: timeZone,
    complete: month < running,
    customer,
    meters: meters.map((meter) => {
      const used = present.get(meter.id)
      const previous = earlier.get(meter.id)?.value ?? '0'
      const cap = caps.get(meter.id)
      return {
        meter,
        used: toQuantity(used?.value ?? '0'),
        events: used?.events ?? 0,
        previous: toQuantity(previous),
        change_percent: changePercent(Number(used?.value ?? 0), Number(previous)),
        cap: customer && cap?.cap ? toQuantity(cap.cap) : null,
        cap_period: customer && cap?.cap ? cap.period : null,
        overage: cap ? toQuantity(cap.overage) : null,
      }
    }),
    top_customers: customer ? [] : await loadTop(meters, span, timeZone),
    daily: days.flatMap(({ day, meter_id, value, events }) => {
      const slug = slugs.get(meter_id)
      return slug && value !== null ? [{ day, meter: slug, used: toQuantity(value), events }] : []
    }),
  }
}

const byMeter = (rows: readonly UsageRow[]) => new Map(rows.map((row) => [row.meter_id, row]))

async function findCustomer(ref: string): Promise<Customer> {
  const [row] = await tenantQuery<Customer>(
    `select id, external_id, name from customers where tenant_id = $1 and (external_id = $2 or id::text = lower($2))
     order by external_id = $2 desc limit 1`,
    [currentContext().tenantId, ref],
  )
  if (!row) throw notFound()
  return row
}

function loadMeters(): Promise<Meter[]> {
  return tenantQuery<Meter>('select id, slug, name, unit, aggregation from meters where tenant_id = $1 order by slug', [
    currentContext().tenantId,
  ])
}

/** What went beyond caps in the periods that begin in a month, of one customer with its cap, or of all by meter. */
function loadCaps(customerId: string | null, first: string): Promise<Caps[]> {
  return tenantQuery<Caps>(
    `with capped as (
       select c.id as customer_id, cap.meter_id, coalesce(e.cap_limit, case when e.id is null then cap.cap_limit else 0 end) as cap_limit,
         coalesce(e.period, cap.period) as period
       from customers c
       left join subscriptions s on s.tenant_id = $1 and s.customer_id = c.id and s.canceled_at is null
       left join tiers d on d.tenant_id = $1 and d.is_default and s.id is null
       join lateral (
         select x.meter_id, x.cap_limit, x.period from tier_caps x
           where x.tenant_id = $1 and x.tier_id = coalesce(s.tier_id, d.id) and x.version = coalesce(s.tier_version, d.version)
         union all
         select y.meter_id, 0, y.period from entitlements y
           where y.tenant_id = $1 and y.customer_id = c.id and y.canceled_at is null and y.kind = 'metered'
             and not exists (select 1 from tier_caps z where z.tenant_id = $1 and z.tier_id = coalesce(s.tier_id, d.id)
               and z.version = coalesce(s.tier_version, d.version) and z.meter_id = y.meter_id)
       ) cap on true
       left join entitlements e on e.tenant_id = $1 and e.customer_id = c.id and e.meter_id = cap.meter_id and e.canceled_at is null
         and e.kind = 'metered'
       where c.tenant_id = $1 and ($2::uuid is null or c.id = $2)
     )
     select k.meter_id, case when $2::uuid is not null then max(k.cap_limit)::text end as cap, min(k.period) as period,
       coalesce(sum(greatest(app.metered_value(m.aggregation, u.used, u.events) - k.cap_limit, 0)), 0)::text as overage
     from capped k
     join meters m on m.tenant_id = $1 and m.id = k.meter_id
     left join usage_counters u on u.tenant_id = $1 and u.period = k.period and u.meter_id = k.meter_id and u.customer_id = k.customer_id
       and u.starts_on >= $3::date and u.starts_on < ($3::date + interval '1 month')::date and m.aggregation <> 'WEIGHTED_SUM'
     group by k.meter_id`,
    [currentContext().tenantId, customerId, first],
  )
}

/** The ten largest customers of each meter. */
async function loadTop(
  meters: readonly Meter[],
  { from, to }: Span,
  timeZone: string,
): Promise<MonthReport['top_customers']> {
  const rows = await tenantQuery<Customer & { meter_id: string; value: string; events: number }>(
    `select r.meter_id, r.value::text, r.events, c.id, c.external_id, c.name
     from unnest($2::uuid[]) m (id)
     cross join lateral (
       select m.id as meter_id, q.customer_id, q.value, q.events
       from app.query_usage($1, m.id, $3, $4, null, $5, $5, null, true, '{}', null, false, statement_timestamp(), 1000000) q
       where q.value is not null order by q.value desc, q.customer_id limit $6
     ) r
     join customers c on c.tenant_id = $1 and c.id = r.customer_id
     order by r.value desc, c.external_id`,
    [currentContext().tenantId, meters.map(({ id }) => id), from, to, timeZone, TOP],
  )
  const found = Map.groupBy(rows, ({ meter_id }) => meter_id)
  return meters.flatMap(({ id, slug }) => {
    const customers = (found.get(id) ?? []).map(({ value, events, meter_id: _, ...customer }) => ({
      customer,
      used: toQuantity(value),
      events,
    }))
    return customers.length > 0 ? [{ meter: slug, customers }] : []
  })
}
