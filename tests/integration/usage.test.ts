// What an acknowledged event promises: durable, counted once, visible at once, enforced; and what a refused one is told.
import { gzipSync } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import { POST as postCustomer } from '@/app/api/v1/customers/route'
import { POST as postMeter } from '@/app/api/v1/meters/route'
import { POST as postTier } from '@/app/api/v1/tiers/route'
import { POST as checkRoute } from '@/app/api/v1/usage/check/route'
import { GET as getDaily } from '@/app/api/v1/usage/daily/route'
import { GET as getEvents } from '@/app/api/v1/usage/events/route'
import { GET as getRejections } from '@/app/api/v1/usage/rejections/route'
import { GET as getUsage } from '@/app/api/v1/usage/route'
import { GET as getSettings, PATCH as patchSettings } from '@/app/api/v1/usage/settings/route'
import { POST as trackRoute } from '@/app/api/v1/usage/track/route'
import { GET as getTrends } from '@/app/api/v1/usage/trends/route'
import { TenantUsageTrackingService } from '@/features/usage-tracking/services/tenant-usage-tracking-service'
import { nameOfKey } from '@/libs/crypto/keyed-box'
import { runInTenant, setTenantContext, systemActor } from '@/libs/tenancy/tenant-context'
import { waitForSteadyDay } from '../support/steady-day'
import { whileLocked } from '../support/while-locked'
import {
  type Answer,
  asSuperuser,
  call,
  createApiKey,
  createTenant,
  createWorld,
  setStatus,
  type TestTenant,
} from '../support/world'

const { acme, globex, stranger } = await createWorld()
await waitForSteadyDay()

const track = (
  body: unknown,
  options: { as?: string; headers?: Record<string, string>; query?: string } = {},
): Promise<Answer> =>
  call(trackRoute, 'POST', `/api/v1/usage/track${options.query ?? ''}`, {
    as: options.as ?? acme.api_key,
    body,
    headers: options.headers ?? {},
  })
const check = (user: string, meter: string, amount: unknown = 1, as = acme.api_key): Promise<Answer> =>
  call(checkRoute, 'POST', '/api/v1/usage/check', { as, body: { user_id: user, meter_id: meter, amount } })
let made = 0
const newName = (prefix: string): string => `${prefix}-${++made}`
const nested = (levels: number): unknown => JSON.parse('['.repeat(levels) + ']'.repeat(levels))
const event = (user: string, extra: object = {}) => ({ meter_id: 'api_calls', user_id: user, ...extra })

async function arrange(tenant: TestTenant): Promise<void> {
  for (const meter of [
    { slug: 'api_calls', name: 'API calls' },
    { slug: 'uploads', name: 'Uploads', aggregation: 'COUNT' },
    { slug: 'credits', name: 'Credits', allows_negative: true },
  ]) {
    expect((await call(postMeter, 'POST', '/api/v1/meters', { as: tenant.api_key, body: meter })).status).toBe(201)
  }
  for (const tier of [
    { name: 'Small', usage_caps: { api_calls: 100 } },
    { name: 'Large', price: 20, usage_caps: { api_calls: 1000 } },
    { name: 'Soft', price: 5, usage_caps: { api_calls: { limit: 10, behaviour: 'soft' } } },
    { name: 'Daily', price: 5, usage_caps: { uploads: { limit: 3, period: 'day' } } },
  ]) {
    expect((await call(postTier, 'POST', '/api/v1/tiers', { as: tenant.api_key, body: tier })).status).toBe(201)
  }
}

async function newCustomer(tier: string | null): Promise<string> {
  const external_id = newName('customer')
  const answer = await call(postCustomer, 'POST', '/api/v1/customers', {
    as: acme.api_key,
    body: { external_id, tier },
  })
  expect(answer.status).toBe(201)
  return external_id
}

type Sums = { events: string; total: string; day: string; month: string; totals: string }
/** What is really stored of a tenant, by four ways of counting. */
async function sumsOf(tenant: TestTenant): Promise<Sums> {
  const [row] = await asSuperuser<Sums>(
    `with counted as (
       select case m.aggregation when 'COUNT' then 1 else e.value end as amount
       from usage_events e join meters m on m.tenant_id = e.tenant_id and m.id = e.meter_id where e.tenant_id = $1)
     select (select count(*) from counted) as events, (select coalesce(sum(amount), 0) from counted) as total,
       (select coalesce(sum(used), 0) from usage_counters where tenant_id = $1 and period = 'day') as day,
       (select coalesce(sum(used), 0) from usage_counters where tenant_id = $1 and period = 'month') as month,
       (select coalesce(sum(used), 0) from usage_totals where tenant_id = $1) as totals`,
    [tenant.id],
  )
  if (!row) throw new Error('one row')
  return row
}

beforeAll(async () => {
  await arrange(acme)
  await arrange(globex)
})

describe('who may', () => {
  test('nobody without a credential', async () => {
    expect((await call(trackRoute, 'POST', '/api/v1/usage/track', { tenant: acme, body: event('x') })).status).toBe(401)
    expect((await call(checkRoute, 'POST', '/api/v1/usage/check', { tenant: acme, body: event('x') })).status).toBe(401)
  })
  test('a stranger learns nothing', async () => {
    const answer = await call(trackRoute, 'POST', '/api/v1/usage/track', {
      as: stranger,
      tenant: acme,
      body: event('x'),
    })
    expect(answer.status).toBe(404)
  })
  test('a member who only reads usage does not write it', async () => {
    const options = { as: acme.users.member, tenant: acme, body: event('x') }
    expect((await call(trackRoute, 'POST', '/api/v1/usage/track', options)).status).toBe(403)
    const read = await call(getUsage, 'GET', '/api/v1/usage', { as: acme.users.member, tenant: acme })
    expect(read.status).toBe(200)
  })
  test('a key that only writes can write, and asks what is left, but does not read reports', async () => {
    const { key } = await createApiKey(acme, ['usage:write'])
    const user = newName('user')
    expect((await track(event(user), { as: key })).body).toMatchObject({ inserted: 1 })
    expect((await check(user, 'api_calls', 1, key)).body).toMatchObject({ allowed: true })
    expect((await call(getUsage, 'GET', '/api/v1/usage', { as: key })).status).toBe(403)
  })
  test('the same names in another tenant are another world', async () => {
    const user = newName('shared')
    const id = newName('event')
    await track(event(user, { event_value: 5, event_id: id }))
    const answer = await track(event(user, { event_value: 7, event_id: id }), { as: globex.api_key })
    expect(answer.body).toMatchObject({ inserted: 1, duplicates: 0, rejected: [] })
    expect((await check(user, 'api_calls', 0)).body.used).toBe(5)
    expect((await check(user, 'api_calls', 0, globex.api_key)).body.used).toBe(7)
  })
})

describe('track', () => {
  test('answers when it is counted, and says where the customer stands', async () => {
    const user = newName('user')
    const answer = await track(event(user, { event_value: 3, properties: { endpoint: '/data', cached: false } }))
    expect(answer.status).toBe(200)
    expect(answer.body).toMatchObject({ inserted: 1, duplicates: 0, rejected: [] })
    expect(answer.body.usage).toEqual([
      expect.objectContaining({
        meter: 'api_calls',
        user_id: user,
        used: 3,
        limit: null,
        remaining: null,
        period: 'month',
      }),
    ])
    expect((await check(user, 'api_calls', 0)).body.used).toBe(3)
  })

  test('takes one event, a list, or {events}', async () => {
    const user = newName('user')
    expect((await track(event(user))).body.inserted).toBe(1)
    expect((await track([event(user), event(user)])).body.inserted).toBe(2)
    expect((await track({ events: [event(user), event(user), event(user)] })).body.inserted).toBe(3)
    expect((await check(user, 'api_calls', 0)).body.used).toBe(6)
  })

  test('takes gzip and a thousand events, and camelCase names', async () => {
    const user = newName('user')
    const body = gzipSync(
      JSON.stringify(Array.from({ length: 1_000 }, () => ({ meterId: 'api_calls', userId: user, eventValue: 2 }))),
    )
    const answer = await track(new Uint8Array(body), { headers: { 'content-encoding': 'gzip' } })
    expect(answer.body).toEqual({ inserted: 1_000, duplicates: 0, rejected: [] })
    expect((await check(user, 'api_calls', 0)).body.used).toBe(2_000)
  })

  test('adds decimals exactly, however they are written', async () => {
    const user = newName('user')
    await track(
      [0.1, '0.2', '0.30', '12345678901234567890.000000000000000001'].map((event_value) =>
        event(user, { event_value }),
      ),
    )
    expect((await check(user, 'api_calls', 0)).body.used).toBe('12345678901234567890.600000000000000001')
  })

  test('a meter that counts adds one for each event', async () => {
    const user = newName('user')
    await track([1, 7, 0].map((event_value) => ({ meter_id: 'uploads', user_id: user, event_value })))
    expect((await check(user, 'uploads', 0)).body.used).toBe(3)
  })

  test('meters are named by slug or id', async () => {
    const user = newName('user')
    const [meter] = await asSuperuser<{ id: string }>(
      "select id from meters where tenant_id = $1 and slug = 'api_calls'",
      [acme.id],
    )
    expect((await track({ meter_id: meter?.id, user_id: user })).body.inserted).toBe(1)
    const [foreign] = await asSuperuser<{ id: string }>(
      "select id from meters where tenant_id = $1 and slug = 'api_calls'",
      [globex.id],
    )
    expect((await track({ meter_id: foreign?.id, user_id: user })).body.rejected).toEqual([
      expect.objectContaining({ code: 'unknown_meter' }),
    ])
  })
})

describe('counted once', () => {
  test('the same event again is a success that counts nothing', async () => {
    const user = newName('user')
    const once = event(user, { event_id: newName('id'), event_value: 4, properties: { a: 1 } })
    expect((await track(once)).body).toMatchObject({ inserted: 1, duplicates: 0 })
    expect((await track(once)).body).toMatchObject({ inserted: 0, duplicates: 1, rejected: [] })
    expect((await track({ ...once, event_value: '4.0' })).body).toMatchObject({ duplicates: 1 })
    expect((await check(user, 'api_calls', 0)).body.used).toBe(4)
  })

  test('other content under the same id is a conflict, whatever differs', async () => {
    const user = newName('user')
    const event_id = newName('id')
    await track(event(user, { event_id, event_value: 4 }))
    for (const other of [
      event(user, { event_id, event_value: 5 }),
      event(newName('user'), { event_id, event_value: 4 }),
      { ...event(user, { event_id, event_value: 4 }), meter_id: 'uploads' },
      event(user, { event_id, event_value: 4, properties: { a: 1 } }),
      event(user, { event_id, event_value: 4, timestamp: new Date(Date.now() - 60_000).toISOString() }),
    ]) {
      expect((await track(other)).body).toMatchObject({
        inserted: 0,
        duplicates: 0,
        rejected: [{ index: 0, code: 'conflict' }],
      })
    }
    expect((await check(user, 'api_calls', 0)).body.used).toBe(4)
  })

  test('an id is one per source', async () => {
    const user = newName('user')
    const event_id = newName('id')
    await track(event(user, { event_id }))
    expect((await track(event(user, { event_id, source: 'billing' }))).body.inserted).toBe(1)
    expect((await track(event(user, { event_id, source: 'billing' }))).body.duplicates).toBe(1)
  })

  test('repetitions within one batch do not poison it', async () => {
    const user = newName('user')
    const event_id = newName('id')
    const answer = await track([
      event(user, { event_id }),
      event(user),
      event(user, { event_id }),
      event(user, { event_id, event_value: 9 }),
    ])
    expect(answer.body).toMatchObject({ inserted: 2, duplicates: 1, rejected: [{ index: 3, code: 'conflict' }] })
    expect((await check(user, 'api_calls', 0)).body.used).toBe(2)
  })

  test('an Idempotency-Key makes a request without ids safe to repeat', async () => {
    const user = newName('user')
    const headers = { 'idempotency-key': newName('key') }
    const body = [event(user), event(user, { meter_id: 'nothing' })]
    const first = await track(body, { headers })
    const again = await track(body, { headers })
    expect(again.body).toEqual(first.body)
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect((await check(user, 'api_calls', 0)).body.used).toBe(1)
    const other = await track([event(user, { event_value: 2 })], { headers })
    expect(other).toMatchObject({ status: 422, body: { code: 'idempotency_mismatch' } })
  })

  test('after a day the key is as good as new, whether or not it was swept', async () => {
    const user = newName('user')
    const key = newName('key')
    const send = (event_value: number) => track([event(user, { event_value })], { headers: { 'idempotency-key': key } })
    const age = (hours: number) =>
      asSuperuser('update idempotency_keys set created_at = now() - make_interval(hours => $1) where key = $2', [
        hours,
        nameOfKey(key),
      ])
    await send(1)
    await age(23)
    expect((await send(1)).headers.get('idempotent-replayed')).toBe('true')
    await age(25)
    const answers = await Promise.all(Array.from({ length: 10 }, () => send(3)))
    expect(answers.map(({ status, body }) => [status, body.inserted])).toEqual(answers.map(() => [200, 1]))
    expect(answers.filter(({ headers }) => headers.get('idempotent-replayed') === null)).toHaveLength(1)
    expect((await check(user, 'api_calls', 0)).body.used).toBe(4)
  })

  test('sent twenty times at once it counts once', async () => {
    const user = newName('user')
    const body = Array.from({ length: 25 }, () => event(user, { event_id: newName('id') }))
    const answers = await Promise.all(Array.from({ length: 20 }, () => track(body)))
    expect(answers.reduce((sum, { body: { inserted } }) => sum + inserted, 0)).toBe(25)
    expect(
      answers.every(({ status, body: answer }) => status === 200 && answer.inserted + answer.duplicates === 25),
    ).toBe(true)
    expect((await check(user, 'api_calls', 0)).body.used).toBe(25)
  })

  test('an event of a month gone by is recognised as well', async () => {
    const user = newName('user')
    const event_id = newName('id')
    const old = event(user, { event_id, event_value: 3 })
    await track(old)
    await asSuperuser(
      "create table if not exists usage_events_past partition of usage_events for values from ('2001-01-01') to ('2002-01-01')",
    )
    await asSuperuser(`update usage_events set received_month = '2001-01-01' where tenant_id = $1 and event_id = $2`, [
      acme.id,
      event_id,
    ])
    expect((await track(old)).body).toMatchObject({ inserted: 0, duplicates: 1 })
    expect((await track({ ...old, event_value: 4 })).body).toMatchObject({
      inserted: 0,
      rejected: [{ code: 'conflict' }],
    })
  })
})

describe('what is refused', () => {
  const far = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString()
  const bad: [string, string, unknown][] = [
    ['a text', 'invalid_event', 'api_calls'],
    ['null', 'invalid_event', null],
    ['a list', 'invalid_event', []],
    ['no meter', 'invalid_meter_id', { user_id: 'x' }],
    ['a meter that is not there', 'unknown_meter', { meter_id: 'nothing', user_id: 'x' }],
    ['no user', 'invalid_user_id', { meter_id: 'api_calls' }],
    ['an empty user', 'invalid_user_id', event('')],
    ['a user with a line feed', 'invalid_user_id', event('a\nb')],
    ['an object for a user', 'invalid_user_id', { meter_id: 'api_calls', user_id: {} }],
    ['text for a value', 'invalid_value', event('x', { event_value: 'many' })],
    ['NaN', 'invalid_value', event('x', { event_value: 'NaN' })],
    ['Infinity', 'invalid_value', event('x', { event_value: 'Infinity' })],
    ['null for a value', 'invalid_value', event('x', { event_value: null })],
    ['a list for a value', 'invalid_value', event('x', { event_value: [1] })],
    ['400 digits', 'invalid_value', event('x', { event_value: '9'.repeat(400) })],
    ['1e300', 'invalid_value', event('x', { event_value: 1e300 })],
    ['a negative value', 'negative_value', event('x', { event_value: -1 })],
    ['a list of properties', 'invalid_properties', event('x', { properties: ['a'] })],
    ['a nested property', 'invalid_properties', event('x', { properties: { a: { b: 1 } } })],
    ['a property of 100 levels', 'invalid_properties', event('x', { properties: { a: nested(100) } })],
    ['a long property', 'invalid_properties', event('x', { properties: { a: 'x'.repeat(9_000) } })],
    ['an empty id', 'invalid_event_id', event('x', { event_id: '' })],
    ['a number for a source', 'invalid_source', event('x', { source: 7 })],
    ['a time without a zone', 'invalid_timestamp', event('x', { timestamp: '2026-11-01T00:00:00' })],
    ['the 30th of February', 'invalid_timestamp', event('x', { timestamp: '2027-02-30T00:00:00Z' })],
    ['a word for a time', 'invalid_timestamp', event('x', { timestamp: 'yesterday' })],
    ['a time long gone', 'timestamp_too_old', event('x', { timestamp: far(-36) })],
    ['a time to come', 'timestamp_in_future', event('x', { timestamp: far(0.01) })],
    ['an unknown field', 'unknown_field', event('x', { amount: 3 })],
  ]
  test.each(bad)('%s: %s', async (_name, code, wrong) => {
    const user = newName('neighbour')
    const answer = await track([event(user), wrong, event(user)])
    expect(answer).toMatchObject({ status: 200, body: { inserted: 2, duplicates: 0 } })
    expect(answer.body.rejected).toEqual([expect.objectContaining({ index: 1, code, detail: expect.any(String) })])
    expect((await check(user, 'api_calls', 0)).body.used).toBe(2)
  })

  test('a number of 400 digits is refused alone', async () => {
    const user = newName('user')
    const text = `[${JSON.stringify(event(user))},{"meter_id":"api_calls","user_id":"x","event_value":${'9'.repeat(400)}}]`
    expect((await track(text)).body).toMatchObject({ inserted: 1, rejected: [{ index: 1, code: 'invalid_value' }] })
  })

  test('times at the very edges are taken', async () => {
    const user = newName('user')
    const at = [
      far(-34.9),
      Math.floor(Date.now() / 1000) - 60,
      Date.now() - 60_000,
      String(Date.now() - 1000),
      far(0.003),
    ]
    expect((await track(at.map((timestamp) => event(user, { timestamp })))).body).toMatchObject({
      inserted: 5,
      rejected: [],
    })
  })

  test('all or nothing with strict', async () => {
    const user = newName('user')
    for (const wrong of [event(user, { event_value: 'many' }), event(user, { meter_id: 'nothing' })]) {
      const answer = await track([event(user), wrong], { query: '?strict=true' })
      expect(answer).toMatchObject({
        status: 422,
        body: { code: 'invalid_input', rejected: [{ index: 1 }], errors: [{ pointer: '/1' }] },
      })
    }
    expect((await check(user, 'api_calls', 0)).body.used).toBe(0)
    expect((await track([event(user), event(user)], { query: '?strict=true' })).body).toMatchObject({ inserted: 2 })
  })

  test('what cannot be read is answered with a problem document', async () => {
    const cases: [number, unknown, Record<string, string>][] = [
      [400, '{"meter_id":', {}],
      [400, '', {}],
      [415, 'meter_id=api_calls', { 'content-type': 'application/x-www-form-urlencoded' }],
      [415, '{}', { 'content-encoding': 'br' }],
      [400, '{}', { 'content-encoding': 'gzip' }],
      [413, ' '.repeat(1_100_000), {}],
      [413, new Uint8Array(gzipSync(Buffer.alloc(50_000_000, 32))), { 'content-encoding': 'gzip' }],
      [422, [], {}],
      [422, { events: 'none' }, {}],
      [422, { events: [event('x')], strict: true }, {}],
      [422, Array.from({ length: 1_001 }, () => event('x')), {}],
    ]
    for (const [status, body, headers] of cases) {
      const answer = await track(body, { headers })
      expect(answer.status).toBe(status)
      expect(answer.headers.get('content-type')).toBe('application/problem+json')
    }
    const twice = await track([event('x')], { query: '?strict=true&strict=false' })
    expect(twice.body.errors).toEqual([{ pointer: '/strict', detail: 'is there more than once' }])
  })

  test('text that cannot be kept refuses its event alone', async () => {
    for (const user of ['"a\\u0000b"', '"a\\ud800"']) {
      const answer = await track(
        `[{"meter_id":"api_calls","user_id":${user}},{"meter_id":"api_calls","user_id":"kept"}]`,
      )
      expect(answer).toMatchObject({ status: 200, body: { inserted: 1, rejected: [{ index: 0 }] } })
    }
  })

  test('refused events can be seen, with the reason', async () => {
    const user = newName('seen')
    await track([event(user, { event_value: 'many' }), event(user, { meter_id: 'nothing' })])
    const answer = await call(getRejections, 'GET', '/api/v1/usage/rejections?limit=2', {
      as: acme.users.admin,
      tenant: acme,
    })
    expect(answer.body.data.map(({ code, event: kept }: { code: string; event: object }) => [code, kept])).toEqual(
      expect.arrayContaining([
        ['invalid_value', event(user, { event_value: 'many' })],
        ['unknown_meter', event(user, { meter_id: 'nothing', event_value: '1' })],
      ]),
    )
    expect(answer.body.next_cursor).toEqual(expect.any(String))
    const elsewhere = await call(getRejections, 'GET', '/api/v1/usage/rejections', {
      as: globex.users.admin,
      tenant: globex,
    })
    expect(elsewhere.body.data).toEqual([])
  })
})

describe('caps', () => {
  test('a hard cap refuses what would pass it, and lets in what still fits', async () => {
    const user = await newCustomer('small')
    const answer = await track([
      event(user, { event_value: 60 }),
      event(user, { event_value: 60 }),
      event(user, { event_value: 40 }),
    ])
    expect(answer.body).toMatchObject({ inserted: 2, usage: [{ used: 100, limit: 100, remaining: 0, overage: 0 }] })
    expect(answer.body.rejected).toEqual([
      expect.objectContaining({
        index: 1,
        code: 'usage_exceeded',
        limit: 100,
        used: 60,
        remaining: 40,
        reset_at: expect.any(String),
      }),
    ])
    const asked = await check(user, 'api_calls')
    expect(asked.status).toBe(200)
    expect(asked.body).toMatchObject({
      allowed: false,
      code: 'USAGE_EXCEEDED',
      limit: 100,
      used: 100,
      remaining: 0,
      overage: 0,
    })
    expect(asked.body.upgrade.next_tiers.map(({ slug }: { slug: string }) => slug)).toContain('large')
    expect(new Date(asked.body.reset_at).getTime()).toBeGreaterThan(Date.now())
  })

  test('a soft cap counts the overage apart', async () => {
    const user = await newCustomer('soft')
    expect((await track(event(user, { event_value: 12 }))).body).toMatchObject({
      inserted: 1,
      usage: [{ used: 12, remaining: 0, overage: 2 }],
    })
    expect((await check(user, 'api_calls')).body).toMatchObject({ allowed: true, code: 'VALID', used: 12, overage: 2 })
  })

  test('a daily cap holds for the day, and counts events where the meter does', async () => {
    const user = await newCustomer('daily')
    const upload = { meter_id: 'uploads', user_id: user, event_value: 50 }
    expect((await track([upload, upload, upload, upload])).body).toMatchObject({
      inserted: 3,
      rejected: [{ index: 3, code: 'usage_exceeded' }],
    })
    const yesterday = { ...upload, timestamp: new Date(Date.now() - 86_400_000).toISOString() }
    expect((await track(yesterday)).body).toMatchObject({ inserted: 1 })
  })

  test('questions asked at one moment are each answered, equal ones and those that look alike', async () => {
    const [some, other] = [newName('asks'), newName('asks')]
    const names = [some, `${some} 1`, `1 ${some}`, other]
    expect((await track(names.map((name, index) => event(name, { event_value: index + 1 })))).status).toBe(200)
    expect((await track([event(`${some} 1`, { meter_id: 'uploads' })])).status).toBe(200)
    const asked = Array.from({ length: 60 }, (_, index) => index % 6)
    const answers = await Promise.all(
      asked.map((at) => {
        if (at === 4) return check(`${some} 1`, 'uploads', 0)
        return at === 5 ? check(some, 'nothing', 0) : check(names[at] ?? '', 'api_calls', 0)
      }),
    )
    const used = [1, 2, 3, 4, 1, 0]
    for (const [index, { body }] of answers.entries()) {
      const at = asked[index] ?? 0
      expect(body).toMatchObject({ allowed: at !== 5, used: used[at] })
    }
    expect((await track([event(some)])).status).toBe(200)
    expect((await check(some, 'api_calls', 0)).body.used).toBe(2)
  })

  test('a check is a look with amount 0, and asks for any decimal', async () => {
    const user = await newCustomer('small')
    await track(event(user, { event_value: 99.5 }))
    expect((await check(user, 'api_calls', 0)).body).toMatchObject({ allowed: true, remaining: 0.5 })
    expect((await check(user, 'api_calls', '0.5')).body).toMatchObject({ allowed: true })
    expect((await check(user, 'api_calls', 0.51)).body).toMatchObject({ allowed: false })
    await track(event(user, { event_value: 0.5 }))
    expect((await check(user, 'api_calls', 0)).body).toMatchObject({ allowed: false, code: 'USAGE_EXCEEDED' })
  })

  test('what is not there is an answer, not an error', async () => {
    expect((await check('whoever', 'nothing')).body).toMatchObject({ allowed: false, code: 'NOT_FOUND' })
    expect((await check(newName('unseen'), 'api_calls')).body).toMatchObject({ allowed: true, code: 'VALID', used: 0 })
  })

  test.each([-1, 'many', Number.NaN, {}, null, '1e5'])('an amount of %s is invalid', async (amount) => {
    expect((await check('x', 'api_calls', amount)).status).toBe(422)
  })

  test('hold to the last unit when everybody writes at once', async () => {
    const user = await newCustomer('small')
    const answers = await Promise.all(
      Array.from({ length: 60 }, () => track([event(user), event(user, { event_value: 2 })])),
    )
    const inserted = answers.flatMap(({ body }) => body.inserted).reduce((sum, count) => sum + count, 0)
    const refused = answers.flatMap(({ body }) => body.rejected)
    expect(inserted + refused.length).toBe(120)
    expect((await check(user, 'api_calls', 0)).body).toMatchObject({ used: 100, remaining: 0, overage: 0 })
  })
})

describe('customers at first sight', () => {
  test('can be switched off, and every change is recorded', async () => {
    const tenant = await createTenant('closed')
    await arrange(tenant)
    const as = tenant.users.admin
    const patch = (body: object, who = as) =>
      call(patchSettings, 'PATCH', '/api/v1/usage/settings', { as: who, tenant, body })
    expect((await patch({ creates_customers: false }, tenant.users.member)).status).toBe(403)
    expect((await patch({ creates_customers: 'no' })).status).toBe(422)
    expect((await patch({ creates_customers: false })).body).toMatchObject({
      creates_customers: false,
      accepts_late_days: 35,
    })
    expect((await call(getSettings, 'GET', '/api/v1/usage/settings', { as, tenant })).body.creates_customers).toBe(
      false,
    )
    const answer = await track([event('new'), event('customer-1')], { as: tenant.api_key })
    expect(answer.body).toMatchObject({ inserted: 1, rejected: [{ index: 0, code: 'unknown_customer' }] })
    expect((await check('new', 'api_calls', 1, tenant.api_key)).body.code).toBe('NOT_FOUND')
    const logged = await asSuperuser(
      "select 1 from audit_logs where tenant_id = $1 and action like 'usage_settings.%'",
      [tenant.id],
    )
    expect(logged).toHaveLength(1)
  })

  test('of two who change two settings at once neither undoes the other', async () => {
    const tenant = await createTenant('two-hands')
    const patch = async (body: object) =>
      (await call(patchSettings, 'PATCH', '/api/v1/usage/settings', { as: tenant.users.admin, tenant, body })).body
    await patch({ accepts_early_seconds: 60 })
    const off = `update usage_settings set creates_customers = false where tenant_id = '${tenant.id}'`
    const late = await whileLocked(off, () => patch({ accepts_late_days: 60 }))
    expect(late).toEqual({ creates_customers: false, accepts_late_days: 60, accepts_early_seconds: 60 })
  })

  test('no customer is made for an event that is refused', async () => {
    const user = newName('ghost')
    await track(event(user, { meter_id: 'nothing' }))
    expect(
      await asSuperuser('select 1 from customers where tenant_id = $1 and external_id = $2', [acme.id, user]),
    ).toEqual([])
  })
})

describe('state of the tenant', () => {
  test('the first event opens a tenant that is pending', async () => {
    const tenant = await createTenant('opening', { active: false })
    await arrange(tenant)
    expect((await track(event('first'), { as: tenant.api_key })).body.inserted).toBe(1)
    const [row] = await asSuperuser<{ status: string }>('select status from tenants where id = $1', [tenant.id])
    expect(row?.status).toBe('active')
  })
  test.each([
    ['suspended', 423],
    ['read_only', 423],
  ])('%s: %i', async (status, answered) => {
    const tenant = await createTenant(`state-${status.replace('_', '-')}`)
    await arrange(tenant)
    expect((await track(event('x'), { as: tenant.api_key })).body.inserted).toBe(1)
    await setStatus(tenant, status)
    expect((await track(event('x'), { as: tenant.api_key })).status).toBe(answered)
    await setStatus(tenant, 'active')
    expect((await track(event('x'), { as: tenant.api_key })).body.inserted).toBe(1)
  })
})

describe('in code', () => {
  test('trackUsage and checkUsageEnforcement after setTenantContext', async () => {
    const user = newName('user')
    await setTenantContext(acme.id)
    expect(
      await TenantUsageTrackingService.trackUsage({ meter_id: 'api_calls', user_id: user, event_value: 3 }),
    ).toMatchObject({ inserted: 1 })
    expect(await TenantUsageTrackingService.checkUsageEnforcement(user, 'api_calls', 5)).toMatchObject({
      allowed: true,
      used: 3,
    })
  })

  test('within a transaction they are part of it', async () => {
    const user = newName('user')
    const before = await sumsOf(acme)
    await expect(
      runInTenant(acme.id, systemActor(), async () => {
        await TenantUsageTrackingService.trackUsage({ meter_id: 'api_calls', user_id: user, event_value: 3 })
        expect(await TenantUsageTrackingService.checkUsageEnforcement(user, 'api_calls', 0)).toMatchObject({ used: 3 })
        throw new Error('changed my mind')
      }),
    ).rejects.toThrow('changed my mind')
    expect(await sumsOf(acme)).toEqual(before)
    await runInTenant(acme.id, systemActor(), () =>
      TenantUsageTrackingService.trackUsage({ meter_id: 'api_calls', user_id: user, event_value: 3 }),
    )
    expect((await check(user, 'api_calls', 0)).body.used).toBe(3)
  })
})

describe('reports', () => {
  const admin = () => ({ as: reporting.users.admin, tenant: reporting })
  let reporting: TestTenant
  const day = (ago: number) => new Date(Date.now() - ago * 86_400_000).toISOString().slice(0, 10)
  beforeAll(async () => {
    reporting = await createTenant('reporting', { time_zone: 'Europe/Berlin' })
    await arrange(reporting)
    const at = (ago: number) => `${day(ago)}T12:00:00Z`
    await track(
      [
        event('a', { event_value: 10, timestamp: at(1) }),
        event('a', { event_value: 5, timestamp: at(2) }),
        event('b', { event_value: 7, timestamp: at(2) }),
        event('b', { event_value: 100, timestamp: at(33) }),
        { meter_id: 'uploads', user_id: 'b', event_value: 9, timestamp: at(3) },
      ],
      { as: reporting.api_key },
    )
  })

  test('totals by meter and by customer, for one customer, over ranges', async () => {
    const usage = async (query: string) => (await call(getUsage, 'GET', `/api/v1/usage${query}`, admin())).body
    const all = await usage('?timeRange=30d')
    expect(all.time_zone).toBe('Europe/Berlin')
    expect(
      all.data.map(({ meter, used, events }: { meter: { slug: string }; used: number; events: number }) => [
        meter.slug,
        used,
        events,
      ]),
    ).toEqual([
      ['api_calls', 22, 3],
      ['uploads', 1, 1],
    ])
    expect((await usage('?time_range=90d&meter=api_calls')).data[0].used).toBe(122)
    const people = await usage('?timeRange=30d&group_by=customer&meter=api_calls')
    expect(
      people.data.map(({ customer, used }: { customer: { external_id: string }; used: number }) => [
        customer.external_id,
        used,
      ]),
    ).toEqual([
      ['a', 15],
      ['b', 7],
    ])
    expect((await usage('?timeRange=30d&customer=b&meter=api_calls')).data[0].used).toBe(7)
    expect((await usage(`?from=${day(2)}&to=${day(1)}&meter=api_calls`)).data[0].used).toBe(12)
    // Part of a day: from noon on, the second before is not in it.
    expect((await usage(`?from=${day(2)}T12:00:00Z&to=${day(2)}T12:00:01Z&meter=api_calls`)).data[0].used).toBe(12)
    expect((await usage(`?from=${day(2)}T11:00:00Z&to=${day(2)}T12:00:00Z&meter=api_calls`)).data).toEqual([])
    expect((await usage(`?from=${day(2)}T12:00:00Z&to=${day(0)}&meter=api_calls`)).data[0].used).toBe(22)
  })

  test('days, with and without the empty ones', async () => {
    const daily = async (query: string) => (await call(getDaily, 'GET', `/api/v1/usage/daily${query}`, admin())).body
    const days = await daily('?timeRange=7d&meter=api_calls')
    expect(days.data).toEqual([
      { day: day(2), meter: 'api_calls', used: 12, events: 2 },
      { day: day(1), meter: 'api_calls', used: 10, events: 1 },
    ])
    expect((await daily('?timeRange=7d&meter=api_calls&fill=true')).data).toHaveLength(7)
    const people = await daily('?timeRange=7d&group_by=customer')
    expect(people.data).toContainEqual({ day: day(2), meter: 'api_calls', customer: 'b', used: 7, events: 1 })
    expect(people.meters.map(({ slug }: { slug: string }) => slug)).toEqual(['api_calls', 'credits', 'uploads'])
  })

  test('trends against the range before and the same one last year', async () => {
    const answer = await call(getTrends, 'GET', '/api/v1/usage/trends?timeRange=30d&meter=api_calls', admin())
    const [trend] = answer.body.data
    expect(trend).toMatchObject({ current: 22, previous: 100, last_year: 0, change_percent: -78, cap_hit_on: null })
    expect(trend.forecast.used).toBeGreaterThanOrEqual(0)
    expect(answer.body.previous.to).toBe(answer.body.from)
  })

  test('events, newest first, page by page', async () => {
    const list = async (query: string) => (await call(getEvents, 'GET', `/api/v1/usage/events${query}`, admin())).body
    const first = await list('?limit=3')
    const rest = await list(`?limit=3&cursor=${encodeURIComponent(first.next_cursor)}`)
    const ids = [...first.data, ...rest.data].map(({ id }: { id: string }) => id)
    expect(new Set(ids).size).toBe(5)
    expect(rest.next_cursor).toBeNull()
    expect((await list('?customer=a')).data.map(({ value }: { value: number }) => value).sort()).toEqual([10, 5])
  })

  test.each([
    '?from=2026-01-02&to=2026-01-01',
    '?from=2026-02-31',
    '?to=2026-01-01',
    '?timeRange=31d',
    '?timeRange=30d&from=2026-01-01',
    '?from=1990-01-01',
    '?from=0001-01-01&to=0001-01-05',
    '?from=9999-12-30&to=9999-12-31',
    '?nothing=1',
  ])('%s is invalid', async (query) => {
    expect((await call(getUsage, 'GET', `/api/v1/usage${query}`, admin())).status).toBe(422)
  })
  test('filters by what is not there find nothing', async () => {
    expect((await call(getUsage, 'GET', '/api/v1/usage?meter=nothing', admin())).status).toBe(404)
    const named = (meter: string) => call(getUsage, 'GET', `/api/v1/usage?meter=${meter}`, admin())
    expect((await named('API_CALLS')).body.data).toEqual((await named('api_calls')).body.data)
    expect((await call(getEvents, 'GET', '/api/v1/usage/events?cursor=x', admin())).status).toBe(400)
  })
})

test('after all of this every way of counting agrees', async () => {
  for (const tenant of [acme, globex]) {
    const sums = await sumsOf(tenant)
    expect(Number(sums.events)).toBeGreaterThan(0)
    expect([sums.day, sums.month, sums.totals].map(Number)).toEqual([sums.total, sums.total, sums.total].map(Number))
  }
})
