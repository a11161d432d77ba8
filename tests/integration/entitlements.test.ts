// What a single customer may use: its own entitlements beside and instead of its tier's, grants, and the balance they make.
import { beforeAll, describe, expect, test } from 'vitest'
import { GET as getHistory } from '@/app/api/v1/customers/[id]/balance/history/route'
import { GET as getBalance } from '@/app/api/v1/customers/[id]/balance/route'
import {
  DELETE as cancelOne,
  GET as getOne,
  PUT as putOne,
} from '@/app/api/v1/customers/[id]/entitlements/[feature]/route'
import { GET as getValue } from '@/app/api/v1/customers/[id]/entitlements/[feature]/value/route'
import { GET as listAll, POST as postOne } from '@/app/api/v1/customers/[id]/entitlements/route'
import { GET as getGrant, DELETE as voidGrant } from '@/app/api/v1/customers/[id]/grants/[grant]/route'
import { GET as listGrants, POST as postGrant } from '@/app/api/v1/customers/[id]/grants/route'
import { PATCH as patchCustomer } from '@/app/api/v1/customers/[id]/route'
import { PUT as putSubscription } from '@/app/api/v1/customers/[id]/subscription/route'
import { POST as postCustomer } from '@/app/api/v1/customers/route'
import { POST as postMeter } from '@/app/api/v1/meters/route'
import { GET as getOverview } from '@/app/api/v1/portal/overview/route'
import { POST as postTier } from '@/app/api/v1/tiers/route'
import { POST as checkRoute } from '@/app/api/v1/usage/check/route'
import { POST as trackRoute } from '@/app/api/v1/usage/track/route'
import { asSuperuser, call, createApiKey, createWorld, type RequestOptions } from '../support/world'

const { acme, globex, stranger } = await createWorld()
const admin = { as: acme.users.admin, tenant: acme }
const at = (id: string, rest: string) => `/api/v1/customers/${id}/${rest}`
const list = (id: string, options: RequestOptions = admin) =>
  call(listAll, 'GET', at(id, 'entitlements'), { ...options, params: { id } })
const create = (id: string, body: unknown, options: RequestOptions = admin) =>
  call(postOne, 'POST', at(id, 'entitlements'), { ...options, body, params: { id } })
const one = (id: string, feature: string, options: RequestOptions = admin) =>
  call(getOne, 'GET', at(id, `entitlements/${feature}`), { ...options, params: { id, feature } })
const replace = (id: string, feature: string, body: unknown, options: RequestOptions = admin) =>
  call(putOne, 'PUT', at(id, `entitlements/${feature}`), { ...options, body, params: { id, feature } })
const cancel = (id: string, feature: string, options: RequestOptions = admin) =>
  call(cancelOne, 'DELETE', at(id, `entitlements/${feature}`), { ...options, params: { id, feature } })
const value = (id: string, feature: string, options: RequestOptions = admin) =>
  call(getValue, 'GET', at(id, `entitlements/${feature}/value`), { ...options, params: { id, feature } })
const grant = (id: string, body: unknown, options: RequestOptions = admin) =>
  call(postGrant, 'POST', at(id, 'grants'), { ...options, body, params: { id } })
const grants = (id: string, query = '', options: RequestOptions = admin) =>
  call(listGrants, 'GET', at(id, `grants${query}`), { ...options, params: { id } })
const readGrant = (id: string, grant: string, options: RequestOptions = admin) =>
  call(getGrant, 'GET', at(id, `grants/${grant}`), { ...options, params: { id, grant } })
const withdraw = (id: string, grant: string, options: RequestOptions = admin) =>
  call(voidGrant, 'DELETE', at(id, `grants/${grant}`), { ...options, params: { id, grant } })
const balance = (id: string, meter = 'tokens', options: RequestOptions = admin) =>
  call(getBalance, 'GET', at(id, `balance?meter=${meter}`), { ...options, params: { id } })
const history = (id: string, query = '?meter=tokens', options: RequestOptions = admin) =>
  call(getHistory, 'GET', at(id, `balance/history${query}`), { ...options, params: { id } })
const track = (user_id: string, event_value: number, meter_id = 'tokens') =>
  call(trackRoute, 'POST', '/api/v1/usage/track', { as: acme.api_key, body: { meter_id, user_id, event_value } })
const check = (user_id: string, amount: number, meter_id = 'tokens') =>
  call(checkRoute, 'POST', '/api/v1/usage/check', { as: acme.api_key, body: { meter_id, user_id, amount } })
const subscribe = (id: string, body: unknown) =>
  call(putSubscription, 'PUT', at(id, 'subscription'), { ...admin, body, params: { id } })
let made = 0
const newCustomer = async (tier: string | null = 'basic') => {
  made += 1
  const external_id = `entitled-${made}`
  await call(postCustomer, 'POST', '/api/v1/customers', { ...admin, body: { external_id, tier } })
  return external_id
}
const pointers = ({ body }: { body: { errors?: { pointer: string }[] } }) => body.errors?.map(({ pointer }) => pointer)

beforeAll(async () => {
  for (const [slug, aggregation] of [
    ['tokens', 'SUM'],
    ['calls', 'COUNT'],
    ['peak', 'MAX'],
    ['free', 'SUM'],
  ])
    await call(postMeter, 'POST', '/api/v1/meters', { ...admin, body: { name: slug, slug, aggregation } })
  await call(postTier, 'POST', '/api/v1/tiers', {
    ...admin,
    body: {
      name: 'Basic',
      usage_caps: { tokens: 100, calls: { limit: 10, behaviour: 'soft' }, peak: 50 },
      feature_entitlements: ['reports', { key: 'seats', config: { included: 3 } }],
    },
  })
  await call(postTier, 'POST', '/api/v1/tiers', { ...admin, body: { name: 'Big', usage_caps: { tokens: 1000 } } })
  await call(postTier, 'POST', '/api/v1/tiers', { ...admin, body: { name: 'Unlimited', usage_caps: {} } })
})

describe('who may', () => {
  test.each([
    ['nobody', { tenant: acme }, 401],
    ['a stranger', { as: stranger, tenant: acme }, 404],
    ['a member of another tenant', { as: globex.users.owner, tenant: acme }, 404],
    ['a customer', { as: acme.users.customer, tenant: acme }, 403],
  ] as [string, RequestOptions, number][])('%s: %s', async (_who, options, status) => {
    const id = acme.customer.id
    const answers = await Promise.all([
      list(id, options),
      create(id, { kind: 'boolean', feature_key: 'x' }, options),
      one(id, 'x', options),
      replace(id, 'x', {}, options),
      cancel(id, 'x', options),
      value(id, 'x', options),
      grant(id, { meter: 'tokens', amount: 1 }, options),
      grants(id, '', options),
      readGrant(id, 'x', options),
      withdraw(id, 'x', options),
      balance(id, 'tokens', options),
      history(id, '?meter=tokens', options),
    ])
    expect(answers.map((answer) => answer.status)).toEqual(answers.map(() => status))
  })
  test('a customer of another tenant is not there', async () => {
    for (const answer of [
      await list(globex.customer.id),
      await create(globex.customer.id, { kind: 'boolean', feature_key: 'x' }),
      await grant(globex.customer.id, { meter: 'tokens', amount: 1 }),
      await balance(globex.customer.id),
    ])
      expect(answer).toMatchObject({ status: 404, body: { code: 'not_found' } })
  })
  test('a key that may only read customers reads, and changes nothing', async () => {
    const id = await newCustomer()
    await track(id, 40)
    const { key } = await createApiKey(acme, ['customers:read'])
    expect((await value(id, 'tokens', { as: key })).body).toMatchObject({ usage: 40, balance: 60 })
    expect((await grant(id, { meter: 'tokens', amount: 1 }, { as: key })).status).toBe(403)
  })
})

describe('entitlements', () => {
  test('of the tier are all there is at first', async () => {
    const id = await newCustomer()
    const { body } = await list(id)
    expect(body.features).toEqual([
      { key: 'reports', config: null },
      { key: 'seats', config: { included: 3 } },
    ])
    expect(
      body.entitlements.map((each: { feature_key: string; kind: string; source: string; limit: unknown }) => each),
    ).toEqual([
      expect.objectContaining({
        feature_key: 'calls',
        kind: 'metered',
        source: 'tier',
        limit: 10,
        behaviour: 'overflow',
      }),
      expect.objectContaining({ feature_key: 'peak', kind: 'metered', source: 'tier', limit: 50 }),
      expect.objectContaining({ feature_key: 'reports', kind: 'boolean', source: 'tier', has_access: true }),
      expect.objectContaining({ feature_key: 'seats', kind: 'static', source: 'tier', config: { included: 3 } }),
      expect.objectContaining({
        feature_key: 'tokens',
        limit: 100,
        usage: 0,
        balance: 100,
        overage: 0,
        granted: 100,
        held: 0,
      }),
    ])
  })

  test('boolean and static ones of its own stand beside and before the tier', async () => {
    const id = await newCustomer()
    expect(await create(id, { kind: 'boolean', feature_key: 'sso' })).toMatchObject({
      status: 201,
      body: { feature_key: 'sso', kind: 'boolean', source: 'customer', has_access: true, config: null },
    })
    expect(await create(id, { kind: 'static', feature_key: 'seats', config: { included: 9 } })).toMatchObject({
      status: 201,
    })
    expect(await create(id, { kind: 'boolean', feature_key: 'sso' })).toMatchObject({ status: 409 })
    expect((await list(id)).body.features).toEqual([
      { key: 'reports', config: null },
      { key: 'seats', config: { included: 9 } },
      { key: 'sso', config: null },
    ])
    expect((await value(id, 'seats')).body).toMatchObject({ has_access: true, config: { included: 9 } })
    expect((await replace(id, 'seats', { config: { included: 10 } })).body.config).toEqual({ included: 10 })
    expect((await cancel(id, 'seats')).status).toBe(204)
    expect((await one(id, 'seats')).body).toMatchObject({ source: 'tier', config: { included: 3 } })
    expect((await cancel(id, 'seats')).status).toBe(404)
    expect((await replace(id, 'reports', {})).status).toBe(404)
    expect((await value(id, 'nobody_knows')).body).toMatchObject({ has_access: false, balance: null })
    expect((await one(id, 'nobody_knows')).status).toBe(404)
  })

  test('one whose key is what the meter of another is called is itself', async () => {
    const id = await newCustomer()
    expect((await create(id, { kind: 'metered', meter: 'tokens', feature_key: 'answers', limit: 5 })).status).toBe(201)
    const named = { feature_key: 'tokens', kind: 'boolean', source: 'customer' }
    expect(await create(id, { kind: 'boolean', feature_key: 'tokens' })).toMatchObject({ status: 201, body: named })
    expect((await one(id, 'tokens')).body).toMatchObject(named)
    expect((await cancel(id, 'tokens')).status).toBe(204)
    expect((await one(id, 'tokens')).body).toMatchObject({ feature_key: 'answers', kind: 'metered' })
  })

  test('a metered one holds for the very next event, and gives way again', async () => {
    const id = await newCustomer()
    await track(id, 100)
    expect((await track(id, 1)).body.rejected).toHaveLength(1)
    expect((await value(id, 'tokens')).body).toMatchObject({ has_access: false, usage: 100, balance: 0 })
    expect(await create(id, { kind: 'metered', meter: 'tokens', limit: '150.5' })).toMatchObject({
      status: 201,
      body: { feature_key: 'tokens', limit: 150.5, usage: 100, balance: 50.5, source: 'customer' },
    })
    expect((await check(id, 50)).body).toMatchObject({ allowed: true, limit: 150.5, used: 100 })
    expect((await track(id, 50)).body.inserted).toBe(1)
    expect((await replace(id, 'tokens', { limit: 120, behaviour: 'soft' })).body).toMatchObject({
      overage: 30,
      balance: 0,
      has_access: true,
    })
    expect((await track(id, 5)).body.inserted).toBe(1)
    await cancel(id, 'tokens')
    expect((await one(id, 'tokens')).body).toMatchObject({ source: 'tier', limit: 100, usage: 155, overage: 55 })
    expect((await track(id, 1)).body.rejected).toHaveLength(1)
  })

  test('each change is in the record', async () => {
    const id = await newCustomer()
    await create(id, { kind: 'boolean', feature_key: 'audited' })
    await replace(id, 'audited', {})
    await cancel(id, 'audited')
    const rows = await asSuperuser<{ action: string }>(
      "select action from audit_logs where tenant_id = $1 and action like 'entitlement.%' order by created_at desc limit 3",
      [acme.id],
    )
    expect(rows).toHaveLength(3)
  })

  test.each([
    [{}, '/kind'],
    [{ kind: 'boolean' }, '/feature_key'],
    [{ kind: 'boolean', feature_key: 'Not A Key' }, '/feature_key'],
    [{ kind: 'boolean', feature_key: 'a', config: {} }, '/config'],
    [{ kind: 'boolean', feature_key: 'a', limit: 1 }, '/limit'],
    [{ kind: 'boolean', feature_key: 'a', meter: 'tokens' }, '/meter'],
    [{ kind: 'static', feature_key: 'a' }, '/config'],
    [{ kind: 'metered' }, '/meter'],
    [{ kind: 'metered', meter: 'nothing' }, '/meter'],
    [{ kind: 'metered', meter: 'tokens', limit: -1 }, '/limit'],
    [{ kind: 'metered', meter: 'tokens', limit: 'much' }, '/limit'],
    [{ kind: 'metered', meter: 'tokens', rollover: { min: 2, max: 1 } }, '/rollover'],
    [{ kind: 'metered', meter: 'peak', limit: 1, rollover: 5 }, '/rollover'],
    [{ kind: 'metered', meter: 'peak', limit: 1, preserve_overage: true }, '/preserve_overage'],
    [{ kind: 'metered', meter: 'tokens', period: 'century' }, '/period'],
    [{ kind: 'boolean', feature_key: 'a', surprise: 1 }, '/surprise'],
  ])('%j is invalid at %s', async (body, pointer) => {
    const answer = await create(acme.customer.id, body)
    expect(answer).toMatchObject({ status: 422, body: { code: 'invalid_input' } })
    expect(pointers(answer)?.[0]).toMatch(new RegExp(`^${pointer}`))
  })
})

describe('grants', () => {
  test('add to the allowance, are used in their order, and end', async () => {
    const id = await newCustomer()
    await track(id, 90)
    const first = await grant(id, { meter: 'tokens', amount: 50, metadata: { order: 'A-1' } })
    expect(first).toMatchObject({
      status: 201,
      body: {
        amount: 50,
        remaining: 50,
        state: 'active',
        issues: 1,
        rollover: { min: 0, max: 50 },
        metadata: { order: 'A-1' },
      },
    })
    expect((await grants(id, '?meter=TOKENS')).body.data).toHaveLength(1)
    expect((await grants(id, '?meter=nothing')).body).toMatchObject({
      status: 404,
      errors: [{ pointer: '/meter', detail: 'there is no such meter' }],
    })
    const early = await grant(id, { meter: 'tokens', amount: 20, priority: 0 })
    expect((await balance(id)).body).toMatchObject({
      used: 90,
      balance: 80,
      granted: 170,
      limit: 170,
      remaining: 80,
      overage: 0,
    })
    await track(id, 35)
    expect((await readGrant(id, early.body.id)).body).toMatchObject({ remaining: 0, state: 'used' })
    expect((await readGrant(id, first.body.id)).body).toMatchObject({ remaining: 45, state: 'active' })
    expect((await check(id, 45)).body).toMatchObject({ allowed: true, remaining: 45 })
    expect((await track(id, 46)).body.rejected).toEqual([
      expect.objectContaining({ code: 'usage_exceeded', remaining: 45 }),
    ])
    expect((await withdraw(id, first.body.id)).body).toMatchObject({ remaining: 0, state: 'voided' })
    expect((await withdraw(id, first.body.id)).body).toMatchObject({ state: 'voided' })
    expect((await track(id, 1)).body.rejected).toHaveLength(1)
    const { data, daily } = (await history(id)).body
    expect(data.map(({ kind, amount, balance }: Record<string, unknown>) => [kind, amount, balance])).toEqual([
      ['voided', -45, 0],
      ['issued', 20, 80],
      ['issued', 50, 60],
      ['allowance', 100, 10],
    ])
    expect(daily).toEqual([expect.objectContaining({ used: 125, events: 2 })])
    expect((await grants(id)).body.data).toHaveLength(2)
    expect((await grants(id, '?state=open&meter=tokens')).body.data).toEqual([
      expect.objectContaining({ id: early.body.id }),
    ])
    const page = (await grants(id, '?limit=1')).body
    expect((await grants(id, `?limit=1&cursor=${page.next_cursor}`)).body.data[0].id).toBe(first.body.id)
  })

  test('and days of the history are what the meter says, an average too', async () => {
    const id = await newCustomer()
    for (const aggregation of ['AVG', 'WEIGHTED_SUM', 'MIN']) {
      const slug = `by-day-${aggregation.toLowerCase().replace('_', '-')}`
      await call(postMeter, 'POST', '/api/v1/meters', { ...admin, body: { name: slug, slug, aggregation } })
      for (const amount of [2, 4]) await track(id, amount, slug)
      const { daily } = (await history(id, `?meter=${slug}`)).body
      const { used } = (await balance(id, slug)).body
      if (aggregation === 'AVG') expect([daily[0].used, used]).toEqual([3, 3])
      else if (aggregation === 'MIN') expect([daily[0].used, used]).toEqual([2, 2])
      // A level that began just now, over the part of the day that is over.
      else expect(daily[0].used).toBeLessThan(6)
    }
  })
  test('alone are enough: an entitlement without a limit', async () => {
    const id = await newCustomer(null)
    expect(pointers(await grant(id, { meter: 'tokens', amount: 5 }))).toEqual(['/meter'])
    await create(id, { kind: 'metered', meter: 'tokens' })
    expect((await track(id, 1)).body.rejected).toHaveLength(1)
    await grant(id, { meter: 'tokens', amount: 5 })
    expect((await track(id, 5)).body.inserted).toBe(1)
    expect((await value(id, 'tokens')).body).toMatchObject({
      has_access: false,
      usage: 5,
      balance: 0,
      granted: 5,
      overage: 0,
    })
  })

  test('later do not pay overage that is there already', async () => {
    const id = await newCustomer(null)
    await create(id, { kind: 'metered', meter: 'tokens', limit: 10, behaviour: 'overflow' })
    await track(id, 14)
    await grant(id, { meter: 'tokens', amount: 3 })
    expect((await balance(id)).body).toMatchObject({ used: 14, balance: 3, overage: 4, granted: 13, remaining: 3 })
    expect((await check(id, 3)).body).toMatchObject({ remaining: 3 })
  })

  test('that begin later wait, recurring ones say when they come again', async () => {
    const id = await newCustomer()
    const effective_at = new Date(Date.now() + 3_600_000).toISOString()
    const waiting = await grant(id, { meter: 'tokens', amount: 7, effective_at, recurrence: 'day' })
    expect(waiting.body).toMatchObject({
      state: 'scheduled',
      remaining: 0,
      next_issue_at: effective_at,
      rollover: { max: 0 },
    })
    const begun = await grant(id, {
      meter: 'tokens',
      amount: 7,
      effective_at: new Date(Date.now() - 36 * 3_600_000).toISOString(),
      recurrence: 'day',
    })
    expect(begun.body).toMatchObject({ state: 'active', remaining: 7, issues: 2 })
    expect((await balance(id)).body).toMatchObject({ balance: 107 })
  })

  test('move with the customer: a bigger tier adds its difference, an unlimited one sets no limit', async () => {
    const id = await newCustomer()
    await grant(id, { meter: 'tokens', amount: 10 })
    await track(id, 105)
    await subscribe(id, { tier: 'big' })
    expect((await balance(id)).body).toMatchObject({ used: 105, balance: 905, granted: 1010 })
    await subscribe(id, { tier: 'basic' })
    expect((await balance(id)).body).toMatchObject({ used: 105, granted: 110 })
    await subscribe(id, { tier: 'unlimited' })
    const unlimited = { limit: null, remaining: null, overage: 0 }
    expect((await balance(id)).body).toMatchObject(unlimited)
    expect((await track(id, 5_000)).body.inserted).toBe(1)
    expect((await balance(id)).body).toMatchObject({ ...unlimited, used: 5_105, balance: null, granted: null })
    expect((await check(id, 1)).body).toMatchObject({ ...unlimited, used: 5_105, allowed: true })
  })

  test.each([
    [{}, '/meter'],
    [{ meter: 'tokens' }, '/amount'],
    [{ meter: 'tokens', amount: 0 }, '/amount'],
    [{ meter: 'tokens', amount: '0.000' }, '/amount'],
    [{ meter: 'tokens', amount: -1 }, '/amount'],
    [{ meter: 'tokens', amount: 'NaN' }, '/amount'],
    [{ meter: 'tokens', amount: '1'.repeat(400) }, '/amount'],
    [{ meter: 'nothing', amount: 1 }, '/meter'],
    [{ meter: 'peak', amount: 1 }, '/meter'],
    [{ meter: 'free', amount: 1 }, '/meter'],
    [{ meter: 'tokens', amount: 1, priority: 256 }, '/priority'],
    [{ meter: 'tokens', amount: 1, recurrence: 'hour' }, '/recurrence'],
    [{ meter: 'tokens', amount: 1, effective_at: 'tomorrow' }, '/effective_at'],
    [{ meter: 'tokens', amount: 1, effective_at: '2020-01-01T00:00:00Z' }, '/effective_at'],
    [{ meter: 'tokens', amount: 1, expires_at: '2020-01-01T00:00:00Z' }, '/expires_at'],
    [{ meter: 'tokens', amount: 1, rollover: { min: 3, max: 1 } }, '/rollover'],
  ])('%j is invalid at %s', async (body, pointer) => {
    const answer = await grant(acme.customer.id, body)
    expect(answer).toMatchObject({ status: 422, body: { code: 'invalid_input' } })
    expect(pointers(answer)?.[0]).toMatch(new RegExp(`^${pointer}`))
  })

  test("a grant that is not there, or another customer's, is not found", async () => {
    const [mine, other] = [await newCustomer(), await newCustomer()]
    const { body } = await grant(other, { meter: 'tokens', amount: 1 })
    for (const id of ['x', acme.id, body.id]) {
      expect((await readGrant(mine, id)).status).toBe(404)
      expect((await withdraw(mine, id)).status).toBe(404)
    }
    expect((await readGrant(other, body.id)).body).toMatchObject({ remaining: 1 })
  })
})

test('first grants, usage and grants again at once lose nothing', async () => {
  const id = await newCustomer('big')
  await Promise.all([
    ...Array.from({ length: 10 }, () => track(id, 3)),
    ...Array.from({ length: 4 }, () => grant(id, { meter: 'tokens', amount: 10 })),
    ...Array.from({ length: 10 }, () => track(id, 2)),
  ])
  expect((await balance(id)).body).toMatchObject({ used: 50, granted: 1040, balance: 990, overage: 0 })
})

test('a balance and its grants are of one moment, whoever gives some meanwhile', async () => {
  const id = await newCustomer('big')
  await grant(id, { meter: 'tokens', amount: 1 })
  let given = false
  const giving = (async () => {
    for (let turn = 0; turn < 25; turn += 1) expect((await grant(id, { meter: 'tokens', amount: 1 })).status).toBe(201)
    given = true
  })()
  const seen: unknown[] = []
  while (!given) {
    const answers = await Promise.all([balance(id), balance(id), balance(id)])
    seen.push(...answers.map(({ body }) => [body.granted - 1_000, body.balance - 1_000, body.grants.length]))
  }
  await giving
  expect(seen).toEqual((seen as number[][]).map(([, , length]) => [length, length, length]))
  const { body } = await balance(id)
  expect([body.granted, body.grants.length]).toEqual([1_026, 26])
  expect(body.grants).toEqual((await grants(id, '?meter=tokens')).body.data)
})

test('a customer that is archived has access to nothing, as a check says', async () => {
  const id = await newCustomer()
  await create(id, { kind: 'boolean', feature_key: 'exports' })
  for (const name of ['Exports', 'TOKENS']) expect((await value(id, name)).body.has_access).toBe(true)
  const archive = (archived: boolean) =>
    call(patchCustomer, 'PATCH', `/api/v1/customers/${id}`, { ...admin, body: { archived }, params: { id } })
  const access = async () =>
    Promise.all(['reports', 'seats', 'tokens', 'exports'].map(async (key) => (await value(id, key)).body.has_access))
  expect(await access()).toEqual([true, true, true, true])
  await archive(true)
  expect((await check(id, 1)).body).toMatchObject({ allowed: false, code: 'DISABLED' })
  expect(await access()).toEqual([false, false, false, false])
  expect((await list(id)).body).toMatchObject({ features: [], tier: { slug: 'basic' } })
  await archive(false)
  expect(await access()).toEqual([true, true, true, true])
})

test('in the portal a customer sees its own balance', async () => {
  await subscribe(acme.customer.id, { tier: 'basic' })
  await grant(acme.customer.id, { meter: 'tokens', amount: 25 })
  await track(acme.customer.external_id, 110)
  const { body } = await call(getOverview, 'GET', '/api/v1/portal/overview', {
    as: acme.users.customer,
    host: `${acme.slug}.localhost:3000`,
  })
  expect(body.usage.find(({ meter }: { meter: string }) => meter === 'tokens')).toMatchObject({
    used: 110,
    limit: 125,
    balance: 15,
    remaining: 15,
    percent: 88,
  })
})
