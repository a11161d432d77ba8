import { afterEach, describe, expect, test } from 'vitest'
import { GET as GET_ONE } from '@/app/api/v1/analytics-events/[id]/route'
import { GET, POST } from '@/app/api/v1/analytics-events/route'
import { TenantAnalytics } from '@/libs/analytics/tenant-analytics'
import { tenantQuery } from '@/libs/db/tenant-db'
import { forgetEnv } from '@/libs/env'
import { runInTenant, setTenantContext } from '@/libs/tenancy/tenant-context'
import { asSuperuser, asSystem, call, createApiKey, createWorld } from '../support/world'

const { acme, globex, stranger } = await createWorld()
const path = '/api/v1/analytics-events'
const admin = { as: acme.users.admin, tenant: acme }

function setPostHogKey(key: string | undefined): void {
  if (key === undefined) delete process.env.POSTHOG_KEY
  else process.env.POSTHOG_KEY = key
  forgetEnv()
}
afterEach(() => setPostHogKey(undefined))

async function list(query = '', options: Parameters<typeof call>[3] = admin) {
  const { status, body } = await call(GET, 'GET', `${path}${query}`, options)
  expect(status).toBe(200)
  return body as { data: Record<string, unknown>[]; next_cursor: string | null }
}
const outbox = () =>
  asSuperuser<{ id: string; tenant_id: string; topic: string }>("select * from outbox where topic = 'analytics'")

describe('who may', () => {
  test('strangers and other tenants find nothing', async () => {
    for (const [handler, method] of [
      [GET, 'GET'],
      [POST, 'POST'],
    ] as const) {
      const body = method === 'POST' ? { event: 'x' } : undefined
      expect((await call(handler, method, path, { tenant: acme, body })).status).toBe(401)
      for (const as of [stranger, globex.users.owner])
        expect((await call(handler, method, path, { as, tenant: acme, body })).status).toBe(404)
    }
  })

  test('customers may neither, members may read, compliance may not write', async () => {
    const customer = { as: acme.users.customer, tenant: acme }
    expect((await call(GET, 'GET', path, customer)).status).toBe(403)
    expect((await call(POST, 'POST', path, { ...customer, body: { event: 'x' } })).status).toBe(403)
    expect((await call(GET, 'GET', path, { as: acme.users.member, tenant: acme })).status).toBe(200)
    const compliance = { as: acme.users.compliance, tenant: acme, body: { event: 'x' } }
    expect((await call(POST, 'POST', path, compliance)).status).toBe(403)
  })

  test('a key needs the permission', async () => {
    const { key } = await createApiKey(acme, ['usage:write'])
    expect((await call(POST, 'POST', path, { as: key, body: { event: 'x' } })).status).toBe(403)
  })
})

describe('bad input', () => {
  test.each([
    [{}, '/event'],
    [{ event: '' }, '/event'],
    [{ event: 'x'.repeat(201) }, '/event'],
    [{ event: 'x', distinct_id: ' ' }, '/distinct_id'],
    [{ event: 'x', properties: 'y' }, '/properties'],
    [{ event: 'x', properties: { y: 'z'.repeat(30_001) } }, '/properties'],
    [{ event: 'x', occurred_at: 'now' }, '/occurred_at'],
    [{ event: 'x', occurred_at: new Date(Date.now() + 600_000).toISOString() }, '/occurred_at'],
    [{ event: 'x', occurred_at: new Date(Date.now() - 8 * 86_400_000).toISOString() }, '/occurred_at'],
    [{ event: 'x', forwarded_at: 'now' }, '/forwarded_at'],
  ])('%j is refused', async (body, pointer) => {
    const answer = await call(POST, 'POST', path, { ...admin, body })
    expect(answer.status).toBe(422)
    expect(answer.body.errors[0].pointer).toBe(pointer)
  })

  test('too many at once, NUL, and a batch with one bad event: nothing is stored', async () => {
    const events = Array.from({ length: 101 }, () => ({ event: 'bulk' }))
    expect((await call(POST, 'POST', path, { ...admin, body: events })).status).toBe(422)
    expect((await call(POST, 'POST', path, { ...admin, body: [] })).status).toBe(422)
    expect((await call(POST, 'POST', path, { ...admin, body: '{"event":"a\\u0000b"}' })).status).toBe(400)
    expect((await call(POST, 'POST', path, { ...admin, body: [{ event: 'bulk' }, { event: 1 }] })).status).toBe(422)
    expect((await list('?event=bulk')).data).toEqual([])
  })
})

describe('recording through the API', () => {
  test('one event: the caller is who did it unless said otherwise', async () => {
    const { status, body } = await call(POST, 'POST', path, {
      ...admin,
      body: { event: 'report_opened', properties: { report: 'usage', camelCase: true } },
    })
    expect(status).toBe(201)
    expect((await list('?event=report_opened')).data).toEqual([
      expect.objectContaining({
        id: body.ids[0],
        distinct_id: acme.users.admin.id,
        properties: { report: 'usage', camelCase: true },
        source: 'browser',
        forwarded_at: null,
      }),
    ])
  })

  test('one event is found by its id, by those of the tenant alone', async () => {
    const { body } = await call(POST, 'POST', path, { ...admin, body: { event: 'found' } })
    const get = (id: string, options: Parameters<typeof call>[3] = admin) =>
      call(GET_ONE, 'GET', `${path}/${id}`, { ...options, params: { id } })
    expect((await get(body.ids[0])).body).toEqual((await list('?event=found')).data[0])
    for (const unknown of [crypto.randomUUID(), 'x']) expect((await get(unknown)).status).toBe(404)
    expect((await get(body.ids[0], { as: globex.users.owner, tenant: globex })).status).toBe(404)
    expect((await get(body.ids[0], { as: acme.users.customer, tenant: acme })).status).toBe(403)
  })

  test('a batch, with moments of its own', async () => {
    const occurred_at = new Date(Date.now() - 3_600_000).toISOString()
    const body = [{ event: 'clicked', distinctId: 'device-1', occurredAt: occurred_at }, { event: 'clicked' }]
    const answer = await call(POST, 'POST', path, { ...admin, body })
    expect(answer.status).toBe(201)
    expect(answer.body.ids).toHaveLength(2)
    expect((await list('?distinctId=device-1')).data[0]).toMatchObject({ occurred_at })
  })

  test('again with the same Idempotency-Key: stored once', async () => {
    const options = { ...admin, body: { event: 'once' }, headers: { 'idempotency-key': 'key-1' } }
    const first = await call(POST, 'POST', path, options)
    const again = await call(POST, 'POST', path, options)
    expect(again.body).toEqual(first.body)
    expect((await list('?event=once')).data).toHaveLength(1)
  })
})

describe('TenantAnalytics', () => {
  test('records after setTenantContext as the example does; without a key nothing waits to be sent', async () => {
    await setTenantContext(acme.id)
    const id = await TenantAnalytics.trackApiCall('user-1', '/api/v1/data', 'GET')
    expect((await list('?distinct_id=user-1')).data).toEqual([
      expect.objectContaining({
        id,
        event: 'api_call',
        properties: { endpoint: '/api/v1/data', method: 'GET' },
        source: 'server',
      }),
    ])
    expect(await outbox()).toEqual([])
  })

  test('with a key each event waits in the outbox under its own id, or neither is there', async () => {
    setPostHogKey('phc_test')
    const id = await asSystem(acme, () => TenantAnalytics.trackSignIn('user-2'))
    expect(await outbox()).toEqual([expect.objectContaining({ id, tenant_id: acme.id })])
    await expect(
      asSystem(acme, async () => {
        await TenantAnalytics.trackSignUp('user-3')
        throw new Error('undone')
      }),
    ).rejects.toThrow('undone')
    expect(await outbox()).toHaveLength(1)
    expect((await list('?distinct_id=user-3')).data).toEqual([])
  })

  test('never fails what it watches: hostile, circular and overlong things are made to fit', async () => {
    const circle: Record<string, unknown> = { n: 1n, bad: '\0\ud800' }
    circle.self = circle
    const ids = await asSystem(acme, async () => [
      await TenantAnalytics.trackEvent('', '', circle),
      await TenantAnalytics.trackEvent('d'.repeat(999), 'e'.repeat(999), { long: 'x'.repeat(50_000) }),
      await TenantAnalytics.trackPageView('user-4', '/reports?token=abc#part'),
    ])
    const { data } = await list('?limit=3')
    expect(data.map(({ id }) => id).reverse()).toEqual(ids)
    expect(data[2]).toMatchObject({
      event: 'unnamed',
      distinct_id: 'anonymous',
      properties: { n: '1', bad: '\u{fffd}\u{fffd}' },
    })
    expect(data[1]).toMatchObject({ event: 'e'.repeat(200), properties: { properties_dropped_bytes: 50_011 } })
    expect(data[0]).toMatchObject({ event: 'page_viewed', properties: { path: '/reports' } })
  })

  test('watches those who may not see what is watched', async () => {
    const visitor = { id: 'visitor', kind: 'customer' as const, permissions: [] }
    const id = await runInTenant(acme.id, visitor, () => TenantAnalytics.trackEvent('visitor', 'landed'))
    expect(await runInTenant(acme.id, visitor, () => tenantQuery('select 1 from analytics_events'))).toEqual([])
    expect((await list('?event=landed')).data[0]).toMatchObject({ id })
  })

  test('outside of a tenant it refuses', async () => {
    await expect(TenantAnalytics.trackEvent('a', 'b')).rejects.toThrow(/context/)
  })
})

test('filters and pages', async () => {
  expect((await list('?source=browser')).data.every(({ source }) => source === 'browser')).toBe(true)
  expect((await list('?timeRange=24h')).data.length).toBeGreaterThan(5)
  expect((await list('?to=2020-01-01')).data).toEqual([])
  const seen: unknown[] = []
  let cursor: string | null = null
  do {
    const page: Awaited<ReturnType<typeof list>> = await list(`?limit=4${cursor ? `&cursor=${cursor}` : ''}`)
    seen.push(...page.data.map(({ id }) => id))
    cursor = page.next_cursor
  } while (cursor)
  const all = await asSuperuser<{ id: string }>(
    'select id from analytics_events where tenant_id = $1 order by id desc',
    [acme.id],
  )
  expect(seen).toEqual(all.map(({ id }) => id))
})

test('another tenant sees none of it, in the list and in SQL', async () => {
  expect((await list('', { as: globex.users.owner, tenant: globex })).data).toEqual([])
  expect(await asSystem(globex, () => tenantQuery('select 1 from analytics_events'))).toEqual([])
  expect(
    await asSystem(globex, () => tenantQuery('update analytics_events set forwarded_at = now() returning id')),
  ).toEqual([])
  await expect(
    asSystem(globex, () =>
      tenantQuery(
        "insert into analytics_events (tenant_id, id, event, distinct_id) values ($1, gen_random_uuid(), 'a', 'b')",
        [acme.id],
      ),
    ),
  ).rejects.toMatchObject({ code: '42501' })
})
