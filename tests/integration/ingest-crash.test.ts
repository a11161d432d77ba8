// The promise of an acknowledgement: Postgres is killed under load, again and again, and every event that was acknowledged
// is there afterwards, once, and so is its count. A cluster of its own, because it is killed.
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { tenantQuery } from '@/libs/db/tenant-db'
import { forgetEnv } from '@/libs/env'
import { newId } from '@/libs/ids'
import { withClient } from '../../processes/dev-stack/roles'
import { createTestDatabase } from '../support/database'
import { type IngestProcess, startIngestProcess } from '../support/ingest-process'
import { type RunningTestCluster, startTestCluster } from '../support/test-cluster'
import { requireVariable } from '../support/variables'
import { asSuperuser, asSystem, createTenant, createWorld, type TestTenant } from '../support/world'

const ROUNDS = 4
const SENDERS = 12
/** So many events are acknowledged before each kill, and after the last one. */
const BETWEEN = 300

let cluster: RunningTestCluster
let ingest: IngestProcess
let tenant: TestTenant

beforeAll(async () => {
  cluster = await startTestCluster()
  const database = await createTestDatabase(cluster.cluster)
  Object.assign(process.env, {
    DATABASE_URL: database.server_url,
    OPERATOR_DATABASE_URL: database.operator_url,
    SUPERUSER_DATABASE_URL: database.superuser_url,
  })
  forgetEnv()
  await createWorld()
  tenant = await createTenant('crashing')
  await asSystem(tenant, async () => {
    await tenantQuery("insert into meters (id, slug, name) values ($1, 'api_calls', 'API calls')", [newId()])
    await tenantQuery("insert into tiers (id, slug, name, is_default) values ($1, 'capped', 'Capped', true)", [newId()])
    await tenantQuery(
      `insert into tier_caps (id, tier_id, meter_id, cap_limit) select $1, t.id, m.id, 1000000 from tiers t, meters m`,
      [newId()],
    )
  })
  ingest = await startIngestProcess()
})
afterAll(async () => {
  await ingest?.end()
  await cluster?.stop()
})

/** Kills what serves the database: the postmaster, or one of its backends, which takes all others down with it. */
async function killDatabase(backend: boolean): Promise<boolean> {
  if (!backend) {
    await cluster.postgres.kill()
    await sleep(300)
    await cluster.postgres.start()
    return true
  }
  const pid = await withClient(requireVariable('SUPERUSER_DATABASE_URL'), async (client) => {
    const { rows } = await client.query<{ pid: number }>(
      "select pid from pg_stat_activity where usename = 'app_server' and state = 'active' order by random() limit 1",
    )
    return rows[0]?.pid
  })
  return pid !== undefined && process.kill(pid, 'SIGKILL')
}

test('every acknowledged event is there exactly once, whatever was killed', async () => {
  const acknowledged = new Map<string, number>()
  let withoutId = 0
  let sent = 0
  let done = false
  const send = async (body: unknown) =>
    ingest
      .send({ path: '/api/v1/usage/track', headers: { authorization: `Bearer ${tenant.api_key}` }, body })
      .catch(() => null)

  const sender = async (number: number): Promise<void> => {
    while (!done) {
      const value = 1 + (sent % 5)
      const events = Array.from({ length: 1 + (sent % 7) }, () => {
        sent += 1
        return {
          meter_id: 'api_calls',
          user_id: `user-${sent % 20}`,
          event_value: value,
          event_id: `${number}-${sent}`,
        }
      })
      // Like any client: what was not acknowledged is sent again.
      for (;;) {
        const answer = await send(events)
        if (answer?.status === 200) {
          expect(answer.body.inserted + answer.body.duplicates).toBe(events.length)
          for (const { event_id } of events) acknowledged.set(event_id, value)
          break
        }
        if (answer) expect(answer.status).toBe(503)
        await sleep(50)
      }
      const plain = await send({ meter_id: 'api_calls', user_id: 'nameless', event_value: 1 })
      if (plain?.status === 200) withoutId += plain.body.inserted
    }
  }
  const senders = Array.from({ length: SENDERS }, (_, number) => sender(number))
  const goOn = () => {
    const wanted = acknowledged.size + BETWEEN
    return expect.poll(() => acknowledged.size, { timeout: 120_000, interval: 10 }).toBeGreaterThanOrEqual(wanted)
  }
  let kills = 0
  for (let round = 0; round < ROUNDS; round += 1) {
    await goOn()
    if (await killDatabase(round % 2 === 1)) kills += 1
  }
  await goOn()
  done = true
  await Promise.all(senders)

  const rows = await asSuperuser<{ event_id: string; copies: number; value: number }>(
    `select event_id, count(*)::int as copies, sum(value)::int as value from usage_events
       where tenant_id = $1 and event_id is not null group by 1`,
    [tenant.id],
  )
  const stored = new Map(rows.map((row) => [row.event_id, row]))
  const wrong = [...acknowledged].filter(
    ([id, value]) => stored.get(id)?.copies !== 1 || stored.get(id)?.value !== value,
  )
  expect(wrong).toEqual([])
  expect(acknowledged.size).toBeGreaterThanOrEqual((ROUNDS + 1) * BETWEEN)
  expect(kills).toBeGreaterThanOrEqual(2)
  const [sums] = await asSuperuser<Record<'nameless' | 'events' | 'total' | 'day' | 'month' | 'totals', number>>(
    `select (select count(*)::int from usage_events where tenant_id = $1 and event_id is null) as nameless,
         (select count(*)::int from usage_events where tenant_id = $1) as events,
         (select sum(value)::int from usage_events where tenant_id = $1) as total,
         (select sum(used)::int from usage_counters where tenant_id = $1 and period = 'day') as day,
         (select sum(used)::int from usage_counters where tenant_id = $1 and period = 'month') as month,
         (select sum(used)::int from usage_totals where tenant_id = $1) as totals`,
    [tenant.id],
  )
  // The senders repeat until they are answered, so here nothing else can be there either.
  expect(stored.size).toBe(acknowledged.size)
  expect(sums?.nameless).toBeGreaterThanOrEqual(withoutId)
  expect([sums?.day, sums?.month, sums?.totals]).toEqual([sums?.total, sums?.total, sums?.total])
})
