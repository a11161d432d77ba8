import { metricInput } from '@/features/metrics/schema'
import { addMetric } from '@/features/metrics/services/metric-service'
import { tenantQuery } from '@/libs/db/tenant-db'
import { addDays, localToday } from '@/libs/metering/trend'
import { readTimeZone } from '@/libs/tenancy/time-zone'
import { demoRandom } from './demo-id'

const DAYS = 30
const USUAL_CALL_BYTES = 2_400

/** What a day was like compared with others: fewer on weekends, a little more every week, and no two the same. */
function levelOf(day: string, back: number): number {
  const weekday = new Date(`${day}T00:00:00Z`).getUTCDay()
  return (weekday === 0 || weekday === 6 ? 0.4 : 1) * (1.15 - back * 0.01) * (0.85 + 0.3 * demoRandom(`metrics ${day}`))
}

/**
 * Metrics of the thirty days before today: what a tenant sends, under names by which it counts once, and what the product
 * measures, for days that have no value yet. Runs in the tenant's context.
 */
export async function ensureMetricHistory(): Promise<void> {
  const { day: today } = localToday(await readTimeZone())
  const days = Array.from({ length: DAYS }, (_, index) => ({ day: addDays(today, index - DAYS), back: DAYS - index }))
  // How a day compares hangs on how long ago it is: one that was sent on another day stays as it was.
  const sent = await tenantQuery<{ event_id: string }>(
    "select event_id from tenant_metric_events where event_id like 'demo-%'",
  )
  const known = new Set(sent.map(({ event_id }) => event_id))
  for (const { day, back } of days) await sendDay(day, levelOf(day, back), known)
  await measureDays(days)
}

async function sendDay(day: string, level: number, known: ReadonlySet<string>): Promise<void> {
  const orders = Math.round(46 * level)
  const sent = [
    { metric: 'transactions', value: orders },
    { metric: 'workflow_executions', value: Math.round(130 * level) },
    { metric: 'revenue', value: orders * (4_200 + Math.round(1_600 * demoRandom(`basket ${day}`))), currency: 'EUR' },
    { metric: 'communications', value: Math.round(38 * level), channel: 'email' },
    { metric: 'communications', value: Math.round(7 * level), channel: 'sms' },
  ]
  for (const input of sent) {
    const event_id = `demo-${input.metric}-${input.channel ?? input.currency ?? 'all'}-${day}`
    if (known.has(event_id)) continue
    await addMetric(metricInput.parse({ ...input, occurred_at: `${day}T12:00:00Z`, event_id }))
  }
}

type Measured = { metric: string; day: string; value: number }

async function measureDays(days: readonly { day: string; back: number }[]): Promise<void> {
  const [now] = await tenantQuery<{ bytes: string; people: string }>(
    `select app.measure_storage(app.tenant_id())::text as bytes,
       ((select count(*) from memberships) + (select count(*) from customer_logins where accepted_at is not null))::text as people`,
  )
  const measured = days.flatMap(({ day, back }): Measured[] => {
    const calls = Math.round(1_900 * levelOf(day, back))
    return [
      { metric: 'api_calls', day, value: calls },
      { metric: 'bandwidth_bytes', day, value: Math.round(calls * USUAL_CALL_BYTES * (0.9 + 0.2 * demoRandom(day))) },
      { metric: 'storage_bytes', day, value: Math.round(Number(now?.bytes ?? 0) * (1 - back * 0.011)) },
      { metric: 'users_count', day, value: Math.max(1, Number(now?.people ?? 1) - Math.floor(back / 12)) },
    ]
  })
  await tenantQuery(
    `select app.add_metrics(app.tenant_id(), $1, array_agg(m.metric), array_agg(''::text), array_agg(m.value), array_agg(m.at))
     from unnest($2::text[], $3::date[], $4::numeric[]) n (metric, day, value)
     cross join lateral (select n.metric, n.value, app.day_start(n.day, $1) + interval '12 hours' as at) m
     where not exists (select from tenant_metrics t where t.metric = n.metric and t.label = '' and t.day = n.day)
     having count(*) > 0`,
    [
      await readTimeZone(),
      measured.map(({ metric }) => metric),
      measured.map(({ day }) => day),
      measured.map(({ value }) => value),
    ],
  )
}
