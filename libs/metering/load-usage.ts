import { tenantQuery } from '@/libs/db/tenant-db'
import { currentContext } from '@/libs/tenancy/tenant-context'

export type Span = { from: Date; to: Date }

export type UsageSelection = Span & {
  /** One meter, or every one that has usage. */
  meterId: string | null
  /** One customer, or all together. */
  customerId: string | null
  window: 'HOUR' | 'DAY' | null
  /** Of the tenant: days are those of its clocks. */
  timeZone: string
}

export type UsageRow = {
  meter_id: string
  window_start: Date
  /** First day of the window, `YYYY-MM-DD`. */
  day: string
  /** Exact; null for the MIN, MAX, AVG or LATEST of nothing. */
  value: string | null
  events: number
}

/** What a meter `m` asks app.query_usage for as "fill", where USED is to tell which windows were used. */
export const FILLED = "(m.aggregation = 'WEIGHTED_SUM')"
/** Whether anything was used in a window `q` of a meter `m`: a level is, as long as there is one, whether or not it changes. */
export const USED = `(q.events <> 0 or (${FILLED} and q.value <> 0 and q.window_start < statement_timestamp()))`

/** Usage by meter and window of a half-open range of event time, exactly and by the meter's own aggregation; empty windows are left out. */
export function loadUsage({ meterId, customerId, from, to, window, timeZone }: UsageSelection): Promise<UsageRow[]> {
  return tenantQuery<UsageRow>(
    `select m.id as meter_id, q.window_start, (q.window_start at time zone $5)::date::text as day, q.value::text, q.events
     from app.query_meters($1, $7, $2, $3, $4, $5, $6, false) q
     join meters m on m.tenant_id = $1 and m.id = q.meter_id
     order by m.slug, q.window_start`,
    [
      currentContext().tenantId,
      from,
      to,
      window,
      timeZone,
      customerId === null ? null : [customerId],
      meterId === null ? null : [meterId],
    ],
  )
}

/** A range by the clocks of a time zone, so many hours, days, months or years earlier. */
export async function shiftSpan(
  { from, to }: Span,
  timeZone: string,
  by: { hours?: number; days?: number; months?: number; years?: number },
): Promise<Span> {
  const [row] = await tenantQuery<Span>(
    // Hours are hours that pass; everything longer is read from the calendar, and the beginning of a day stays one. A range that ends
    // with the beginning of the 29th of February, or within it, ends a day later where there is none: the 28th before it is in it.
    `select (case when $2::timestamptz = app.first_moment(l.from_at::date, $1) then app.first_moment((l.from_at::date - back)::date, $1)
         else (l.from_at - back) at time zone $1 end) - hours as from,
       (case when $3::timestamptz = app.first_moment(l.to_at::date, $1) then app.first_moment((l.to_at::date - back)::date + lost, $1)
         else (l.to_at - back + lost * interval '1 day') at time zone $1 end) - hours as to
     from (select $2::timestamptz at time zone $1 as from_at, $3::timestamptz at time zone $1 as to_at) l
     cross join make_interval(years => $4::integer, months => $5::integer) months
     cross join make_interval(days => $6::integer) days
     cross join make_interval(hours => $7::integer) hours
     cross join lateral (select months + days as back, (date_part('day', l.to_at - months) < date_part('day', l.to_at)
       and l.from_at::date <> l.to_at::date)::integer as lost) b`,
    [timeZone, from, to, by.years ?? 0, by.months ?? 0, by.days ?? 0, by.hours ?? 0],
  )
  if (!row) throw new Error('A range is one row.')
  return row
}

/** From the first moment of one day up to that of another, in a time zone. */
export async function spanOfDays(from: string, to: string, timeZone: string): Promise<Span> {
  const [row] = await tenantQuery<Span>(
    'select app.first_moment($1::date, $3) as from, app.first_moment($2::date, $3) as to',
    [from, to, timeZone],
  )
  if (!row) throw new Error('A range is one row.')
  return row
}
