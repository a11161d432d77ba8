import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { median, note } from './measure'
import type { BenchWorld } from './world'

const ACTOR = JSON.stringify({ id: 'bench', kind: 'api_key', permissions: ['usage:read', 'customers:read'] })
// Many short turns, so that what else the machine does falls on both alike.
const ROUNDS = 45
const READS = 100

const QUERIES = [
  {
    what: 'one counter',
    text: `select used, events from usage_counters
      where tenant_id = $1 and period = 'day' and meter_id = $2 and starts_on = $3 and customer_id = $4`,
    values: (world: BenchWorld, customer: string, day: string) => [
      world.tenant.id,
      world.tenant.meters[0],
      day,
      customer,
    ],
  },
  {
    what: 'the last 50 events',
    text: 'select id, value, occurred_at from usage_events where tenant_id = $1 order by received_at desc limit 50',
    values: (world: BenchWorld) => [world.tenant.id],
  },
  {
    what: 'the last 1,000 events',
    text: 'select id, value, occurred_at from usage_events where tenant_id = $1 order by received_at desc limit 1000',
    values: (world: BenchWorld) => [world.tenant.id],
  },
]

/** Enough of everything, of this tenant and of others, that an index is the only sensible way to a row. */
async function fill(world: BenchWorld): Promise<void> {
  await world.superuser.query(
    `insert into usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events)
     select t.id, 'day', $2::uuid, current_date - d, md5(c::text)::uuid, 1, 1
     from (select $1::uuid as id union all select md5('other ' || n)::uuid from generate_series(1, 4) n) t,
       generate_series(100, 129) d, generate_series(1, 400) c`,
    [world.tenant.id, world.tenant.meters[0]],
  )
  await world.superuser.query(
    `insert into usage_events (tenant_id, id, meter_id, customer_id, value, occurred_at, received_at, received_month)
     select t.id, gen_random_uuid(), $2::uuid, $2::uuid, 1, now(), now() - n * interval '1 millisecond', date_trunc('month', now())::date
     from (select $1::uuid as id union all select md5('other ' || n)::uuid from generate_series(1, 4) n) t, generate_series(1, 20000) n`,
    [world.tenant.id, world.tenant.meters[0]],
  )
  await world.superuser.query('vacuum analyze usage_counters, usage_events')
}

/** A login with the very rights of the server's that policies are not applied to: what differs is row security alone. */
async function makeUnasked(world: BenchWorld): Promise<string> {
  const password = randomBytes(24).toString('base64url')
  await world.superuser.query(`create role bench_unasked login bypassrls password '${password}'`)
  await world.superuser.query('grant app_tenant to bench_unasked with inherit true')
  await world.superuser.query('grant connect on database holdfast to bench_unasked')
  const url = new URL(world.server_url)
  url.username = 'bench_unasked'
  url.password = password
  return url.href
}

/** What row security adds to indexed reads: the same prepared statement by the server's login and by one that is not asked. */
export async function benchRowSecurity(world: BenchWorld): Promise<void> {
  await fill(world)
  const unaskedUrl = await makeUnasked(world)
  const { rows } = await world.superuser.query<{ customer_id: string; day: string }>(
    `select customer_id, starts_on::text as day from usage_counters where tenant_id = $1 and period = 'day' and meter_id = $2 limit 1`,
    [world.tenant.id, world.tenant.meters[0]],
  )
  const { customer_id: customer = '', day = '' } = rows[0] ?? {}
  const secured = new pg.Client({ connectionString: world.server_url })
  const unasked = new pg.Client({ connectionString: unaskedUrl })
  await secured.connect()
  await unasked.connect()
  for (const client of [secured, unasked])
    await client.query(`begin; select app.begin_tenant('${world.tenant.id}', 1, '${ACTOR}')`)
  for (const { what, text, values } of QUERIES) {
    const read = async (client: pg.Client): Promise<number> => {
      const query = { name: what, text, values: values(world, customer, day) }
      const started = performance.now()
      for (let index = 0; index < READS; index += 1) await client.query(query)
      return ((performance.now() - started) * 1_000) / READS
    }
    await read(secured)
    await read(unasked)
    const with_: number[] = []
    const without: number[] = []
    for (let round = 0; round < ROUNDS; round += 1) {
      without.push(await read(unasked))
      with_.push(await read(secured))
    }
    const overhead = median(with_) / median(without) - 1
    note({
      what: `row security, reading ${what}`,
      figure: `${median(with_).toFixed(0)} µs`,
      yardstick: `${median(without).toFixed(0)} µs without`,
      ratio: `${(overhead * 100).toFixed(0)} % more`,
      target: '≤ 10 %',
      reached: overhead <= 0.1,
    })
  }
  await secured.query('rollback')
  await unasked.query('rollback')
  await secured.end()
  await unasked.end()
}
