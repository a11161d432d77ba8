import { createKeyText, hashKey } from '@/libs/auth/api-key'
import { newId } from '@/libs/ids'
import { median, milliseconds, note, perSecond, runLoad } from './measure'
import { type BenchWorld, type Service, startService } from './world'

const SECONDS = Number(process.env.BENCH_SECONDS ?? 5)
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3)
const CONNECTIONS = 64
const PATH = '/compat/unkey/v2/keys.verifyKey'

/** Keys of customers, straight into the table; the texts come back. */
async function makeKeys(world: BenchWorld, count: number, remaining: number | null): Promise<string[]> {
  const keys = Array.from({ length: count }, () => createKeyText('bench'))
  await world.superuser.query(
    `insert into customer_keys (tenant_id, id, name, prefix, last_four, key_hash, remaining)
     select $1, k.id, 'Benchmark', 'bench_0000', '0000', k.hash, $4 from unnest($2::uuid[], $3::bytea[]) k (id, hash)`,
    [world.tenant.id, keys.map(() => newId()), keys.map((key) => hashKey(key)), remaining],
  )
  return keys
}

/** Verifications of customers' keys over the Unkey wire: from memory, with credits, and all of them on one key. */
export async function benchKeyVerification(world: BenchWorld, ingest: Service): Promise<void> {
  const plain = await makeKeys(world, 400, null)
  const limited = await makeKeys(world, 400, 1_000_000_000_000)
  const bareServer = await startService('benchmarks/bare-server.ts', world.environment, 'BARE_PORT', '/')
  const plan = (url: string, path: string, keys: readonly string[]) => ({
    url,
    path,
    headers: { authorization: `Bearer ${world.tenant.key}` },
    kind: 'check' as const,
    connections: CONNECTIONS,
    size: 1,
    customers: 1,
    meters: [],
    seconds: SECONDS,
    bodies: keys.map((key) => JSON.stringify({ key })),
  })
  const [one = ''] = limited
  const kinds = [
    { what: 'key verification over the Unkey wire', keys: plain, target: 0.25 },
    { what: 'the same, with credits taken exactly, 400 keys', keys: limited, target: null },
    { what: 'the same, with credits taken exactly, all of one key', keys: [one], target: null },
  ]
  const bare: number[] = []
  const loads = kinds.map(() => ({ rates: [] as number[], late: [] as number[] }))
  try {
    await runLoad({ ...plan(ingest.url, PATH, [...plain, ...limited]), seconds: 1 })
    for (let round = 0; round < ROUNDS; round += 1) {
      const yardstick = await runLoad(plan(bareServer.url, '/', plain))
      bare.push(yardstick.requests / yardstick.seconds)
      for (const [index, { keys }] of kinds.entries()) {
        const load = await runLoad(plan(ingest.url, PATH, keys))
        loads[index]?.rates.push(load.requests / load.seconds)
        loads[index]?.late.push(load.p99)
      }
    }
  } finally {
    await bareServer.stop()
  }
  for (const [index, { what, target }] of kinds.entries()) {
    const { rates = [], late = [] } = loads[index] ?? {}
    const ratio = median(rates) / median(bare)
    note({
      what: `${what}, ${CONNECTIONS} connections, p99 ${milliseconds(median(late))}`,
      figure: perSecond(median(rates)),
      yardstick: `${perSecond(median(bare))} by a bare Node HTTP server`,
      ratio: ratio.toFixed(2),
      target: target === null ? 'for comparison' : `≥ ${target}`,
      reached: target === null ? null : ratio >= target,
    })
  }
}
