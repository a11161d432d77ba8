// Usage as if it had been received in the past: rows written past the API, and every running total made from them.
import { createHash } from 'node:crypto'
import { tenantQuery } from '@/libs/db/tenant-db'
import { asSuperuser, asSystem } from './world'

export type PastEvent = {
  /** Any name; the same name is the same event. */
  name: string
  meter: string
  customer: string
  value?: string | number
  occurred: string
  /** When it was taken in; as it happened when left out. */
  received?: string
  properties?: Record<string, unknown>
  /** 0: it did not pass the filter. */
  weight?: 0 | 1
}

/** Key of an event by its name, the same in every tenant. */
export function pastKey(name: string): string {
  const hex = createHash('sha256').update(name).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/** Makes the partition of a month of reception that is over. */
export async function makePartition(month: string): Promise<void> {
  await asSuperuser(
    `create table if not exists public.usage_events_${month.slice(0, 4)}${month.slice(5, 7)} partition of public.usage_events
       for values from ('${month.slice(0, 7)}-01') to (('${month.slice(0, 7)}-01'::date + interval '1 month')::date)`,
  )
}

/** Writes events that were received in the past, and makes the running totals what they say. */
export async function writePast(
  tenant: { id: string },
  timeZone: string,
  events: readonly PastEvent[],
  canceled: readonly { name: string; received: string }[] = [],
): Promise<void> {
  const months = new Set(
    [...events.map(({ received, occurred }) => received ?? occurred), ...canceled.map(({ received }) => received)].map(
      (at) => `${new Date(at).toISOString().slice(0, 7)}-01`,
    ),
  )
  for (const month of months) await makePartition(month)
  await asSuperuser(
    `insert into usage_events (tenant_id, id, meter_id, customer_id, value, occurred_at, received_at, received_month, event_id, properties, weight)
     select $1, e.key, m.id, c.id, e.value, e.occurred, e.received, date_trunc('month', e.received at time zone 'UTC'), e.name,
       nullif(e.properties, 'null'), e.weight
     from jsonb_to_recordset($2) e (key uuid, name text, meter text, customer text, value numeric, occurred timestamptz, received timestamptz,
       properties jsonb, weight smallint)
     join meters m on m.tenant_id = $1 and m.slug = e.meter
     join customers c on c.tenant_id = $1 and c.external_id = e.customer`,
    [
      tenant.id,
      JSON.stringify(
        events.map(({ value = 1, received, properties = null, weight = 1, ...event }) => ({
          ...event,
          key: pastKey(event.name),
          value: String(value),
          received: received ?? event.occurred,
          properties,
          weight,
        })),
      ),
    ],
  )
  await asSuperuser(
    `insert into usage_events (tenant_id, id, meter_id, customer_id, value, occurred_at, received_at, received_month, event_id, properties,
       weight, counted, corrects)
     select $1, n.key, e.meter_id, e.customer_id, e.value, e.occurred_at, n.received, date_trunc('month', n.received at time zone 'UTC'),
       e.event_id, e.properties, -1, e.counted, e.id
     from jsonb_to_recordset($2) n (key uuid, corrects uuid, received timestamptz)
     join usage_events e on e.tenant_id = $1 and e.id = n.corrects`,
    [
      tenant.id,
      JSON.stringify(
        canceled.map(({ name, received }) => ({ key: pastKey(`cancel ${name}`), corrects: pastKey(name), received })),
      ),
    ],
  )
  await recount(tenant, timeZone)
}

/** Makes every running total what the events say. */
async function recount(tenant: { id: string }, timeZone: string): Promise<void> {
  await asSystem(tenant, () => tenantQuery('select app.repair_usage($1, $2, null, null)', [tenant.id, timeZone]))
}
