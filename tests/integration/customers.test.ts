// Customers, their tiers, what they may use, and what one of them sees of itself when signed in to the portal.

import { beforeAll, describe, expect, test } from 'vitest'
import { GET as getEntitlements } from '@/app/api/v1/customers/[id]/entitlements/route'
import { DELETE, GET as getCustomer, PATCH } from '@/app/api/v1/customers/[id]/route'
import { GET as getSubscription, PUT as putSubscription } from '@/app/api/v1/customers/[id]/subscription/route'
import { GET as listCustomers, POST } from '@/app/api/v1/customers/route'
import { GET as getOverview } from '@/app/api/v1/portal/overview/route'
import { PATCH as patchTier } from '@/app/api/v1/tiers/[id]/route'
import { POST as postTier } from '@/app/api/v1/tiers/route'
import { POST as trackRoute } from '@/app/api/v1/usage/track/route'
import { newId } from '@/libs/ids'
import { whileLocked } from '../support/while-locked'
import { asSuperuser, call, createWorld, type RequestOptions } from '../support/world'

const { acme, globex, stranger } = await createWorld()
const admin = { as: acme.users.admin, tenant: acme }
const create = (body: unknown, options: RequestOptions = admin) =>
  call(POST, 'POST', '/api/v1/customers', { ...options, body })
const one = (id: string, options: RequestOptions = admin) =>
  call(getCustomer, 'GET', `/api/v1/customers/${id}`, { ...options, params: { id } })
const change = (id: string, body: unknown, options: RequestOptions = admin) =>
  call(PATCH, 'PATCH', `/api/v1/customers/${id}`, { ...options, body, params: { id } })
const archive = (id: string, options: RequestOptions = admin) =>
  call(DELETE, 'DELETE', `/api/v1/customers/${id}`, { ...options, params: { id } })
const list = (query = '', options: RequestOptions = admin) =>
  call(listCustomers, 'GET', `/api/v1/customers${query}`, options)
const tierOf = (id: string, options: RequestOptions = admin) =>
  call(getSubscription, 'GET', `/api/v1/customers/${id}/subscription`, { ...options, params: { id } })
const subscribe = (id: string, body: unknown, options: RequestOptions = admin) =>
  call(putSubscription, 'PUT', `/api/v1/customers/${id}/subscription`, { ...options, body, params: { id } })
const entitlements = (id: string, options: RequestOptions = admin) =>
  call(getEntitlements, 'GET', `/api/v1/customers/${id}/entitlements`, { ...options, params: { id } })
const track = (body: unknown) => call(trackRoute, 'POST', '/api/v1/usage/track', { as: acme.api_key, body })
const names = (rows: { external_id: string }[]) => rows.map(({ external_id }) => external_id)

beforeAll(async () => {
  for (const body of [
    {
      name: 'Basic',
      price: 10,
      usage_caps: { api_calls: 100, seats: { limit: 3, period: 'day' } },
      feature_entitlements: ['reports'],
    },
    {
      name: 'Premium',
      price: 30,
      usage_caps: { api_calls: 1000 },
      feature_entitlements: ['reports', { key: 'sso', config: { idp: 'any' } }],
    },
  ])
    expect((await call(postTier, 'POST', '/api/v1/tiers', { ...admin, body })).status).toBe(201)
})

describe('who may', () => {
  test.each([
    ['nobody', { tenant: acme }, 401],
    ['a stranger', { as: stranger, tenant: acme }, 404],
    ['a member of another tenant', { as: globex.users.owner, tenant: acme }, 404],
    ['a customer', { as: acme.users.customer, tenant: acme }, 403],
    ['a compliance officer', { as: acme.users.compliance, tenant: acme }, 403],
  ] as [string, RequestOptions, number][])('%s: %s', async (_who, options, status) => {
    const { id } = acme.customer
    expect((await list('', options)).status).toBe(status)
    expect((await create({ external_id: 'x' }, options)).status).toBe(status)
    expect((await one(id, options)).status).toBe(status)
    expect((await change(id, { name: 'X' }, options)).status).toBe(status)
    expect((await archive(id, options)).status).toBe(status)
    expect((await tierOf(id, options)).status).toBe(status)
    expect((await subscribe(id, { tier: 'basic' }, options)).status).toBe(status)
    expect((await entitlements(id, options)).status).toBe(status)
  })
})

describe('customers', () => {
  test('are added with or without a tier', async () => {
    const plain = await create({
      external_id: 'plain',
      name: 'Plain',
      email: 'plain@example.test',
      metadata: { crm: 7 },
    })
    expect(plain).toMatchObject({
      status: 201,
      body: { external_id: 'plain', metadata: { crm: 7 }, tier: null, tier_source: null },
    })
    const subscribed = await create({ user_id: 'subscribed', tier: 'premium' })
    expect(subscribed.body).toMatchObject({ tier: { slug: 'premium' }, tier_source: 'subscription' })
    expect((await create({ external_id: 'plain' })).status).toBe(409)
    expect((await create({ external_id: 'plain' }, { as: globex.api_key })).status).toBe(201)
  })
  test.each([
    [{}, '/external_id'],
    [{ external_id: '' }, '/external_id'],
    [{ external_id: 'a', user_id: 'a' }, '/external_id'],
    [{ external_id: 'a\u0007' }, '/external_id'],
    [{ external_id: 'x', email: 'nobody' }, '/email'],
    [{ external_id: 'x', metadata: [] }, '/metadata'],
    [{ external_id: 'x', tier: 'nothing' }, '/tier'],
  ])('%j is invalid at %s', async (body, pointer) => {
    expect(await create(body)).toMatchObject({ status: 422, body: { errors: [{ pointer }] } })
    expect((await one('x')).status).toBe(404)
  })
  test('are found by id or external id, an id first', async () => {
    const { body } = await one('plain')
    expect((await one(body.id)).body).toEqual(body)
    await create({ external_id: body.id })
    expect((await one(body.id)).body.external_id).toBe('plain')
    const theirs = await one('plain', { as: globex.api_key })
    expect((await one(theirs.body.id)).status).toBe(404)
  })
  test('are listed newest first, searched in letters of any script, filtered by tier, in pages', async () => {
    for (const name of ['list-1', 'list-2', 'list-3']) await create({ external_id: name, name: `Listed ${name}` })
    const first = await list('?q=LISTED&limit=2')
    expect(names(first.body.data)).toEqual(['list-3', 'list-2'])
    expect(names((await list(`?q=listed&limit=2&cursor=${first.body.next_cursor}`)).body.data)).toEqual(['list-1'])
    await change('list-1', { name: 'Ökohaus ДОМ' })
    for (const q of ['ökoHAUS', 'ÖKO', 'дом'])
      expect(names((await list(`?q=${encodeURIComponent(q)}`)).body.data)).toEqual(['list-1'])
    const premium = await list('?tier=premium')
    expect(names(premium.body.data)).toEqual(['subscribed'])
    expect((await list(`?tier=${premium.body.data[0].tier.id}`)).body).toEqual(premium.body)
    expect((await list('?tier=nothing')).body).toMatchObject({
      status: 404,
      errors: [{ pointer: '/tier', detail: 'there is no such tier' }],
    })
    expect((await list('?cursor=x')).status).toBe(400)
    expect((await list('?what=x')).status).toBe(422)
  })
  test('change, but for their external id; archived ones refuse usage until they are back', async () => {
    expect((await change('list-1', { name: 'Renamed', email: null })).body).toMatchObject({
      name: 'Renamed',
      email: null,
    })
    expect((await change('list-1', { external_id: 'other' })).body).toMatchObject({
      status: 422,
      errors: [{ pointer: '/external_id', detail: 'never changes' }],
    })
    expect((await archive('list-1')).body.archived_at).toEqual(expect.any(String))
    expect((await track({ meter_id: 'api_calls', user_id: 'list-1' })).body.rejected).toEqual([
      expect.objectContaining({ code: 'customer_archived' }),
    ])
    expect(names((await list('?archived=true')).body.data)).toEqual(['list-1'])
    expect(await create({ external_id: 'list-1' })).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining('but is archived: bring it back with `archived: false`') },
    })
    expect((await change('list-1', { archived: false })).body.archived_at).toBeNull()
    expect((await track({ meter_id: 'api_calls', user_id: 'list-1' })).body.inserted).toBe(1)
  })
})

describe('tiers of customers', () => {
  test('change at once, keep what was used, and are kept as history', async () => {
    const { body } = await create({ external_id: 'mover', tier: 'basic' })
    await track({ meter_id: 'api_calls', user_id: 'mover', event_value: 60 })
    expect((await subscribe('mover', { tier: 'premium' })).body).toMatchObject({
      tier: { slug: 'premium' },
      source: 'subscription',
    })
    expect((await subscribe('mover', { tier_id: (await tierOf('mover')).body.tier.id })).status).toBe(200)
    expect((await subscribe('mover', { tier_id: newId() })).body.errors).toMatchObject([{ pointer: '/tier_id' }])
    const { usage, features } = (await entitlements('mover')).body
    expect(usage.find(({ meter }: { meter: string }) => meter === 'api_calls')).toMatchObject({
      used: 60,
      limit: 1000,
      remaining: 940,
      percent: 6,
    })
    expect(features).toEqual([
      { key: 'reports', config: null },
      { key: 'sso', config: { idp: 'any' } },
    ])
    expect((await subscribe('mover', { tier: null })).body).toMatchObject({ tier: null, source: null })
    const history = await asSuperuser<{ n: number }>(
      'select count(*)::int as n from subscriptions where tenant_id = $1 and customer_id = $2',
      [acme.id, body.id],
    )
    expect(history).toEqual([{ n: 2 }])
  })
  test.each([[{}], [{ tier: 'nothing' }], [{ tier: 'basic', anchor_day: 0 }], [{ tier: 'basic', anchor_day: 32 }]])(
    '%j is invalid',
    async (body) => {
      expect((await subscribe('mover', body)).status).toBe(422)
    },
  )
  test('two changes at once leave one tier', async () => {
    await create({ external_id: 'torn' })
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, turn) => subscribe('torn', { tier: turn % 2 ? 'basic' : 'premium' })),
    )
    expect(answers.every(({ status }) => status === 200)).toBe(true)
    const active = await asSuperuser(
      'select 1 from subscriptions s join customers c on c.tenant_id = s.tenant_id and c.id = s.customer_id where s.tenant_id = $1 and c.external_id = $2 and canceled_at is null',
      [acme.id, 'torn'],
    )
    expect(active).toHaveLength(1)
  })
  test('months that begin on another day are counted anew, from the days', async () => {
    await create({ external_id: 'anchored', tier: 'basic' })
    const now = new Date()
    const ago = (days: number) => new Date(now.getTime() - days * 86_400_000)
    for (const days of [0, 3, 20]) {
      await track({ meter_id: 'api_calls', user_id: 'anchored', event_value: 1, timestamp: ago(days).toISOString() })
    }
    const anchor = ago(4).getUTCDate()
    expect((await subscribe('anchored', { tier: 'basic', anchor_day: anchor })).body.anchor_day).toBe(anchor)
    const line = (await entitlements('anchored')).body.usage.find(
      ({ meter }: { meter: string }) => meter === 'api_calls',
    )
    expect(line).toMatchObject({ used: 2, limit: 100 })
    await track({ meter_id: 'api_calls', user_id: 'anchored', event_value: 1 })
    const again = (await entitlements('anchored')).body.usage.find(
      ({ meter }: { meter: string }) => meter === 'api_calls',
    )
    expect(again.used).toBe(3)
    expect(new Date(again.reset_at).getUTCDate()).toBeLessThanOrEqual(anchor)
  })
})

test('a tier that is archived at this moment is given to nobody', async () => {
  await call(postTier, 'POST', '/api/v1/tiers', { ...admin, body: { name: 'Leaving' } })
  await create({ external_id: 'late' })
  const asked = await whileLocked(
    "set local session_replication_role = replica; select from tiers where slug = 'leaving' for update",
    () => subscribe('late', { tier: 'leaving' }),
    { last: "update tiers set archived_at = now() where slug = 'leaving'" },
  )
  expect(asked).toMatchObject({ status: 422, body: { errors: [{ pointer: '/tier' }] } })
  expect((await one('late')).body.tier).toBeNull()
})

describe('portal', () => {
  const customer = { as: acme.users.customer, host: 'acme.localhost:3000' }
  const overview = () => call(getOverview, 'GET', '/api/v1/portal/overview', customer)

  test('is for customers alone', async () => {
    expect((await call(getOverview, 'GET', '/api/v1/portal/overview', { tenant: acme })).status).toBe(401)
    expect((await call(getOverview, 'GET', '/api/v1/portal/overview', admin)).status).toBe(403)
    expect(
      (await call(getOverview, 'GET', '/api/v1/portal/overview', { as: acme.users.customer, tenant: globex })).status,
    ).toBe(404)
  })
  test('shows tier, usage against caps and features, and what allows more from 80 % on', async () => {
    await subscribe(acme.customer.id, { tier: 'basic' })
    await track({ meter_id: 'api_calls', user_id: acme.customer.external_id, event_value: 79 })
    const calm = await overview()
    expect(calm.status).toBe(200)
    expect(calm.body).toMatchObject({
      customer: { id: acme.customer.id, external_id: acme.customer.external_id },
      tier: { slug: 'basic', price: 10 },
      features: [{ key: 'reports', config: null }],
      upgrade: null,
    })
    await track({ meter_id: 'api_calls', user_id: acme.customer.external_id, event_value: 6 })
    const near = (await overview()).body
    expect(near.usage.find(({ meter }: { meter: string }) => meter === 'api_calls')).toMatchObject({
      used: 85,
      limit: 100,
      remaining: 15,
      percent: 85,
      behaviour: 'reject',
    })
    expect(near.upgrade).toMatchObject({
      reason: 'cap_near',
      meter: 'api_calls',
      percent: 85,
      next_tiers: [{ slug: 'premium', price: 30, limit: 1000 }],
    })
    await track({ meter_id: 'api_calls', user_id: acme.customer.external_id, event_value: 15 })
    expect((await overview()).body.upgrade.reason).toBe('cap_reached')
  })
  test('shows the price of the version the customer has, not of the one sold now', async () => {
    const raise = (move: boolean) =>
      call(patchTier, 'PATCH', '/api/v1/tiers/basic', { ...admin, body: { price: 12, move }, params: { id: 'basic' } })
    expect((await raise(false)).body).toMatchObject({ price: 12, customers_behind: expect.any(Number) })
    expect((await overview()).body.tier).toMatchObject({ slug: 'basic', price: 10, price_minor: 1000 })
    await raise(true)
    expect((await overview()).body.tier).toMatchObject({ slug: 'basic', price: 12, price_minor: 1200 })
  })
  test('shows nothing of other customers', async () => {
    const text = (await overview()).text
    for (const other of ['mover', 'plain', 'anchored']) expect(text).not.toContain(other)
  })
})
