import { tenantQuery } from '@/libs/db/tenant-db'
import { AppError, invalidInput } from '@/libs/errors'
import { type Quantity, toQuantity } from '@/libs/ingest/decimal'
import { addDays, addMonths } from '@/libs/metering/trend'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { readTimeZone } from '@/libs/tenancy/time-zone'
import { dayIn } from '@/libs/tenancy/zoned-day'
import { METRICS, type MetricInput, type MetricName } from '../schema'

const MOST_DAYS_BACK = 35
const DAY_MS = 86_400_000

export type MetricAdded = { metric: MetricName; label: string; value: Quantity; inserted: boolean }

function readLabel({ metric, channel, currency }: MetricInput): string {
  if (metric === 'communications' && !channel) throw invalidInput('/channel', 'is needed for communications')
  if (metric !== 'communications' && channel) throw invalidInput('/channel', 'belongs to communications alone')
  if (metric === 'revenue' && !currency) throw invalidInput('/currency', 'is needed for revenue')
  if (metric !== 'revenue' && currency) throw invalidInput('/currency', 'belongs to revenue alone')
  return channel ?? currency ?? ''
}

function readTime(occurredAt: string | undefined): string | null {
  if (occurredAt === undefined) return null
  const at = Date.parse(occurredAt)
  if (at < Date.now() - MOST_DAYS_BACK * DAY_MS)
    throw invalidInput('/occurred_at', `is more than ${MOST_DAYS_BACK} days ago`)
  if (at > Date.now() + 5 * 60_000) throw invalidInput('/occurred_at', 'lies in the future')
  return occurredAt
}

/**
 * Adds a value to a metric, once for each event_id.
 * @throws AppError invalid_input, conflict when the event_id was sent with other content.
 */
export async function addMetric(input: MetricInput): Promise<MetricAdded> {
  const { tenantId } = currentContext()
  const { metric, value, event_id } = input
  const label = readLabel(input)
  if (metric === 'revenue' && /\.0*[1-9]/.test(value))
    throw invalidInput('/value', 'must be whole: the smallest unit of its currency')
  const at = readTime(input.occurred_at)
  const timeZone = await readTimeZone()
  const moment = at ?? new Date().toISOString()
  if (event_id !== undefined) {
    const [fresh] = await tenantQuery(
      `insert into tenant_metric_events (event_id, metric, label, value, occurred_at, day)
       values ($1, $2, $3, $4, $5, ($6::timestamptz at time zone $7)::date)
       on conflict (tenant_id, event_id) do nothing returning event_id`,
      [event_id, metric, label, value, at, moment, timeZone],
    )
    if (!fresh) {
      const [same] = await tenantQuery(
        `select event_id from tenant_metric_events where tenant_id = $1 and event_id = $2 and metric = $3 and label = $4
           and value = $5 and occurred_at is not distinct from $6::timestamptz`,
        [tenantId, event_id, metric, label, value, at],
      )
      if (!same) throw new AppError('conflict', `The event_id ${event_id} was sent with other content.`)
      return { metric, label, value: toQuantity(value), inserted: false }
    }
  }
  await tenantQuery('select app.add_metrics($1, $2, $3, $4, $5, $6, $7)', [
    tenantId,
    timeZone,
    [metric],
    [label],
    [value],
    [moment],
    event_id !== undefined,
  ])
  return { metric, label, value: toQuantity(value), inserted: true }
}

export type MetricsReport = {
  from: string
  to: string
  time_zone: string
  data: {
    metric: MetricName
    label: string
    kind: 'sum' | 'gauge'
    today: Quantity
    period: Quantity
    previous_period: Quantity
    updated_at: Date | null
  }[]
}

type Summed = {
  metric: MetricName
  label: string
  today: string
  period: string
  previous: string
  last: string
  last_before: string
  updated_at: Date
}

/** Every metric: today, this month and the month before; those that never had a value with 0. */
export async function reportMetrics(): Promise<MetricsReport> {
  const time_zone = await readTimeZone()
  const today = dayIn(time_zone)
  const from = `${today.slice(0, 7)}-01`
  const before = addMonths(from, -1)
  const rows = await tenantQuery<Summed>(
    `select metric, label, coalesce(sum(value) filter (where day = $2), 0)::text as today,
       coalesce(sum(value) filter (where day >= $3 and day <= $2), 0)::text as period,
       coalesce(sum(value) filter (where day >= $4 and day < $3), 0)::text as previous,
       coalesce((array_agg(value order by day desc) filter (where day <= $2))[1], 0)::text as last,
       coalesce((array_agg(value order by day desc) filter (where day < $3))[1], 0)::text as last_before,
       max(updated_at) as updated_at
     from tenant_metrics where tenant_id = $1 and day >= $4 group by metric, label`,
    [currentContext().tenantId, today, from, before],
  )
  const found = Map.groupBy(rows, ({ metric }) => metric)
  const data = Object.entries(METRICS).flatMap(([name, kind]): MetricsReport['data'] => {
    const metric = name as MetricName
    const some = found.get(metric)?.toSorted((a, b) => (a.label < b.label ? -1 : 1))
    if (!some) return [{ metric, label: '', kind, today: 0, period: 0, previous_period: 0, updated_at: null }]
    return some.map((row) => ({
      metric,
      label: row.label,
      kind,
      today: toQuantity(kind === 'gauge' ? row.last : row.today),
      period: toQuantity(kind === 'gauge' ? row.last : row.period),
      previous_period: toQuantity(kind === 'gauge' ? row.last_before : row.previous),
      updated_at: row.updated_at,
    }))
  })
  return { from, to: addDays(today, 1), time_zone, data }
}
