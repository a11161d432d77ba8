import { tenantQuery } from '@/libs/db/tenant-db'
import { invalidInput } from '@/libs/errors'
import { type Quantity, toQuantity } from '@/libs/ingest/decimal'
import type { MeterFilter } from '@/libs/metering/meter-filter'
import { MOST_ROWS, type UsageWindow } from '@/libs/metering/usage-query'
import { currentContext } from '@/libs/tenancy/tenant-context'

/** Usage of a customer under one of its names. */
export type SubjectUsage = {
  window_start: string
  window_end: string
  subject: string
  customer_id: string
  group: Record<string, string | null>
  value: Quantity | null
}
export type SubjectQuery = {
  meter: { id: string; aggregation: string; value_property: string | null; group_by: readonly string[] }
  customers: readonly string[]
  /** null: under every name. */
  subjects: readonly string[] | null
  /** The property of an event that says which name it was sent under; without it, it was the external id. */
  property: string
  from: string
  to: string
  window: UsageWindow | null
  time_zone: string
  group_by: readonly string[]
  filter: MeterFilter | null
}
type Row = Omit<SubjectUsage, 'value' | 'window_start' | 'window_end'> & {
  value: string | null
  window_start: Date
  window_end: Date
}

/** What adds up the rows of a group; x.amount is what each of them counts for. */
const VALUES: Readonly<Record<string, string>> = {
  SUM: 'sum(x.amount)',
  COUNT: 'count(*)::numeric',
  MIN: 'min(x.amount)',
  MAX: 'max(x.amount)',
  AVG: 'app.exact_quotient(sum(x.amount), count(*))',
  LATEST: '(array_agg(x.amount order by x.occurred_at desc, x.received_at desc))[1]',
  UNIQUE_COUNT: 'count(distinct x.told)::numeric',
}

/** Customers that go by other names than their external id: all, or those of them. */
export async function findManyNamed(customerIds: readonly string[] | null): Promise<string[]> {
  const rows = await tenantQuery<{ customer_id: string }>(
    `select distinct customer_id from customer_subjects
     where tenant_id = $1 and ($2::uuid[] is null or customer_id = any ($2))`,
    [currentContext().tenantId, customerIds],
  )
  return rows.map(({ customer_id }) => customer_id)
}

/** Whether usage of a meter can be told by the names its events were sent under. */
export function isToldBySubject(aggregation: string): boolean {
  return Object.hasOwn(VALUES, aggregation)
}

/**
 * Usage of customers by the names their events were sent under, per window and group, exactly, from the events themselves.
 * @throws AppError invalid_input beyond 50,000 rows.
 */
export async function querySubjectUsage(query: SubjectQuery): Promise<SubjectUsage[]> {
  const { meter, customers, subjects, property, from, to, window, time_zone, group_by, filter } = query
  const rows = await tenantQuery<Row>(
    `with windows as materialized (select app.usage_windows($4, $5, $6, $7) as bounds),
       chosen as (
         select width_bucket(e.occurred_at, w.bounds) as place, e.occurred_at, e.received_at, e.customer_id,
           coalesce(e.properties ->> $8, c.external_id) as subject, coalesce(e.counted, e.value) as amount, e.properties ->> $9 as told,
           (select coalesce(jsonb_object_agg(k, e.properties ->> k), '{}') from unnest($10::text[]) k) as "group"
         from windows w, usage_events e
         join customers c on c.tenant_id = $1 and c.id = e.customer_id
         where e.tenant_id = $1 and e.meter_id = $2 and e.customer_id = any ($3::uuid[]) and e.occurred_at >= $4 and e.occurred_at < $5
           and e.received_at >= $4::timestamptz - interval '1 day' and e.weight = 1
           and not exists (select from usage_events b where b.tenant_id = $1 and b.corrects = e.id and b.weight = -1)
           and ($11::text[] is null or coalesce(e.properties ->> $8, c.external_id) = any ($11))
           and ($12::jsonb is null or app.passes_filter($12, jsonb_strip_nulls(
             (select coalesce(jsonb_object_agg(k, e.properties ->> k), '{}') from unnest($13::text[]) k))))
       )
     select w.bounds[x.place] as window_start, w.bounds[x.place + 1] as window_end, x.subject, x.customer_id, x."group",
       trim_scale(${VALUES[meter.aggregation] ?? 'null'})::text as value
     from chosen x, windows w
     group by w.bounds, x.place, x.subject, x.customer_id, x."group"
     order by x.place, x.subject, x."group" limit ${MOST_ROWS + 1}`,
    [
      currentContext().tenantId,
      meter.id,
      customers,
      from,
      to,
      window,
      time_zone,
      property,
      meter.value_property,
      group_by,
      subjects,
      filter === null ? null : JSON.stringify(filter),
      meter.group_by,
    ],
  )
  if (rows.length > MOST_ROWS)
    throw invalidInput('/window', `gives more than ${MOST_ROWS} rows; ask for a shorter range or fewer groups`)
  return rows.map(({ value, window_start, window_end, ...row }) => ({
    ...row,
    window_start: window_start.toISOString(),
    window_end: window_end.toISOString(),
    value: value === null ? null : toQuantity(value),
  }))
}
