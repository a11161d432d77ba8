// What the README quotes, measured on the machine this runs on: every figure beside its yardstick from the same run.
// `npm run bench`, or `npm run bench -- batches singles` for some parts; growth and soak take long and run only when named. BENCH_SECONDS (5), BENCH_CUSTOMERS (100).
import { existsSync } from 'node:fs'
import { cpus } from 'node:os'
import { inRepository } from '@/processes/dev-stack/repository'
import { benchApplication } from './application'
import { benchRowSecurity } from './database'
import { benchEnforcement } from './enforcement'
import { benchGrowth, benchOverload, benchSoak } from './growth'
import { benchKeyVerification } from './key-verification'
import { allReached, median, milliseconds, note, perSecond, runCommits, runLoad, table } from './measure'
import { benchMixed } from './mixed'
import { benchQueries } from './queries'
import { type BenchWorld, createBenchWorld, METERS, type Service, startService } from './world'

const SECONDS = Number(process.env.BENCH_SECONDS ?? 5)
const CUSTOMERS = Number(process.env.BENCH_CUSTOMERS ?? 100)
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3)
const CONNECTIONS = 64

const PARTS =
  'batches singles enforcement mixed check keys overload growth soak next queries database application'.split(' ')
const asked = process.argv.slice(2)
const unknown = asked.filter((part) => !PARTS.includes(part))
if (unknown.length > 0) {
  process.stderr.write(`There is no part "${unknown.join('", "')}"; there are ${PARTS.join(', ')}.\n`)
  process.exit(1)
}
const wants = (part: string): boolean => asked.length === 0 || asked.includes(part)
/** What takes more than a few minutes runs only when it is named. */
const names = (part: string): boolean => asked.includes(part)

async function benchBatches(world: BenchWorld, ingest: Service): Promise<void> {
  const bare: number[] = []
  const ours: number[] = []
  const hot: number[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    const rows = await runCommits(commitPlan(world, 2, 1_000))
    bare.push(rows.rows / rows.seconds)
    const spread = await runLoad(
      loadPlan(world, ingest.url, '/api/v1/usage/track', 'events', { connections: 8, size: 1_000 }),
    )
    ours.push((spread.requests * 1_000) / spread.seconds)
    const one = await runLoad(
      loadPlan(world, ingest.url, '/api/v1/usage/track', 'events', {
        connections: 8,
        size: 1_000,
        customers: 1,
        meters: [METERS[0]],
      }),
    )
    hot.push((one.requests * 1_000) / one.seconds)
  }
  const ratio = median(ours) / median(bare)
  note({
    what: 'events in HTTP batches of 1,000: deduplicated, counted, capped, durable',
    figure: perSecond(median(ours)),
    yardstick: `${perSecond(median(bare))} rows by bare inserts of 1,000`,
    ratio: ratio.toFixed(2),
    target: '≥ 0.5',
    reached: ratio >= 0.5,
  })
  note({
    what: 'the same, all on one counter',
    figure: perSecond(median(hot)),
    yardstick: `${perSecond(median(ours))} spread`,
    ratio: (median(hot) / median(ours)).toFixed(2),
    target: 'no slower',
    reached: median(hot) / median(ours) >= 0.9,
  })
}

async function benchSingles(world: BenchWorld, ingest: Service): Promise<void> {
  const bare: number[] = []
  const ours: number[] = []
  const late: number[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    const rows = await runCommits(commitPlan(world, CONNECTIONS, 1))
    bare.push(rows.rows / rows.seconds)
    const load = await runLoad(loadPlan(world, ingest.url, '/api/v1/usage/track', 'events'))
    ours.push(load.requests / load.seconds)
    late.push(load.p99)
  }
  const ratio = median(ours) / median(bare)
  note({
    what: `single events on the ingest port, ${CONNECTIONS} connections, p99 ${milliseconds(median(late))}`,
    figure: perSecond(median(ours)),
    yardstick: `${perSecond(median(bare))} direct one-row commits`,
    ratio: ratio.toFixed(2),
    target: '≥ 0.6, p99 < 20 ms',
    reached: ratio >= 0.6 && median(late) < 20,
  })
}

async function benchCheck(world: BenchWorld, ingest: Service): Promise<void> {
  const bareServer = await startService('benchmarks/bare-server.ts', world.environment, 'BARE_PORT', '/')
  const bare: number[] = []
  const ours: number[] = []
  const late: number[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    const plain = await runLoad(loadPlan(world, bareServer.url, '/', 'check'))
    bare.push(plain.requests / plain.seconds)
    const load = await runLoad(loadPlan(world, ingest.url, '/api/v1/usage/check', 'check'))
    ours.push(load.requests / load.seconds)
    late.push(load.p99)
  }
  await bareServer.stop()
  const ratio = median(ours) / median(bare)
  note({
    what: `check, ${CONNECTIONS} connections, p99 ${milliseconds(median(late))}`,
    figure: perSecond(median(ours)),
    yardstick: `${perSecond(median(bare))} by a bare Node HTTP server`,
    ratio: ratio.toFixed(2),
    target: '≥ 0.4, p99 < 5 ms',
    reached: ratio >= 0.4 && median(late) < 5,
  })
}

async function benchNext(world: BenchWorld): Promise<void> {
  if (!existsSync(inRepository('.next', 'BUILD_ID'))) {
    process.stdout.write('  through Next: no build here, left out (npx next build)\n')
    return
  }
  const web = await startService('processes/web.ts', { ...world.environment, LOG_LEVEL: 'warn' }, 'PORT')
  const singles = await runLoad(loadPlan(world, web.url, '/api/v1/usage/track', 'events'))
  const checks = await runLoad(loadPlan(world, web.url, '/api/v1/usage/check', 'check'))
  await web.stop()
  for (const [what, load] of [
    ['single events', singles],
    ['check', checks],
  ] as const) {
    note({
      what: `${what} through Next, ${CONNECTIONS} connections, p99 ${milliseconds(load.p99)}`,
      figure: perSecond(load.requests / load.seconds),
      yardstick: 'the same handler on the ingest port',
      ratio: '–',
      target: 'for comparison',
      reached: null,
    })
  }
}

function loadPlan(
  world: BenchWorld,
  url: string,
  path: string,
  kind: 'events' | 'check',
  { connections = CONNECTIONS, size = 1, customers = world.customers, meters = [...METERS] as string[] } = {},
) {
  const headers = { authorization: `Bearer ${world.tenant.key}` }
  return { url, path, headers, kind, connections, size, customers, meters, seconds: SECONDS }
}

function commitPlan(world: BenchWorld, connections: number, size: number) {
  const [meter = ''] = world.tenant.meters
  return { url: world.superuser_url, tenant: world.tenant.id, meter, connections, size, seconds: SECONDS }
}

const world = await createBenchWorld(CUSTOMERS)
try {
  await world.superuser.query('create table bare_events (like usage_events including all)')
  const ingest = await startService('processes/ingest.ts', world.environment, 'INGEST_PORT')
  // Once through everything, so that no figure holds what happens only once.
  await runLoad({ ...loadPlan(world, ingest.url, '/api/v1/usage/track', 'events'), seconds: 1 })
  await runLoad({ ...loadPlan(world, ingest.url, '/api/v1/usage/check', 'check'), seconds: 1 })
  const parts: [wanted: boolean, run: () => Promise<void>][] = [
    [wants('batches'), () => benchBatches(world, ingest)],
    [wants('singles'), () => benchSingles(world, ingest)],
    [wants('enforcement'), () => benchEnforcement(world, ingest, SECONDS, ROUNDS)],
    [wants('mixed'), () => benchMixed(world, ingest, SECONDS)],
    [wants('check'), () => benchCheck(world, ingest)],
    [wants('keys'), () => benchKeyVerification(world, ingest)],
    [wants('overload'), () => benchOverload(world, ingest, SECONDS)],
    [names('growth'), () => benchGrowth(world, ingest, SECONDS)],
    [names('soak'), () => benchSoak(world, ingest)],
  ]
  for (const [wanted, run] of parts) {
    if (!wanted) continue
    await world.settle()
    await run()
  }
  await ingest.stop()
  if (wants('next')) await benchNext(world)
  if (wants('queries')) await benchQueries(world)
  if (wants('database')) await benchRowSecurity(world)
  if (wants('application')) await benchApplication(world)
} finally {
  await world.stop()
}
process.stdout.write(
  `\nNode ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'CPU'}, ${CUSTOMERS} customers\n\n${table()}\n`,
)
process.exitCode = allReached() ? 0 : 1
