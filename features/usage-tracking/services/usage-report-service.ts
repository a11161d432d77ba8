import { tenantQuery } from '@/libs/db/tenant-db'
import { type Quantity, toQuantity } from '@/libs/ingest/decimal'
import { loadMeters, type MeterRef, resolveUsageFilter, type UsageFilter } from '@/libs/metering/find-meter'
import { addDays } from '@/libs/metering/trend'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { dayIn } from '@/libs/tenancy/zoned-day'
import type { DailyQuery, UsageQuery } from '../schema'
import { resolveRange, type UsageRange } from './usage-range'

type CustomerRef = { id: string; external_id: string; name: string | null }
type Range = { from: Date; to: Date; time_zone: string }

export type UsageReport = Range & {
  group_by: 'meter' | 'customer'
  data: { meter: MeterRef; customer?: CustomerRef; used: Quantity; events: number }[]
}
export type DailyReport = Range & {
  group_by: 'meter' | 'customer'
  data: { day: string; meter: string; customer?: string; used: Quantity; events: number }[]
  meters: MeterRef[]
}

/** As the index usage_events_apart_idx has it, and app.received_apart: received more than five minutes from when it happened. */
const APART = "greatest(x.received_at, x.occurred_at) - least(x.received_at, x.occurred_at) > interval '5 minutes'"
const monthOf = (moment: string): string => `date_trunc('month', (${moment}) at time zone 'UTC')::date`

/**
 * Usage as rows of (meter, customer or null, day, used, events): whole days from the running totals, parts of days at the
 * edges of the range from the events themselves. Of meters whose days do not add up, `window` says what each row is about.
 * Parameters: tenant, meter, customers (null: all), zone, from, to; where there are edges: first day, end day, edges.
 */
function usageRows(
  perCustomer: boolean,
  { from, to, firstDay, endDay, edges }: UsageRange,
  window: 'DAY' | null,
): { text: string; values: (Date | string)[] } {
  const meters = `select m.id from meters m where m.tenant_id = $1 and ($2::uuid is null or m.id = $2) and m.aggregation in ('SUM', 'COUNT')`
  const days = perCustomer
    ? `select c.meter_id, c.customer_id, c.starts_on as day, c.used, c.events from usage_counters c
       where c.tenant_id = $1 and c.period = 'day' and c.starts_on >= $7 and c.starts_on < $8
         and c.meter_id in (${meters})
         and ($3::uuid[] is null or c.customer_id = any ($3))`
    : `select t.meter_id, null::uuid as customer_id, t.day, t.used, t.events from usage_totals t
       where t.tenant_id = $1 and t.day >= $7 and t.day < $8
         and t.meter_id in (${meters}) and $3::uuid[] is null`
  // What came at its time is found by when it came, all else, meter by meter, by when it happened: at most a day after it came.
  const parts = edges.map((_, index) => {
    const [from, to] = [`$${9 + index * 2}::timestamptz`, `$${10 + index * 2}::timestamptz`]
    const events = (meter: string) => `select x.* from usage_events x
      where x.tenant_id = $1 and x.weight = 1 and x.occurred_at >= ${from} and x.occurred_at < ${to} and ${meter}
        and ($3::uuid[] is null or x.customer_id = any ($3))`
    return `select e.meter_id, ${perCustomer ? 'e.customer_id' : 'null::uuid'}, (e.occurred_at at time zone $4)::date,
        sum(case m.aggregation when 'COUNT' then 1 else coalesce(e.counted, e.value) end), count(*)
      from (
        ${events('($2::uuid is null or x.meter_id = $2)')} and not (${APART})
          and x.received_at >= ${from} - interval '5 minutes' and x.received_at < ${to} + interval '5 minutes'
          and x.received_month between ${monthOf(`${from} - interval '5 minutes'`)} and ${monthOf(`${to} + interval '5 minutes'`)}
        union all
        select x.* from meters n
        cross join lateral (${events('x.meter_id = n.id')} and ${APART}
          and x.received_month >= ${monthOf(`${from} - interval '1 day'`)} offset 0) x
        where n.tenant_id = $1 and ($2::uuid is null or n.id = $2)
      ) e
      join meters m on m.tenant_id = $1 and m.id = e.meter_id and m.aggregation in ('SUM', 'COUNT')
      where not exists (select from usage_events c where c.tenant_id = $1 and c.corrects = e.id and c.weight = -1)
      group by 1, 2, 3`
  })
  // Whole days are one question, whatever meters there are.
  const others = `select q.meter_id, q.customer_id, (q.window_start at time zone $4)::date as day, q.value as used, q.events
    from app.query_meters($1, array(select m.id from meters m
        where m.tenant_id = $1 and ($2::uuid is null or m.id = $2)${parts.length > 0 ? " and m.aggregation not in ('SUM', 'COUNT')" : ''}),
      $5, $6, ${window ? `'${window}'` : 'null'}, $4, $3::uuid[], ${perCustomer}) q`
  if (parts.length === 0) return { text: others, values: [from, to] }
  return {
    text: [days, ...parts, others].join(' union all '),
    values: [from, to, firstDay, endDay, ...edges.flatMap((edge) => [edge.from, edge.to])],
  }
}

function parametersOf(
  { timeZone }: UsageRange,
  { meterId, customerId }: UsageFilter,
  customerIds: readonly string[] | null = customerId === null ? null : [customerId],
): unknown[] {
  return [currentContext().tenantId, meterId, customerIds, timeZone]
}

const rangeOf = ({ from, to, timeZone }: UsageRange): Range => ({ from, to, time_zone: timeZone })

/**
 * How much was used of each meter in a range, of one customer or all, or by each customer (the largest first).
 * By event time. @throws AppError invalid_input for the range, not_found for a filter.
 */
export async function reportUsage(query: UsageQuery): Promise<UsageReport> {
  const [range, filter] = [await resolveRange(query), await resolveUsageFilter(query)]
  const byCustomer = query.group_by === 'customer'
  const { text, values } = usageRows(byCustomer || filter.customerId !== null, range, null)
  const meters = new Map((await loadMeters(filter.meterId)).map((meter) => [meter.id, meter]))
  const group = byCustomer ? 'u.meter_id, u.customer_id' : 'u.meter_id'
  const parameters = [...parametersOf(range, filter), ...values]
  const rows = await tenantQuery<{
    meter_id: string
    used: string
    events: number
    customer_id?: string
    external_id?: string
    customer_name?: string | null
  }>(
    `with u as (select ${group}, sum(u.used)::text as used, sum(u.events)::bigint as events, sum(u.used) as amount from (${text}) u group by ${group} having sum(u.events) <> 0 or sum(u.used) <> 0
       order by amount desc, ${group} limit $${parameters.length + 1})
     select u.*${byCustomer ? ', c.external_id, c.name as customer_name' : ''} from u
     ${byCustomer ? 'join customers c on c.tenant_id = $1 and c.id = u.customer_id' : ''} order by u.amount desc`,
    [...parameters, byCustomer ? query.limit : 500],
  )
  const data = rows.flatMap((row) => {
    const meter = meters.get(row.meter_id)
    if (!meter) return []
    const amounts = { used: toQuantity(row.used), events: row.events }
    if (!row.customer_id) return [{ meter, ...amounts }]
    const customer = { id: row.customer_id, external_id: row.external_id ?? '', name: row.customer_name ?? null }
    return [{ meter, customer, ...amounts }]
  })
  return { ...rangeOf(range), group_by: query.group_by, data }
}

/** Usage day by day, of each meter, or of the largest customers; days without any are left out unless `fill` asks for them. */
export async function reportDailyUsage(query: DailyQuery): Promise<DailyReport> {
  const [range, filter] = [await resolveRange(query), await resolveUsageFilter(query)]
  const meters = await loadMeters(filter.meterId)
  const rows = await loadDays(range, filter, query.group_by === 'customer' ? query.limit : null)
  const slugs = new Map(meters.map(({ id, slug }) => [id, slug]))
  const data = rows.map(({ day, meter_id, external_id, used, events }) => ({
    day,
    meter: slugs.get(meter_id) ?? '',
    ...(external_id === undefined ? {} : { customer: external_id }),
    used: toQuantity(used),
    events,
  }))
  const filled = query.fill === 'true' && query.group_by === 'meter' ? fillDays(data, meters, range) : data
  return { ...rangeOf(range), group_by: query.group_by, data: filled, meters }
}

export type DayRow = { day: string; meter_id: string; external_id?: string; used: string; events: number }

/** Rows per day and meter, oldest first; with `customers` per customer as well, the largest so many. */
async function loadDays(range: UsageRange, filter: UsageFilter, customers: number | null): Promise<DayRow[]> {
  const { text, values } = usageRows(customers !== null || filter.customerId !== null, range, 'DAY')
  const select = 'select u.day::text as day, u.meter_id, sum(u.used)::text as used, sum(u.events)::bigint as events'
  const used = 'having sum(u.events) <> 0 or sum(u.used) <> 0'
  if (customers === null)
    return tenantQuery<DayRow>(
      `${select} from (${text}) u group by u.day, u.meter_id ${used} order by u.day, u.meter_id`,
      [...parametersOf(range, filter), ...values],
    )
  return tenantQuery<DayRow>(
    `${select}, c.external_id from (${text}) u join customers c on c.tenant_id = $1 and c.id = u.customer_id
     group by u.day, u.meter_id, c.external_id ${used} order by u.day, u.meter_id, c.external_id`,
    [...parametersOf(range, filter, await findLargest(range, filter, customers)), ...values],
  )
}

/** Ids of the customers with the most usage in a range. */
async function findLargest(range: UsageRange, filter: UsageFilter, count: number): Promise<string[]> {
  const { text, values } = usageRows(true, range, null)
  const parameters = [...parametersOf(range, filter), ...values]
  const rows = await tenantQuery<{ customer_id: string }>(
    `select u.customer_id from (${text}) u group by 1 order by sum(u.used) desc, 1 limit $${parameters.length + 1}`,
    [...parameters, count],
  )
  return rows.map(({ customer_id }) => customer_id)
}

function fillDays(data: DailyReport['data'], meters: readonly MeterRef[], range: UsageRange): DailyReport['data'] {
  const known = new Map(data.map((row) => [`${row.day} ${row.meter}`, row]))
  const seen = new Set(data.map(({ meter }) => meter))
  const filled: DailyReport['data'] = []
  for (const day of daysOf(range)) {
    for (const { slug } of meters) {
      if (!seen.has(slug)) continue
      filled.push(known.get(`${day} ${slug}`) ?? { day, meter: slug, used: 0, events: 0 })
    }
  }
  return filled
}

/** Every day a range touches, as `YYYY-MM-DD`. */
function daysOf({ from, to, timeZone }: UsageRange): string[] {
  const last = dayIn(timeZone, to.getTime() - 1)
  const days: string[] = []
  for (let day = dayIn(timeZone, from); day <= last; day = addDays(day, 1)) days.push(day)
  return days
}
