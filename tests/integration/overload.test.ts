// More than there is room for: what cannot wait is turned away with Retry-After and counts nowhere, what is answered 200 is
// counted, and afterwards all is as before.
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { POST as postMeter } from '@/app/api/v1/meters/route'
import { tenantQuery } from '@/libs/db/tenant-db'
import { type IngestProcess, startIngestProcess } from '../support/ingest-process'
import { requireVariable } from '../support/variables'
import { asSuperuser, asSystem, call, createWorld, type TestTenant } from '../support/world'

const { acme, globex } = await createWorld()
const EVENTS = 1_000
let ingest: IngestProcess
let floods = 0

type Answer = { status: number; wait: string | null; body: { inserted: number; rejected: unknown[]; code?: string } }
type Flood = { name: string; answers: Answer[] }

beforeAll(async () => {
  for (const tenant of [acme, globex])
    await call(postMeter, 'POST', '/api/v1/meters', { as: tenant.api_key, body: { name: 'Flood', slug: 'flood' } })
  ingest = await startIngestProcess()
})
afterAll(async () => {
  await ingest?.end()
})

/** Each request on a connection of its own, as it would be from as many machines. */
async function post(body: string, tenant: TestTenant = acme): Promise<Answer> {
  const response = await fetch(`${ingest.url}/api/v1/usage/track`, {
    method: 'POST',
    headers: { authorization: `Bearer ${tenant.api_key}`, 'content-type': 'application/json' },
    body,
  })
  return {
    status: response.status,
    wait: response.headers.get('retry-after'),
    body: (await response.json()) as Answer['body'],
  }
}

/** So many requests of a thousand events, at most so many of them at a time. */
async function flood(requests: number, atOnce: number): Promise<Flood> {
  floods += 1
  const name = `flood-${floods}`
  const bodies = Array.from({ length: requests }, (_, request) =>
    JSON.stringify(
      Array.from({ length: EVENTS }, (_, place) => ({
        meter_id: 'flood',
        user_id: `${name}-${request % 20}`,
        event_id: `${name}/${request}/${place}`,
      })),
    ),
  )
  const answers: Answer[] = []
  let next = 0
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (let request = next++; request < requests; request = next++)
        answers[request] = await post(bodies[request] ?? '')
    }),
  )
  return { name, answers }
}

/** Every request was counted as a whole, or turned away as a whole with a time to come back. */
async function judge({ name, answers }: Flood): Promise<{ accepted: number; refused: number }> {
  for (const { status, wait, body } of answers) {
    if (status === 200) expect(body).toMatchObject({ inserted: EVENTS, rejected: [] })
    else {
      expect([429, 503]).toContain(status)
      expect(wait).toMatch(/^[1-9]\d*$/)
      expect(body.code).toMatch(/^(unavailable|rate_limited)$/)
    }
  }
  const stored = await asSuperuser<{ request: string; events: number }>(
    `select split_part(event_id, '/', 2) as request, count(*)::int as events from usage_events
     where tenant_id = $1 and event_id like $2 group by 1`,
    [acme.id, `${name}/%`],
  )
  const counted = new Map(stored.map(({ request, events }) => [Number(request), events]))
  expect(
    [...answers.keys()].filter(
      (request) => (answers[request]?.status === 200 ? EVENTS : 0) !== (counted.get(request) ?? 0),
    ),
  ).toEqual([])
  const [sums] = await asSuperuser<{ month: number; total: number }>(
    `select (select coalesce(sum(k.used), 0)::int from usage_counters k join customers c on c.tenant_id = k.tenant_id and c.id = k.customer_id
         where k.tenant_id = $1 and k.period = 'month' and c.external_id like $2) as month,
       (select count(*)::int from usage_events where tenant_id = $1 and event_id like $3) as total`,
    [acme.id, `${name}-%`, `${name}/%`],
  )
  expect(sums?.month).toBe(sums?.total)
  return { accepted: counted.size, refused: answers.length - counted.size }
}

const one = (tenant = acme) => post(JSON.stringify({ meter_id: 'flood', user_id: 'calm' }), tenant)
/** What the process holds in memory, in MiB. */
function residentMib(): number {
  const status = readFileSync(`/proc/${ingest.process.pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1_024
}
/** Statements that wait for whoever holds up the writers of a tenant. */
const waiting = async () => {
  const [row] = await asSuperuser<{ n: number }>(
    "select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event = 'advisory'",
  )
  return row?.n
}
const drift = () =>
  asSystem(acme, () =>
    tenantQuery("select * from app.find_usage_drift($1, 'UTC', null, null) where table_name is not null", [acme.id]),
  )

test('while nothing can be written, what waits is bounded; then all that waited is written', async () => {
  const blocker = new pg.Client({ connectionString: requireVariable('SUPERUSER_DATABASE_URL') })
  await blocker.connect()
  try {
    expect((await one()).status).toBe(200)
    // As whoever rebuilds counters holds it: the writers of this tenant wait, those of others do not.
    await blocker.query("select pg_advisory_lock(hashtextextended('usage ' || $1, 0))", [acme.id])
    const first = flood(15, 15)
    await expect.poll(waiting, { timeout: 25_000 }).toBeGreaterThan(0)
    expect((await one(globex)).status).toBe(200)
    const second = flood(60, 60)
    // What comes before all room is taken waits with the others, and takes as much of it: less would leave a gap for one more.
    const early: Promise<Answer>[] = []
    const large = JSON.stringify(Array.from({ length: EVENTS }, () => ({ meter_id: 'flood', user_id: 'early' })))
    const probe = () => {
      const asked = post(large)
      early.push(asked)
      return Promise.race([asked.then(({ status }) => status), sleep(250)])
    }
    await expect.poll(probe, { timeout: 25_000, interval: 50 }).toBe(503)
    // One that is too many is told at once, not when the others are.
    expect(await one()).toMatchObject({ status: 503, wait: expect.stringMatching(/^[1-9]\d*$/) })
    // And what one tenant has waiting leaves room for the others.
    expect((await one(globex)).status).toBe(200)
    await blocker.query("select pg_advisory_unlock(hashtextextended('usage ' || $1, 0))", [acme.id])
    const [before, after] = [await judge(await first), await judge(await second)]
    const probed = (await Promise.all(early)).map(({ status }) => status)
    for (const status of probed) expect([200, 503]).toContain(status)
    // Half the queue of fifty thousand, and what the two writers held, up to three requests each; whichever of them came first.
    const accepted = before.accepted + after.accepted + probed.filter((status) => status === 200).length
    expect(accepted).toBeGreaterThanOrEqual(25)
    expect(accepted).toBeLessThanOrEqual(31)
    expect((await one()).status).toBe(200)
  } finally {
    await blocker.end()
  }
})

test('a flood takes nothing from what there is room for, and nothing afterwards', async () => {
  const sizes: number[] = []
  for (let round = 0; round < 3; round += 1) {
    expect((await judge(await flood(20, 8))).accepted).toBe(20)
    // At least what may wait: who is turned away keeps nobody out.
    expect((await judge(await flood(100, 100))).accepted).toBeGreaterThanOrEqual(25)
    // It is over: who comes now is served.
    expect((await one()).status).toBe(200)
    sizes.push(residentMib())
  }
  expect(sizes.at(-1)).toBeLessThan(1.25 * (sizes[0] ?? 0) + 64)
  expect(await drift()).toEqual([])
})
