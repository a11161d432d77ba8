// How a meter is often built: one transaction for each event. `peers.ts <plan as JSON>` prints its result as JSON.
// "transaction" holds the counter, decides, records, commits; "read-then-write" reads the counter first and adds afterwards.
import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { driveClients } from './drive-clients'

export type PeerPlan = {
  url: string
  design: 'transaction' | 'read-then-write'
  connections: number
  seconds: number
  /** Counters the events fall on. */
  counters: number
  /** What each counter may hold. */
  limit: number
}
export type PeerResult = {
  /** Events answered, refused ones included. */
  requests: number
  seconds: number
  p99: number
  /** What all counters together let through. */
  admitted: number
}

const plan = JSON.parse(process.argv[2] ?? '{}') as PeerPlan
const setup = new pg.Client({ connectionString: plan.url })
await setup.connect()
await setup.query(`
  create table if not exists peer_events (id uuid primary key, counter integer not null, value numeric not null, at timestamptz not null default now());
  create table if not exists peer_counters (id integer primary key, used numeric not null);
  truncate peer_events, peer_counters;
  insert into peer_counters select n, 0 from generate_series(1, ${plan.counters}) n;
  analyze peer_counters`)

async function record(client: pg.Client, counter: number): Promise<void> {
  const insert = {
    name: 'insert',
    text: 'insert into peer_events (id, counter, value) values ($1, $2, 1)',
    values: [randomUUID(), counter],
  }
  const add = { name: 'add', text: 'update peer_counters set used = used + 1 where id = $1', values: [counter] }
  if (plan.design === 'read-then-write') {
    const { rows } = await client.query<{ used: string }>({
      name: 'read',
      text: 'select used from peer_counters where id = $1',
      values: [counter],
    })
    if (Number(rows[0]?.used) + 1 > plan.limit) return
    await client.query('begin')
    await client.query(insert)
    await client.query(add)
    await client.query('commit')
    return
  }
  await client.query('begin')
  const { rows } = await client.query<{ used: string }>({
    name: 'hold',
    text: 'select used from peer_counters where id = $1 for update',
    values: [counter],
  })
  if (Number(rows[0]?.used) + 1 > plan.limit) {
    await client.query('rollback')
    return
  }
  await client.query(insert)
  await client.query(add)
  await client.query('commit')
}

const { times, ...timing } = await driveClients(plan, (client) =>
  record(client, 1 + Math.floor(Math.random() * plan.counters)),
)
const { rows } = await setup.query<{ admitted: string }>('select sum(used) as admitted from peer_counters')
await setup.end()
const result: PeerResult = { requests: times, ...timing, admitted: Number(rows[0]?.admitted) }
process.stdout.write(JSON.stringify(result))
