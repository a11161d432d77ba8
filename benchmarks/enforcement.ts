// Deciding and recording in one step, on one counter that everybody wants, beside the designs that are often met.
import { newId } from '@/libs/ids'
import type { LoadPlan } from './load'
import { median, milliseconds, note, perSecond, runCommits, runLoad, runPeer } from './measure'
import { type BenchWorld, createBenchTenant, METERS, type Service, startService } from './world'

const HOT = 'hot'
const CONNECTIONS = 64

/** Puts a hard cap of its own on the customer that all requests are about; starts its counter afresh. */
async function capHotCustomer(world: BenchWorld, customer: string, limit: number): Promise<string> {
  const { tenant, superuser } = world
  const id = newId()
  await superuser.query('insert into customers (tenant_id, id, external_id) values ($1, $2, $3)', [
    tenant.id,
    id,
    customer,
  ])
  await superuser.query(
    `insert into entitlements (tenant_id, id, customer_id, kind, feature_key, meter_id, cap_limit, behaviour)
     values ($1, $2, $3, 'metered', 'api_calls', $4, $5, 'reject')`,
    [tenant.id, newId(), id, tenant.meters[0], limit],
  )
  return id
}

async function usedBy(world: BenchWorld, customer: string): Promise<{ used: number; events: number }> {
  const { rows } = await world.superuser.query<{ used: string; events: string }>(
    `select coalesce(sum(used), 0) as used, (select count(*) from usage_events e where e.customer_id = $1) as events
     from usage_counters where customer_id = $1 and period = 'month'`,
    [customer],
  )
  return { used: Number(rows[0]?.used), events: Number(rows[0]?.events) }
}

/** Enforced single events on one counter, against direct commits, one transaction each, and reading before writing. */
export async function benchEnforcement(
  shared: BenchWorld,
  ingest: Service,
  seconds: number,
  rounds: number,
): Promise<void> {
  // A tenant of its own: caps of single customers change what every question about their meter takes, in other parts as well.
  const world = { ...shared, tenant: await createBenchTenant(shared.superuser, 'enforced', 0) }
  const plan = (url: string, customer: string): LoadPlan => ({
    url,
    path: '/api/v1/usage/track?enforce=true',
    headers: { authorization: `Bearer ${world.tenant.key}` },
    kind: 'events',
    connections: CONNECTIONS,
    size: 1,
    customers: 1,
    customer,
    meters: [METERS[0]],
    seconds,
  })
  const peer = { url: world.superuser_url, connections: CONNECTIONS, seconds, counters: 1 }
  const [meter = ''] = world.tenant.meters
  await capHotCustomer(world, HOT, 1e12)
  const bare: number[] = []
  const ours: number[] = []
  const late: number[] = []
  const transactions: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    const rows = await runCommits({
      url: world.superuser_url,
      tenant: world.tenant.id,
      meter,
      connections: CONNECTIONS,
      size: 1,
      seconds,
    })
    bare.push(rows.rows / rows.seconds)
    const load = await runLoad(plan(ingest.url, HOT))
    ours.push(load.requests / load.seconds)
    late.push(load.p99)
    const held = await runPeer({ ...peer, design: 'transaction', limit: 1e12 })
    transactions.push(held.requests / held.seconds)
  }
  const ratio = median(ours) / median(bare)
  note({
    what: `enforced single events on one counter, ${CONNECTIONS} connections, p99 ${milliseconds(median(late))}`,
    figure: perSecond(median(ours)),
    yardstick: `${perSecond(median(bare))} direct one-row commits`,
    ratio: ratio.toFixed(2),
    target: '≥ 0.4',
    reached: ratio >= 0.4,
  })
  const times = median(ours) / median(transactions)
  note({
    what: 'the same',
    figure: perSecond(median(ours)),
    yardstick: `${perSecond(median(transactions))} by one transaction for each on one counter`,
    ratio: times.toFixed(1),
    target: '≥ 5',
    reached: times >= 5,
  })

  // What gets through when there is too little: two processes of ours, then a design that reads before it writes.
  const limit = 1_000
  const second = await startService('processes/ingest.ts', world.environment, 'INGEST_PORT')
  const customer = await capHotCustomer(world, 'scarce', limit)
  await Promise.all([runLoad(plan(ingest.url, 'scarce')), runLoad(plan(second.url, 'scarce'))])
  await second.stop()
  const { used } = await usedBy(world, customer)
  note({
    what: `let through by a cap of ${limit.toLocaleString('en')} under ${2 * CONNECTIONS} connections to two processes`,
    figure: used.toLocaleString('en'),
    yardstick: limit.toLocaleString('en'),
    ratio: `${Math.max(used - limit, 0)} over`,
    target: '0 over, less than one event under',
    reached: used <= limit && limit - used < 10,
  })
  const naive = await runPeer({ ...peer, design: 'read-then-write', limit })
  note({
    what: 'the same by a design that reads the counter, then adds',
    figure: naive.admitted.toLocaleString('en'),
    yardstick: limit.toLocaleString('en'),
    ratio: `${Math.max(naive.admitted - limit, 0)} over`,
    target: 'for comparison',
    reached: null,
  })
  // Who is at its cap goes on sending: each event is refused with its reason, and kept for the tenant to see.
  for (const { what, size, connections } of [
    { what: 'refused at that cap, single events', size: 1, connections: CONNECTIONS },
    { what: 'refused at that cap, batches of 1,000', size: 1_000, connections: 8 },
  ]) {
    const turnedAway = await runLoad({ ...plan(ingest.url, 'scarce'), size, connections })
    const rate = (turnedAway.requests * size) / turnedAway.seconds
    note({
      what,
      figure: perSecond(rate),
      yardstick: `${perSecond(median(ours))} single events counted`,
      ratio: (rate / median(ours)).toFixed(2),
      target: 'for comparison',
      reached: null,
    })
  }
}
