import { cutPage, isCursorMoment, type Page, readCursor } from '@/libs/api-utils/page'
import { tenantQuery } from '@/libs/db/tenant-db'
import { isUuid } from '@/libs/ids'
import { type Quantity, toQuantity } from '@/libs/ingest/decimal'
import { parseExactly } from '@/libs/ingest/exact-number'
import { resolveUsageFilter } from '@/libs/metering/find-meter'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { eventKey } from './event-parser'
import type { EventListQuery } from './event-schema'
import { resolveRange } from './usage-range'

/** How far back an event_id is looked for whose source is not known. */
const SEARCHED_DAYS = 62

export type EventState = 'counted' | 'filtered' | 'corrected' | 'correction'
export type EventRow = {
  id: string
  event_id: string | null
  source: string | null
  meter: string
  meter_name: string
  meter_id: string
  user_id: string
  customer_id: string
  value: Quantity
  occurred_at: Date
  received_at: Date
  /** As they were sent: numbers that no double holds are an ExactNumber, which goes out with all its digits. */
  properties: Record<string, unknown> | null
  /** counted; filtered: does not pass its meter's filter; corrected: was taken back; correction: takes another one back. */
  state: EventState
  /** What it added where a cap left only a part of its value. */
  counted: Quantity | null
  /** The event this one takes back or stands for. */
  corrects: string | null
}
/** An event as the database gives it. */
export type StoredEvent = Omit<EventRow, 'value' | 'counted' | 'properties'> & {
  value: string
  counted: string | null
  properties: string | null
  position: string
}

/** Columns of an event; the tables are e, m and c, and $1 is the tenant. */
export const EVENT_COLUMNS = `e.id, e.event_id, e.source, m.slug as meter, m.name as meter_name, e.meter_id, c.external_id as user_id, e.customer_id, e.value::text as value,
  e.occurred_at, e.received_at, e.properties::text as properties, e.counted::text as counted, e.corrects, e.received_at::text as position,
  case when e.weight = -1 then 'correction'
    when exists (select 1 from usage_events b where b.tenant_id = $1 and b.corrects = e.id and b.weight = -1) then 'corrected'
    when e.weight = 0 then 'filtered' else 'counted' end as state`
export const EVENT_TABLES = `usage_events e
  join meters m on m.tenant_id = $1 and m.id = e.meter_id
  join customers c on c.tenant_id = $1 and c.id = e.customer_id`

/** An event as it goes out. */
export function toEvent({ position: _position, value, counted, properties, ...row }: StoredEvent): EventRow {
  return {
    ...row,
    value: toQuantity(value),
    counted: counted === null ? null : toQuantity(counted),
    properties: properties === null ? null : (parseExactly(properties) as Record<string, unknown>),
  }
}

/**
 * Usage events, the last received first. With an event_id and its source the event and its corrections are found at once;
 * without the source the last two months are looked through.
 * @throws AppError not_found for a filter, invalid_input for the range.
 */
export async function listEvents(query: EventListQuery): Promise<Page<EventRow>> {
  const { tenantId } = currentContext()
  const { meterId, customerId } = await resolveUsageFilter(query)
  const { time_range, from, to } = query
  const range = (time_range ?? from ?? to) ? await resolveRange({ time_range, from, to }) : null
  const [receivedAt, id] = readCursor(query.cursor, isCursorMoment, isUuid)
  const since = range?.from ?? (await earliestOf(customerId))
  if (since === 'never') return { data: [], next_cursor: null }
  const ids = query.event_id === undefined ? null : await findVersions(query.event_id, query.source)
  const rows = await tenantQuery<StoredEvent>(
    `select ${EVENT_COLUMNS} from ${EVENT_TABLES}
     where e.tenant_id = $1
       and ($2::uuid is null or e.meter_id = $2) and ($3::uuid is null or e.customer_id = $3)
       and ($4::uuid[] is null or e.id = any ($4)) and ($5::text is null or e.source = $5)
       and ($6::timestamptz is null or e.received_at >= $6) and ($7::timestamptz is null or e.received_at < $7)
       and ($8::timestamptz is null or (e.received_at, e.id) < ($8, $9)) ${ofState(query.state)}
     order by e.received_at desc, e.id desc limit $10`,
    [
      tenantId,
      meterId,
      customerId,
      ids,
      query.event_id === undefined ? (query.source ?? null) : null,
      since,
      range?.to ?? null,
      receivedAt,
      id,
      query.limit + 1,
    ],
  )
  const page = cutPage(rows, query.limit, (row) => [row.position, row.id])
  return { data: page.data.map(toEvent), next_cursor: page.next_cursor }
}

function ofState(state: EventState | undefined): string {
  const taken = 'exists (select 1 from usage_events b where b.tenant_id = $1 and b.corrects = e.id and b.weight = -1)'
  switch (state) {
    case 'correction':
      return 'and e.weight = -1 and e.corrects is not null'
    case 'corrected':
      // From the corrections, of which there are few, to the events.
      return 'and e.weight <> -1 and e.id in (select b.corrects from usage_events b where b.tenant_id = $1 and b.corrects is not null and b.weight = -1)'
    case 'filtered':
      return `and e.weight = 0 and not ${taken}`
    case 'counted':
      return `and e.weight = 1 and not ${taken}`
    default:
      return ''
  }
}

/** All rows of an event: as sent, taken back, replaced. */
async function findVersions(eventId: string, source: string | undefined): Promise<string[]> {
  const { tenantId } = currentContext()
  const known = await tenantQuery<{ id: string }>(
    `with recursive chain (id) as (
       select $2::uuid
       union
       select n.id from chain p join usage_events n on n.tenant_id = $1 and n.corrects = p.id
     )
     select e.id from chain p join usage_events e on e.tenant_id = $1 and e.id = p.id`,
    [tenantId, eventKey(source ?? null, eventId)],
  )
  if (known.length > 0 || source !== undefined) return known.map(({ id }) => id)
  const found = await tenantQuery<{ id: string }>(
    `select e.id from usage_events e
     where e.tenant_id = $1 and e.event_id = $2 and e.received_at >= now() - make_interval(days => $3) limit 1000`,
    [tenantId, eventId, SEARCHED_DAYS],
  )
  return found.map(({ id }) => id)
}

/**
 * Nothing of a customer was received before it was made, or more than a day before its first day of usage: where looking back may
 * end. `never` when there is nothing at all: it has no usage, nothing of it was taken back, and no meter has a filter that its events
 * may not have passed.
 */
async function earliestOf(customerId: string | null): Promise<Date | 'never' | null> {
  if (customerId === null) return null
  // Its months are those of its anchor. They are looked up one by one: one that never used a meter is in no row of all its months.
  const [row] = await tenantQuery<{ since: Date; found: boolean }>(
    `with firsts as materialized (
       select m.id, t.day from meters m
       cross join lateral (select x.day from usage_totals x where x.tenant_id = $1 and x.meter_id = m.id order by x.day limit 1) t
       where m.tenant_id = $1
     ),
     months as materialized (
       select distinct app.period_start(d::date, 'month', coalesce(
         (select s.anchor_day from subscriptions s where s.tenant_id = $1 and s.customer_id = $2 and s.canceled_at is null), 1)) as starts_on
       from generate_series((select min(f.day) - 2 from firsts f), current_date + 60, interval '15 days') d
     ),
     used as (
       select min(k.starts_on) as starts_on from firsts f
       join months n on n.starts_on > f.day - 40
       cross join lateral (
         select x.starts_on from usage_counters x
         where x.tenant_id = $1 and x.period = 'month' and x.meter_id = f.id and x.starts_on = n.starts_on and x.customer_id = $2
         limit 1
       ) k
     )
     select (least(u.starts_on, (c.created_at at time zone 'UTC')::date) - 2)::timestamptz as since,
       u.starts_on is not null or exists (select from meters m where m.tenant_id = $1 and m.filter is not null) or exists (
         select from meters m cross join lateral (
           select from usage_events e where e.tenant_id = $1 and e.meter_id = m.id and e.customer_id = $2 and e.weight = -1 limit 1
         ) e where m.tenant_id = $1) as found
     from used u join customers c on c.tenant_id = $1 and c.id = $2`,
    [currentContext().tenantId, customerId],
  )
  if (!row) return null
  return row.found ? row.since : 'never'
}
