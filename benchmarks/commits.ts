// The yardstick for writing: rows put straight into a table with the columns and indexes of usage_events, by a superuser,
// so without row security, counters, dedupe or caps. `commits.ts <plan as JSON>` prints its result as JSON.
import { randomBytes, randomUUID } from 'node:crypto'
import { driveClients } from './drive-clients'

export type CommitPlan = {
  url: string
  tenant: string
  meter: string
  connections: number
  seconds: number
  size: number
}
export type CommitResult = { rows: number; seconds: number; p99: number }

const plan = JSON.parse(process.argv[2] ?? '{}') as CommitPlan

const INSERT = `insert into bare_events (tenant_id, id, meter_id, customer_id, value, occurred_at, received_at, received_month, event_id, source, properties)
  select $1::uuid, e.id, $2::uuid, $2::uuid, e.value, now(), now(), date_trunc('month', now())::date, e.event_id, null, e.properties
  from unnest($3::uuid[], $4::numeric[], $5::text[], $6::jsonb[]) e (id, value, event_id, properties)`
const INSERT_ONE = `insert into bare_events (tenant_id, id, meter_id, customer_id, value, occurred_at, received_at, received_month, event_id, source, properties)
  values ($1, $3, $2, $2, $4, now(), now(), date_trunc('month', now())::date, $5, null, $6)`

const PROPERTIES = JSON.stringify({ endpoint: '/api/v1/data', method: 'GET' })
const quoted = `"${PROPERTIES.replaceAll('"', '\\"')}"`

function makeValues(): unknown[] {
  if (plan.size === 1) return [plan.tenant, plan.meter, randomBytes(16).toString('hex'), '7', randomUUID(), PROPERTIES]
  const keys: string[] = []
  const values: string[] = []
  const ids: string[] = []
  const properties: string[] = []
  for (let row = 0; row < plan.size; row += 1) {
    keys.push(randomBytes(16).toString('hex'))
    values.push(String(1 + (row % 10)))
    ids.push(randomUUID())
    properties.push(quoted)
  }
  return [plan.tenant, plan.meter, ...[keys, values, ids, properties].map((column) => `{${column.join(',')}}`)]
}

const ready = plan.size > 1 ? Array.from({ length: Math.ceil((plan.seconds * 200_000) / plan.size) }, makeValues) : []
const { times, ...timing } = await driveClients(plan, (client) => {
  const values = plan.size > 1 ? ready.pop() : makeValues()
  return values ? client.query({ name: 'bare', text: plan.size > 1 ? INSERT : INSERT_ONE, values }) : false
})
const result: CommitResult = { rows: times * plan.size, ...timing }
process.stdout.write(JSON.stringify(result))
