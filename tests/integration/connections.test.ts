// Connections to a database that goes without a word, as behind a network that drops what it knows nothing of.
import { Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { POST as postMeter } from '@/app/api/v1/meters/route'
import { isListening, onNotification, stopNotifications } from '@/libs/db/notifications'
import { closePools, operatorPool, serverPool } from '@/libs/db/pools'
import { type IngestProcess, startIngestProcess } from '../support/ingest-process'
import { type StillNetwork, startStillNetwork } from '../support/still-network'
import { asSuperuser, call, createWorld } from '../support/world'

const { acme, globex } = await createWorld()

test('are asked after once they rest, whatever they are for', async () => {
  await closePools()
  await stopNotifications()
  const asked = vi.spyOn(Socket.prototype, 'setKeepAlive')
  await serverPool().query('select 1')
  await operatorPool().query('select 1')
  const stop = onNotification('registry', () => undefined)
  await expect.poll(isListening).toBe(true)
  stop()
  const calls = asked.mock.calls
  asked.mockRestore()
  expect(calls.length).toBeGreaterThan(2)
  for (const call of calls) expect(call).toEqual([true, 10_000])
})

describe('behind which nothing answers any more', () => {
  let network: StillNetwork
  let ingest: IngestProcess
  let sent = 0
  const events = (count: number) =>
    Array.from({ length: count }, () => {
      sent += 1
      return { meter_id: 'api_calls', user_id: 'still', event_id: `still-${sent}` }
    })
  const post = (path: string, body: unknown, more: Record<string, string> = {}) =>
    ingest.send({ path, body, headers: { authorization: `Bearer ${acme.api_key}`, ...more } })
  const track = (body: unknown, more?: Record<string, string>) => post('/api/v1/usage/track', body, more)
  const check = (user: string) => post('/api/v1/usage/check', { meter_id: 'api_calls', user_id: user, amount: 1 })
  /** One of everything that is asked much, with keys and tenants in memory or not. */
  const askAll = () =>
    Promise.all([
      ...events(50).map((event) => track(event)),
      ...Array.from({ length: 12 }, () => track(events(400))),
      track(events(2), { 'idempotency-key': `once-${sent}` }),
      ...Array.from({ length: 30 }, (_, index) => check(`user-${index}`)),
      post('/api/v1/usage/reserve', { meter_id: 'api_calls', user_id: 'still', amount: 1 }),
      post('/api/v1/customer-keys/verify', { key: `unknown_${sent}` }),
      post('/api/v1/usage/check', {}, { authorization: `Bearer ${globex.api_key}` }),
    ])
  const connections = () =>
    asSuperuser(
      "select 1 from pg_stat_activity where datname = current_database() and application_name like 'holdfast%'",
    )

  beforeAll(async () => {
    await closePools()
    await stopNotifications()
    await call(postMeter, 'POST', '/api/v1/meters', { as: acme.api_key, body: { name: 'Calls', slug: 'api_calls' } })
    await closePools()
    await stopNotifications()
    network = await startStillNetwork()
    ingest = await startIngestProcess({ DATABASE_URL: network.url })
  })
  afterAll(async () => {
    network.release()
    await ingest.end()
    await network.close()
  })

  test('every request is told to come again, and finds all as it was left', async () => {
    expect(await track(events(1))).toMatchObject({ status: 200 })
    network.hold()
    const passing = { status: 503, headers: { 'retry-after': '1' }, body: { code: 'unavailable' } }
    // Those that are waiting when it falls silent, and those that come when that is known.
    for (const answer of await askAll()) expect(answer).toMatchObject(passing)
    for (const answer of await askAll()) expect(answer).toMatchObject(passing)
    network.release()
    await expect.poll(() => check('still').then(({ status }) => status), { timeout: 30_000 }).toBe(200)

    // Some of it had arrived, and was done when nobody waited for it any more.
    const all = Array.from({ length: sent }, (_, index) => ({
      meter_id: 'api_calls',
      user_id: 'still',
      event_id: `still-${index + 1}`,
    }))
    while (all.length > 0) expect(await track(all.splice(0, 1_000))).toMatchObject({ status: 200 })
    expect(await check('still')).toMatchObject({ body: { used: sent } })
    await expect.poll(async () => (await connections()).length).toBeLessThan(20)
  })

  test('a statement that takes long is no silence', async () => {
    const { rows } = await serverPool().query("select 'done' as value from pg_sleep(9)")
    expect(rows).toEqual([{ value: 'done' }])
  })
})
