// What becomes of writers of one tenant that differ in how they write: two keys, one process, the same counters.
import type { LoadPlan } from './load'
import { milliseconds, note, perSecond, runLoad } from './measure'
import { addKey, type BenchWorld, METERS, type Service } from './world'

const BATCH = 300

/** Single events beside batches, and batches held to a soft cap beside others that are not; none may wait for each other in a circle. */
export async function benchMixed(world: BenchWorld, ingest: Service, seconds: number): Promise<void> {
  const keys = [world.tenant.key, await addKey(world.superuser, world.tenant.id, world.tenant.owner)] as const
  const plan = (key: string, more: Partial<LoadPlan>): LoadPlan => ({
    url: ingest.url,
    path: '/api/v1/usage/track',
    headers: { authorization: `Bearer ${key}` },
    kind: 'events',
    connections: 4,
    size: BATCH,
    customers: world.customers,
    meters: [...METERS],
    seconds,
    ...more,
  })
  const deadlocks = async (): Promise<number> => {
    const { rows } = await world.superuser.query<{ deadlocks: string }>(
      'select deadlocks from pg_stat_database where datname = current_database()',
    )
    return Number(rows[0]?.deadlocks)
  }
  const before = await deadlocks()
  for (const [what, first, size] of [
    ['single events, 32 connections', { size: 1, connections: 32 }, 1],
    [`batches of ${BATCH} held to a soft cap`, { path: '/api/v1/usage/track?enforce=true' }, BATCH],
  ] as const) {
    const [one, other] = await Promise.all([runLoad(plan(keys[0], first)), runLoad(plan(keys[1], {}))])
    note({
      what: `${what}, beside batches of ${BATCH} of the same tenant by another key, p99 ${milliseconds(one.p99)}`,
      figure: perSecond((one.requests * size) / one.seconds),
      yardstick: `${perSecond((other.requests * BATCH) / other.seconds)} events in those batches`,
      ratio: '–',
      target: 'for comparison',
      reached: null,
    })
  }
  const ended = (await deadlocks()) - before
  note({
    what: 'deadlocks among them',
    figure: String(ended),
    yardstick: '0',
    ratio: '–',
    target: '0',
    reached: ended === 0,
  })
}
