// What becomes of the figures when there is more of everything: customers, tenants, stored events, processes, hours of load;
// and when more is asked than can be done. `npm run bench -- growth overload soak`.
// BENCH_STORED (20,000,000 events), BENCH_SOAK_SECONDS (600).
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LoadPlan } from './load'
import { median, note, perSecond, runLoad } from './measure'
import { type BenchWorld, createBenchTenant, createBenchWorld, METERS, type Service, startService } from './world'

const STORED = Number(process.env.BENCH_STORED ?? 20_000_000)
const SOAK_SECONDS = Number(process.env.BENCH_SOAK_SECONDS ?? 600)
const KEPT = 0.7

type Shape = { customers: number; keys: string[]; urls: string[] }

function plan(url: string, { customers, keys }: Shape, more: Partial<LoadPlan>): LoadPlan {
  return {
    url,
    path: '/api/v1/usage/track',
    headers: {},
    keys,
    kind: 'events',
    connections: 64,
    size: 1,
    customers,
    meters: [...METERS],
    seconds: 5,
    ...more,
  }
}

async function rate(shape: Shape, more: Partial<LoadPlan>): Promise<number> {
  const connections = Math.ceil((more.connections ?? 64) / shape.urls.length)
  const loads = await Promise.all(shape.urls.map((url) => runLoad(plan(url, shape, { ...more, connections }))))
  return loads.reduce((sum, { requests, seconds }) => sum + (requests * (more.size ?? 1)) / seconds, 0)
}

/** Both in turn, figure by figure: a machine that is quick for one minute and slow the next says nothing of growth. */
async function compare(what: string, first: Shape, now: Shape, seconds: number): Promise<void> {
  const figures = {
    batches: { size: 1_000, connections: 8, seconds },
    singles: { seconds },
    checks: { path: '/api/v1/usage/check', kind: 'check', seconds },
  } as const satisfies Record<string, Partial<LoadPlan>>
  for (const [name, more] of Object.entries(figures)) {
    const before: number[] = []
    const after: number[] = []
    for (let round = 0; round < 3; round += 1) {
      before.push(await rate(first, more))
      after.push(await rate(now, more))
    }
    const ratio = median(after) / median(before)
    note({
      what: `${name}, ${what}`,
      figure: perSecond(median(after)),
      yardstick: `${perSecond(median(before))} with 10 customers of 1 tenant, nothing stored`,
      ratio: ratio.toFixed(2),
      target: `≥ ${KEPT}`,
      reached: ratio >= KEPT,
    })
  }
}

/**
 * Events of a month for all tenants alike, as they would have been recorded. They go into a table of their own that gets its
 * indexes when it is full and then takes the place of the month's partition: row by row into what is there, with an index of
 * random keys, twenty million would take an hour.
 */
async function fillMonth({ superuser }: BenchWorld, monthsAgo: number, count: number): Promise<void> {
  const { rows } = await superuser.query<{ name: string; starts_on: string; ends_on: string; is_there: boolean }>(
    `select 'usage_events_' || to_char(m, 'YYYYMM') as name, m::date::text as starts_on, (m + interval '1 month')::date::text as ends_on,
       to_regclass('public.usage_events_' || to_char(m, 'YYYYMM')) is not null as is_there
     from (select date_trunc('month', now() at time zone 'UTC') - $1 * interval '1 month' as m) t`,
    [monthsAgo],
  )
  const [month] = rows
  if (!month) throw new Error('There is always a month.')
  const { name, starts_on, ends_on, is_there } = month
  await superuser.query('create table stored_events (like usage_events including defaults including constraints)')
  await superuser.query(
    `insert into stored_events (tenant_id, id, meter_id, customer_id, value, occurred_at, received_at, received_month, event_id, properties)
     select m.tenant_id, gen_random_uuid(), m.id, c.id, 1, t.at, t.at, $2::date, 'stored-' || n, '{"endpoint": "/api/v1/data"}'
     from generate_series(1, $1::bigint) n
     cross join lateral (select $2::date + n * (least(now(), $3::date) - $2::date) / $1::float8 as at) t
     join (select tenant_id, id, row_number() over () as place from meters) m on m.place = 1 + n % (select count(*) from meters)
     join (select distinct on (tenant_id) tenant_id, id from customers order by tenant_id, id) c on c.tenant_id = m.tenant_id`,
    [count, starts_on, ends_on],
  )
  if (is_there) {
    await superuser.query(`alter table usage_events detach partition ${name}`)
    await superuser.query(`insert into stored_events select * from ${name}`)
    await superuser.query(`drop table ${name}`)
  }
  await superuser.query(
    `alter table stored_events rename to ${name}; alter table ${name} owner to holdfast_owner;
     alter table ${name} enable row level security; alter table ${name} force row level security;
     set maintenance_work_mem = '1GB';
     alter table usage_events attach partition ${name} for values from ('${starts_on}') to ('${ends_on}');
     reset maintenance_work_mem`,
  )
}

/** The same figures with more customers, more tenants, more events, two processes; each beside those of a database that has none of it. */
export async function benchGrowth(world: BenchWorld, ingest: Service, seconds: number): Promise<void> {
  const small = await createBenchWorld(10)
  const beside = await startService('processes/ingest.ts', small.environment, 'INGEST_PORT')
  const first: Shape = { customers: 10, keys: [small.tenant.key], urls: [beside.url] }
  const few: Shape = { customers: 10, keys: [world.tenant.key], urls: [ingest.url] }
  const settle = () => Promise.all([small.settle(), world.settle()])
  for (const more of [{ size: 1_000, connections: 8 }, {}, { path: '/api/v1/usage/check', kind: 'check' }] as const)
    await rate(first, { ...more, seconds: 1 })
  await world.superuser.query(
    `insert into customers (tenant_id, id, external_id)
     select $1, gen_random_uuid(), 'customer-' || n from generate_series(0, 9999) n on conflict do nothing`,
    [world.tenant.id],
  )
  await settle()
  await compare('10,000 customers', first, { ...few, customers: 10_000 }, seconds)
  const keys = [world.tenant.key]
  for (let made = 1; made < 200; made += 1)
    keys.push((await createBenchTenant(world.superuser, `bench-${made}`, 100)).key)
  await settle()
  await compare('200 tenants', first, { ...few, customers: 100, keys }, seconds)
  for (const monthsAgo of [1, 0]) await fillMonth(world, monthsAgo, Math.ceil(STORED / 2))
  await settle()
  await compare(`${STORED.toLocaleString('en')} stored events`, first, few, seconds)
  const second = await startService('processes/ingest.ts', world.environment, 'INGEST_PORT')
  await compare('two ingest processes', first, { ...few, urls: [ingest.url, second.url] }, seconds)
  await Promise.all([second.stop(), beside.stop()])
  await small.stop()
}

/** Three times what can be done is asked for: what is turned away says when to come back, and the rest is done as fast as ever. */
export async function benchOverload(world: BenchWorld, ingest: Service, seconds: number): Promise<void> {
  const shape: Shape = { customers: 100, keys: [world.tenant.key], urls: [ingest.url] }
  const batches = (more: Partial<LoadPlan>): ReturnType<typeof runLoad> =>
    runLoad(plan(ingest.url, shape, { size: 1_000, seconds, ...more }))
  const goodput = ({ requests, seconds: took }: { requests: number; seconds: number }) => (requests * 1_000) / took
  const calm: number[] = []
  const crowded: number[] = []
  const after: number[] = []
  let shed = 0
  let unsent = 0
  for (let round = 0; round < 3; round += 1) {
    const best = goodput(await batches({ connections: 8 }))
    calm.push(best)
    const crowd = await batches({ connections: 192, rate: (3 * best) / 1_000 })
    crowded.push(goodput(crowd))
    shed += crowd.shed
    unsent += crowd.unsent
    after.push(goodput(await batches({ connections: 8 })))
  }
  if (unsent > shed / 100)
    process.stdout.write(`  ${unsent} batches could not be sent: more connections are needed for this load\n`)
  const ratio = median(crowded) / median(calm)
  note({
    what: `goodput at three times the load, in batches of 1,000 (${shed.toLocaleString('en')} batches turned away with Retry-After)`,
    figure: perSecond(median(crowded)),
    yardstick: `${perSecond(median(calm))} with 8 connections`,
    ratio: ratio.toFixed(2),
    target: '≥ 0.8',
    reached: ratio >= 0.8,
  })
  const recovered = median(after) / median(calm)
  note({
    what: 'straight after it',
    figure: perSecond(median(after)),
    yardstick: `${perSecond(median(calm))} before`,
    ratio: recovered.toFixed(2),
    target: '≥ 0.8',
    reached: recovered >= 0.8,
  })
}

function residentBytes(pid: number | undefined): number {
  const [, kilobytes = '0'] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kilobytes) * 1_024
}

/** Memory of the ingest process over a long load of single events and batches. */
export async function benchSoak(world: BenchWorld, ingest: Service): Promise<void> {
  const shape: Shape = { customers: 100, keys: [world.tenant.key], urls: [ingest.url] }
  const samples: number[] = []
  const end = performance.now() + SOAK_SECONDS * 1_000
  const load = (async () => {
    while (performance.now() < end) {
      await runLoad(plan(ingest.url, shape, { seconds: 10 }))
      await runLoad(plan(ingest.url, shape, { size: 1_000, connections: 8, seconds: 10 }))
    }
  })()
  while (performance.now() < end) {
    await sleep(2_000)
    samples.push(residentBytes(ingest.process.pid))
  }
  await load
  const quarter = Math.max(1, Math.floor(samples.length / 4))
  const early = median(samples.slice(quarter, 2 * quarter))
  const late = median(samples.slice(-quarter))
  const megabytes = (bytes: number): string => `${Math.round(bytes / 1_048_576)} MiB`
  note({
    what: `memory of the ingest process in the last quarter of ${SOAK_SECONDS} s of load`,
    figure: megabytes(late),
    yardstick: `${megabytes(early)} in the second quarter`,
    ratio: (late / early).toFixed(2),
    target: '≤ 1.1',
    reached: late / early <= 1.1,
  })
}
