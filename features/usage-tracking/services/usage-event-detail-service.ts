import { tenantQuery } from '@/libs/db/tenant-db'
import { notFound } from '@/libs/errors'
import { isUuid } from '@/libs/ids'
import { type Quantity, toQuantity } from '@/libs/ingest/decimal'
import { routeTenant } from '@/libs/tenancy/resolve-tenant'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { EVENT_COLUMNS, EVENT_TABLES, type EventRow, type StoredEvent, toEvent } from './usage-event-service'

/** A running total that an event is part of, as it stands now. */
export type MovedTotal = {
  scope: 'customer_day' | 'customer_period' | 'day' | 'quarter' | 'group'
  starts_at: string
  used: Quantity
  events: number
  group: Record<string, string | null> | null
}
export type EventDetail = {
  event: EventRow
  aggregation: string
  unit: string
  /** What it adds to each total; null where a total is no sum. */
  amount: Quantity | null
  /** The event and everything that corrects it or that it corrects, in the order of reception. */
  chain: EventRow[]
  moved: MovedTotal[]
}

type Moved = Omit<MovedTotal, 'used' | 'events'> & {
  used: string
  events: string
  aggregation: string
  unit: string
  amount: string
}

/** One event with its corrections and the totals it is part of. @throws AppError not_found. */
export async function getEventDetail(id: string): Promise<EventDetail> {
  if (!isUuid(id)) throw notFound()
  const { tenantId } = currentContext()
  const chain = await tenantQuery<StoredEvent>(
    `with recursive up (id, corrects, depth) as (
       select e.id, e.corrects, 0 from usage_events e where e.tenant_id = $1 and e.id = $2
       union all
       select e.id, e.corrects, u.depth + 1 from up u join usage_events e on e.tenant_id = $1 and e.id = u.corrects where u.depth < 200
     ),
     first as (select u.id from up u order by u.depth desc limit 1),
     chain (id) as (
       select f.id from first f
       union
       select n.id from chain p join usage_events n on n.tenant_id = $1 and n.corrects = p.id
     )
     select ${EVENT_COLUMNS} from chain h join ${EVENT_TABLES.replace('usage_events e', 'usage_events e on e.tenant_id = $1 and e.id = h.id')}
     order by e.received_at, e.weight`,
    [tenantId, id],
  )
  const event = chain.find((row) => row.id === id)
  if (!event) throw notFound()
  const { time_zone } = await routeTenant(tenantId)
  const moved = await tenantQuery<Moved>(MOVED, [tenantId, id, time_zone])
  const [first] = moved
  const sums = first !== undefined && ['SUM', 'COUNT', 'AVG', 'WEIGHTED_SUM'].includes(first.aggregation)
  return {
    event: toEvent(event),
    aggregation: first?.aggregation ?? '',
    unit: first?.unit ?? '',
    amount: sums ? toQuantity(first.amount) : null,
    chain: chain.map(toEvent),
    moved: moved
      .filter(({ scope }) => scope !== null)
      .map(({ scope, starts_at, used, events, group }) => ({
        scope,
        starts_at,
        used: toQuantity(used),
        events: Number(events),
        group,
      })),
  }
}

const MOVED = `
  with e as (
    select e.*, m.aggregation, m.unit, m.group_by, (e.occurred_at at time zone $3)::date as day,
      date_bin('15 minutes', e.occurred_at, '2000-01-01 00:00:00+00') as quarter,
      app.event_amount(m.aggregation, e.value, e.counted) as amount,
      coalesce((select s.anchor_day from subscriptions s
        where s.tenant_id = $1 and s.customer_id = e.customer_id and s.canceled_at is null), 1)::integer as anchor
    from usage_events e join meters m on m.tenant_id = $1 and m.id = e.meter_id
    where e.tenant_id = $1 and e.id = $2
  )
  select e.aggregation, e.unit, trim_scale(e.amount)::text as amount, t.scope, t.starts_at, trim_scale(t.used)::text as used, t.events::text, t.group_values as group
  from e
  left join lateral (
    select 1 as place, 'customer_day' as scope, k.starts_on::text as starts_at, k.used, k.events, null::jsonb as group_values
      from usage_counters k where k.tenant_id = $1 and k.period = 'day' and k.meter_id = e.meter_id and k.starts_on = e.day
        and k.customer_id = e.customer_id
    union all
    select 2, 'customer_period', k.starts_on::text, k.used, k.events, null
      from usage_counters k where k.tenant_id = $1 and k.period = 'month' and k.meter_id = e.meter_id
        and k.starts_on = app.period_start(e.day, 'month', e.anchor) and k.customer_id = e.customer_id
    union all
    select 3, 'day', k.day::text, k.used, k.events, null
      from usage_totals k where k.tenant_id = $1 and k.meter_id = e.meter_id and k.day = e.day
    union all
    select 4, 'quarter', to_char(k.quarter at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), k.used, k.events, null
      from usage_quarters k where k.tenant_id = $1 and k.meter_id = e.meter_id and k.quarter = e.quarter
    union all
    select 5, 'group', k.day::text, k.used, k.events, k.group_values
      from usage_groups k where cardinality(e.group_by) > 0 and k.tenant_id = $1 and k.meter_id = e.meter_id and k.day = e.day
        and k.group_hash = md5(app.event_group(e.group_by, e.properties)::text)::uuid and k.customer_id = e.customer_id
  ) t on e.weight <> 0
  order by t.place`
