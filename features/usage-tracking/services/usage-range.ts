import { isCountable, OUT_OF_RANGE } from '@/libs/api-utils/moment'
import { isTimeZone } from '@/libs/api-utils/time-zone-input'
import { tenantQuery } from '@/libs/db/tenant-db'
import { invalidInput } from '@/libs/errors'
import { addDays, addMonths } from '@/libs/metering/trend'
import { routeTenant } from '@/libs/tenancy/resolve-tenant'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { dayIn } from '@/libs/tenancy/zoned-day'

/** A half-open range of event time, split into whole days of the tenant's time zone and what is left at its edges. */
export type UsageRange = {
  from: Date
  to: Date
  /** First whole day, and the day after the last one, as `YYYY-MM-DD`. */
  firstDay: string
  endDay: string
  /** Parts of days at the edges; empty for ranges of whole days. */
  edges: { from: Date; to: Date }[]
  timeZone: string
}

export type RangeInput = {
  time_range?: '24h' | '7d' | '30d' | '90d' | '12m' | undefined
  from?: string | undefined
  to?: string | undefined
}

const DAYS = { '7d': 7, '30d': 30, '90d': 90 } as const
const LONGEST_DAYS = 5 * 366

type RangeRow = { from_at: Date; to_at: Date; first_day: string; end_day: string; first_at: Date; end_at: Date }

// Whole days end tomorrow at midnight, so that today counts as far as it has come.
const RESOLVE = `
  with given as (
    select coalesce($2::timestamptz, app.first_moment($3::date, $1)) as from_at, coalesce($4::timestamptz, app.first_moment($5::date, $1)) as to_at
  ),
  days as (
    select *,
      case when from_at = app.first_moment((from_at at time zone $1)::date, $1) then (from_at at time zone $1)::date
        else (from_at at time zone $1)::date + 1 end as first_day,
      (to_at at time zone $1)::date as end_day
    from given
  )
  select from_at, to_at, first_day::text, greatest(first_day, end_day)::text as end_day,
    app.first_moment(first_day, $1) as first_at, app.first_moment(greatest(first_day, end_day), $1) as end_at
  from days`

function readMoment(pointer: string, text: string): { at: string | null; day: string | null } {
  const wrong = () => invalidInput(pointer, 'is not a date that exists')
  const date = text.slice(0, 10)
  const parsed = new Date(`${date}T00:00:00Z`)
  if (Number.isNaN(parsed.getTime()) || parsed.toISOString().slice(0, 10) !== date) throw wrong()
  if (!isCountable(date)) throw invalidInput(pointer, OUT_OF_RANGE)
  if (text.length === 10) return { at: null, day: text }
  const at = new Date(text)
  if (Number.isNaN(at.getTime())) throw wrong()
  return { at: text, day: null }
}

function readRange({ time_range, from, to }: RangeInput, timeZone: string) {
  const today = dayIn(timeZone)
  const tomorrow = addDays(today, 1)
  if (from === undefined) {
    if (to !== undefined) throw invalidInput('/from', 'is needed with to')
    const name = time_range ?? '30d'
    const end = { at: null, day: tomorrow }
    if (name === '24h') return { from: { at: new Date(Date.now() - 86_400_000).toISOString(), day: null }, to: end }
    if (name === '12m') return { from: { at: null, day: addDays(addMonths(today, -12), 1) }, to: end }
    return { from: { at: null, day: addDays(tomorrow, -DAYS[name]) }, to: end }
  }
  if (time_range !== undefined) throw invalidInput('/time_range', 'excludes from and to')
  return {
    from: readMoment('/from', from),
    to: to === undefined ? { at: null, day: tomorrow } : readMoment('/to', to),
  }
}

/** The range a report is asked for. @throws AppError invalid_input when it ends before it begins, or is too long. */
export async function resolveRange(input: RangeInput): Promise<UsageRange> {
  const { time_zone: timeZone } = await routeTenant(currentContext().tenantId)
  const { from, to } = readRange(input, timeZone)
  return loadRange(timeZone, [from.at, from.day, to.at, to.day])
}

function requireSpan<Row extends { from_at: Date; to_at: Date }>([row]: readonly Row[]): Row {
  if (!row) throw new Error('A range is one row.')
  if (row.from_at >= row.to_at) throw invalidInput('/to', 'must be after from')
  if (row.to_at.getTime() - row.from_at.getTime() > LONGEST_DAYS * 86_400_000)
    throw invalidInput('/from', 'five years at most')
  return row
}

async function loadRange(timeZone: string, bounds: (string | null)[]): Promise<UsageRange> {
  const row = requireSpan(await tenantQuery<RangeRow>(RESOLVE, [timeZone, ...bounds]))
  const edges =
    row.first_at >= row.to_at
      ? [{ from: row.from_at, to: row.to_at }]
      : [
          { from: row.from_at, to: row.first_at },
          { from: row.end_at, to: row.to_at },
        ]
  return {
    from: row.from_at,
    to: row.to_at,
    firstDay: row.first_day,
    endDay: row.end_day,
    edges: edges.filter(({ from, to }) => from < to),
    timeZone,
  }
}

/** Whether a time zone is one of the IANA names that both this process and the database know. */
async function knowsTimeZone(name: string): Promise<boolean> {
  if (!isTimeZone(name)) return false
  const [row] = await tenantQuery<{ known: boolean }>('select app.knows_time_zone($1) as known', [name])
  return row?.known === true
}

/**
 * The range a series is asked for, half open: days are those of the zone, `24h` is 24 whole hours up to the one that runs.
 * @throws AppError invalid_input for a zone that does not exist, a range that ends before it begins, or is too long.
 */
export async function resolveQueryRange(
  input: RangeInput & { time_zone?: string | undefined },
  timeZone: string,
): Promise<{ from: Date; to: Date }> {
  if (input.time_zone !== undefined && !(await knowsTimeZone(timeZone)))
    throw invalidInput('/time_zone', `${timeZone} is not a time zone of the IANA database`)
  const { from, to } = readRange(input, timeZone)
  const hours = input.from === undefined && input.time_range === '24h'
  const rows = await tenantQuery<{ from_at: Date; to_at: Date }>(
    `select case when $6 then h.next - interval '24 hours' else coalesce($2::timestamptz, app.first_moment($3::date, $1)) end as from_at,
       case when $6 then h.next else coalesce($4::timestamptz, app.first_moment($5::date, $1)) end as to_at
     from (select date_trunc('hour', statement_timestamp(), $1) + interval '1 hour' as next) h`,
    [timeZone, from.at, from.day, to.at, to.day, hours],
  )
  const { from_at, to_at } = requireSpan(rows)
  return { from: from_at, to: to_at }
}
