import { tenantQuery } from '@/libs/db/tenant-db'
import { invalidInput, nothingNamed } from '@/libs/errors'
import { toQuantity } from '@/libs/ingest/decimal'
import { findCustomerId } from '@/libs/metering/find-customers'
import { loadMeters } from '@/libs/metering/find-meter'
import { loadUsage, type Span, spanOfDays, type UsageRow } from '@/libs/metering/load-usage'
import { addMonths, changePercent } from '@/libs/metering/trend'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { readTimeZone } from '@/libs/tenancy/time-zone'
import { dayIn } from '@/libs/tenancy/zoned-day'
import type { MonthReport, ReportQuery } from '../schema'

type Meter = MonthReport['meters'][number]['meter']
type Customer = NonNullable<MonthReport['customer']>
type Cap = { meter_id: string; cap: string | null; period: 'day' | 'month' | null }

const TOP = 10
const EARLIEST = '2000-01'

/**
 * Usage of a calendar month in the tenant's time zone, of all customers or one. Exact, as far as the month has come.
 * @throws AppError not_found for the customer, invalid_input for a month that has not begun.
 */
export async function reportMonth({ month: asked, customer: ref }: ReportQuery): Promise<MonthReport> {
  const timeZone = await readTimeZone()
  const running = dayIn(timeZone).slice(0, 7)
  const month = asked ?? running
  if (month > running) throw invalidInput('/month', 'has not begun')
  if (month < EARLIEST) throw invalidInput('/month', `is before ${EARLIEST}`)
  const customer = ref === undefined ? null : await findCustomer(ref)
  const customerId = customer?.id ?? null
  const first = `${month}-01`
  const span = await spanOfDays(first, addMonths(first, 1), timeZone)
  const before = await spanOfDays(addMonths(first, -1), first, timeZone)

  const select = { meterId: null, customerId, timeZone }
  const totals = await loadUsage({ ...select, ...span, window: null })
  const earlier = byMeter(await loadUsage({ ...select, ...before, window: null }))
  const days = await loadUsage({ ...select, ...span, window: 'DAY' })
  const caps = new Map((await loadCaps(customerId)).map((row) => [row.meter_id, row]))
  const overage = await loadOverage(customerId, first, timeZone)
  const present = byMeter(totals)
  const meters = (await loadMeters(null)).filter(
    ({ id }) => present.has(id) || earlier.has(id) || Number(overage.get(id) ?? 0) > 0,
  )
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
      const beyond = overage.get(meter.id) ?? (cap ? '0' : null)
      return {
        meter,
        used: toQuantity(used?.value ?? '0'),
        events: used?.events ?? 0,
        previous: toQuantity(previous),
        change_percent: changePercent(Number(used?.value ?? 0), Number(previous)),
        cap: cap?.cap ? toQuantity(cap.cap) : null,
        cap_period: cap?.cap ? cap.period : null,
        overage: beyond === null ? null : toQuantity(beyond),
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
    'select id, external_id, name from customers where tenant_id = $1 and id = $2',
    [currentContext().tenantId, await findCustomerId(ref)],
  )
  if (!row) throw nothingNamed('/customer', 'customer')
  return row
}

/** The caps that hold now: of one customer with what they allow, or which meters have any. */
function loadCaps(customerId: string | null): Promise<Cap[]> {
  if (customerId !== null)
    return tenantQuery<Cap>(
      `select m.id as meter_id, c.cap_limit::text as cap, c.period from meters m
       cross join lateral app.effective_cap($1, $2, m.id) c where m.tenant_id = $1`,
      [currentContext().tenantId, customerId],
    )
  return tenantQuery<Cap>(
    `select c.meter_id, null as cap, null as period
     from (
       select s.tier_id as id, s.tier_version as version from subscriptions s where s.tenant_id = $1 and s.canceled_at is null
       union select t.id, t.version from tiers t where t.tenant_id = $1 and t.is_default
     ) t
     join tier_caps c on c.tenant_id = $1 and c.tier_id = t.id and c.version = t.version
     union
     select e.meter_id, null, null from entitlements e where e.tenant_id = $1 and e.kind = 'metered' and e.canceled_at is null`,
    [currentContext().tenantId],
  )
}

/** By meter, what is billed as overage of the periods of usage that begin in a month, of one customer or all. */
async function loadOverage(customerId: string | null, first: string, timeZone: string): Promise<Map<string, string>> {
  const rows = await tenantQuery<{ meter_id: string; overage: string }>(
    `select o.meter_id, sum(o.overage)::text as overage from app.month_overage($1, $2, $3, $4) o group by 1`,
    [currentContext().tenantId, timeZone, customerId, first],
  )
  return new Map(rows.map(({ meter_id, overage }) => [meter_id, overage]))
}

/** The ten largest customers of each meter. */
async function loadTop(
  meters: readonly Meter[],
  { from, to }: Span,
  timeZone: string,
): Promise<MonthReport['top_customers']> {
  const rows = await tenantQuery<Customer & { meter_id: string; value: string; events: number }>(
    `select r.meter_id, r.value::text, r.events, c.id, c.external_id, c.name
     from (
       select q.*, row_number() over (partition by q.meter_id order by q.value desc, q.customer_id) as place
       from app.query_meters($1, $2, $3, $4, null, $5, null, true) q where q.value is not null
     ) r
     join customers c on c.tenant_id = $1 and c.id = r.customer_id
     where r.place <= $6
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
