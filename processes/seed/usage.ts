import { POST as trackUsage } from '@/app/api/v1/usage/track/route'
import { tenantQuery } from '@/libs/db/tenant-db'
import { env } from '@/libs/env'
import { TIERS } from './demo-catalogue'
import { demoId, demoRandom } from './demo-id'
import type { DemoCustomer, DemoTenant } from './demo-tenants'

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
const MOST_EVENTS = 1_000
const OLDEST_DAYS = 95
/** Sunday to Saturday: people work on weekdays, their machines a little on the others. */
const WEEKDAYS = [0.35, 1, 1.08, 1.12, 1.05, 0.92, 0.4]

type UsageEvent = {
  meter_id: string
  user_id: string
  event_value: number
  event_id: string
  timestamp: string
  properties: Record<string, string>
}

/** What one customer used on one day; the same at every run. */
function eventsOfDay(customer: DemoCustomer, scale: number, day: number, age: number): UsageEvent[] {
  const date = new Date(day * DAY_MS).toISOString().slice(0, 10)
  const level =
    customer.weight * scale * (WEEKDAYS[new Date(day * DAY_MS).getUTCDay()] ?? 1) * (0.75 + Math.min(age, 90) * 0.006)
  const make = (meter: string, index: number, hour: number, value: number): UsageEvent => {
    const event_id = `demo-${customer.external_id}-${meter}-${date}-${index}`
    const minute = Math.floor(demoRandom(`${event_id} minute`) * 59)
    return {
      meter_id: meter,
      user_id: customer.external_id,
      event_value: value,
      event_id,
      timestamp: new Date(day * DAY_MS + hour * HOUR_MS + minute * 60_000).toISOString(),
      properties: { region: demoRandom(`${event_id} region`) < 0.7 ? 'eu' : 'us' },
    }
  }
  const noise = (name: string) => 0.7 + 0.6 * demoRandom(`${customer.external_id} ${date} ${name}`)
  const calls = [8, 12, 17].map((hour, index) =>
    make('api_calls', index, hour, Math.max(1, Math.round(85 * level * noise(`calls ${index}`)))),
  )
  const compute = make('compute_minutes', 0, 18, Math.max(0.1, Math.round(140 * level * noise('compute')) / 10))
  const mails = Array.from({ length: Math.round(3 * level * noise('mails')) }, (_, index) =>
    make('emails_sent', index, 7 + (index % 12), 1),
  )
  return [...calls, compute, ...mails]
}

/** All usage of a demo tenant up to this moment, oldest first. */
function eventsOf(demo: DemoTenant, since: ReadonlyMap<string, Date>): UsageEvent[] {
  const now = Date.now()
  const today = Math.floor(now / DAY_MS)
  const events = demo.customers.flatMap((customer) => {
    const first = Math.floor((since.get(customer.external_id)?.getTime() ?? now) / DAY_MS)
    const start = Math.max(first, today - OLDEST_DAYS)
    return Array.from({ length: today - start + 1 }, (_, index) =>
      eventsOfDay(customer, demo.scale, start + index, start + index - first),
    ).flat()
  })
  return events
    .filter((event) => Date.parse(event.timestamp) <= now)
    .sort((one, other) => one.timestamp.localeCompare(other.timestamp))
}

async function send(events: readonly UsageEvent[], apiKey: string): Promise<void> {
  for (let start = 0; start < events.length; start += MOST_EVENTS) {
    const response = await trackUsage(
      new Request(`http://app.${env().ROOT_DOMAIN}/api/v1/usage/track`, {
        method: 'POST',
        headers: {
          host: `app.${env().ROOT_DOMAIN}`,
          authorization: `Bearer ${apiKey}`,
          'content-type': 'application/json',
        },
        body: JSON.stringify(events.slice(start, start + MOST_EVENTS)),
      }),
    )
    if (response.status !== 200) throw new Error(`Usage was not taken in: ${response.status} ${await response.text()}`)
  }
}

/** How long events may be late while the past is written; the setting of the tenant, put back afterwards. */
export async function acceptLateEvents(days: number): Promise<void> {
  await tenantQuery(
    `insert into usage_settings (accepts_late_days) values ($1)
     on conflict (tenant_id) do update set accepts_late_days = excluded.accepts_late_days, updated_at = now()
       where usage_settings.accepts_late_days <> excluded.accepts_late_days`,
    [days],
  )
}

/** When each customer of the current tenant became one. */
export async function readCustomerStarts(): Promise<Map<string, Date>> {
  const rows = await tenantQuery<{ external_id: string; created_at: Date }>(
    'select external_id, created_at from customers',
  )
  return new Map(rows.map((row) => [row.external_id, row.created_at]))
}

/** Sends the past of a tenant through its own API, with its own key; what was sent before is recognised. */
export function sendUsage(demo: DemoTenant, since: ReadonlyMap<string, Date>, apiKey: string): Promise<void> {
  return send(eventsOf(demo, since), apiKey)
}

/** What a customer still has to use of api_calls to be at its share of the cap, and when this month of the tenant began. */
export async function readMissingShare(
  customer: DemoCustomer,
  timeZone: string,
): Promise<{ amount: number; month_start: Date }> {
  const caps = TIERS.find(({ slug }) => slug === customer.tier)?.caps
  const cap = caps?.find(({ meter }) => meter === 'api_calls')?.limit ?? 0
  const [row] = await tenantQuery<{ used: string | null; month_start: Date }>(
    `select date_trunc('month', now() at time zone $3) at time zone $3 as month_start,
       (select sum(u.used)::text from usage_counters u
        where u.tenant_id = (select app.tenant_id()) and u.period = 'month' and u.meter_id = $1 and u.customer_id = $2
          and u.starts_on = date_trunc('month', now() at time zone $3)::date) as used`,
    [demoId('meter api_calls'), demoId(`customer ${customer.external_id}`), timeZone],
  )
  const missing = Math.round(cap * (customer.used_share ?? 0)) - Math.round(Number(row?.used ?? 0))
  return { amount: Math.max(0, missing), month_start: row?.month_start ?? new Date() }
}

/** Uses an amount of api_calls in small events since the month began. */
export async function sendShare(
  customer: DemoCustomer,
  { amount, month_start }: { amount: number; month_start: Date },
  apiKey: string,
): Promise<void> {
  const now = Date.now()
  const start = month_start.getTime()
  const count = Math.min(Math.ceil(amount / 40), 200)
  const events = Array.from(
    { length: count },
    (_, index): UsageEvent => ({
      meter_id: 'api_calls',
      user_id: customer.external_id,
      event_value: Math.floor(amount / count) + (index < amount % count ? 1 : 0),
      event_id: `demo-${customer.external_id}-share-${month_start.toISOString().slice(0, 10)}-${amount}-${index}`,
      timestamp: new Date(start + Math.floor(((now - start) * index) / count)).toISOString(),
      properties: { region: 'eu' },
    }),
  )
  await send(events, apiKey)
}
