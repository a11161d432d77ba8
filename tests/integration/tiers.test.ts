// A tier is what a tenant sells: changing its caps changes what the very next event may do.
import { beforeAll, describe, expect, test } from 'vitest'
import { PUT as putSubscription } from '@/app/api/v1/customers/[id]/subscription/route'
import { POST as postMeter } from '@/app/api/v1/meters/route'
import { DELETE, GET as getTier, PATCH } from '@/app/api/v1/tiers/[id]/route'
import { GET as listTiers, POST } from '@/app/api/v1/tiers/route'
import { POST as trackRoute } from '@/app/api/v1/usage/track/route'
import { asSuperuser, call, createWorld, type RequestOptions } from '../support/world'

const { acme, globex, stranger } = await createWorld()
const admin = { as: acme.users.admin, tenant: acme }
const create = (body: unknown, options: RequestOptions = admin) =>
  call(POST, 'POST', '/api/v1/tiers', { ...options, body })
const one = (id: string, options: RequestOptions = admin) =>
  call(getTier, 'GET', `/api/v1/tiers/${id}`, { ...options, params: { id } })
const change = (id: string, body: unknown, options: RequestOptions = admin) =>
  call(PATCH, 'PATCH', `/api/v1/tiers/${id}`, { ...options, body, params: { id } })
const archive = (id: string, options: RequestOptions = admin) =>
  call(DELETE, 'DELETE', `/api/v1/tiers/${id}`, { ...options, params: { id } })
const list = (query = '', options: RequestOptions = admin) => call(listTiers, 'GET', `/api/v1/tiers${query}`, options)

beforeAll(async () => {
  await call(postMeter, 'POST', '/api/v1/meters', { ...admin, body: { name: 'API calls', slug: 'api_calls' } })
})

describe('who may', () => {
  test.each([
    ['nobody', { tenant: acme }, 401],
    ['a stranger', { as: stranger, tenant: acme }, 404],
    ['a member of another tenant', { as: globex.users.owner, tenant: acme }, 404],
    ['a customer', { as: acme.users.customer, tenant: acme }, 403],
  ] as [string, RequestOptions, number][])('%s: %s', async (_who, options, status) => {
    expect((await list('', options)).status).toBe(status)
    expect((await create({ name: 'X' }, options)).status).toBe(status)
    expect((await one('x', options)).status).toBe(status)
    expect((await change('x', { name: 'X' }, options)).status).toBe(status)
    expect((await archive('x', options)).status).toBe(status)
  })
  test('a member reads and does not write', async () => {
    expect((await create({ name: 'X' }, { as: acme.users.member, tenant: acme })).status).toBe(403)
    expect((await list('', { as: acme.users.member, tenant: acme })).status).toBe(200)
  })
})

describe('create', () => {
  test('the example as it is written: meters that are not there are made, and named', async () => {
    const answer = await create({
      name: 'Professional',
      price: 49.99,
      usage_caps: { api_calls: 100000, projects: 50 },
      feature_entitlements: ['custom_domain', 'api_access'],
    })
    expect(answer.status).toBe(201)
    expect(answer.body).toMatchObject({
      slug: 'professional',
      price: 49.99,
      price_minor: 4999,
      currency: 'USD',
      billing_interval: 'month',
      usage_caps: {
        api_calls: { limit: 100000, behaviour: 'reject', period: 'month' },
        projects: { limit: 50, behaviour: 'reject', period: 'month' },
      },
      feature_entitlements: [
        { key: 'api_access', config: null },
        { key: 'custom_domain', config: null },
      ],
      created_meters: ['projects'],
      customers: 0,
    })
    expect((await one('professional')).body).toMatchObject({ id: answer.body.id })
  })
  test('with everything said', async () => {
    const answer = await create({
      name: 'Team',
      slug: 'team',
      price_minor: 1500,
      currency: 'jpy',
      interval: 'year',
      usage_caps: { api_calls: { limit: '0.5', behaviour: 'soft', period: 'day' } },
      feature_entitlements: [{ key: 'seats', config: { included: 5 } }, 'sso'],
    })
    expect(answer.body).toMatchObject({
      price: 1500,
      price_minor: 1500,
      currency: 'JPY',
      billing_interval: 'year',
      usage_caps: { api_calls: { limit: 0.5, behaviour: 'overflow', period: 'day' } },
      feature_entitlements: [
        { key: 'seats', config: { included: 5 } },
        { key: 'sso', config: null },
      ],
      created_meters: [],
    })
  })
  test.each([
    [{}, '/name'],
    [{ name: 'X', price: -1 }, '/price'],
    [{ name: 'X', price: 1, price_minor: 100 }, '/price'],
    [{ name: 'X', currency: 'XXQ' }, '/currency'],
    [{ name: 'X', usage_caps: { api_calls: -1 } }, '/usage_caps/api_calls'],
    [{ name: 'X', usage_caps: { 'Not A Slug': 1 } }, '/usage_caps/Not A Slug'],
    [{ name: 'X', usage_caps: { api_calls: { limit: 1, period: 'century' } } }, '/usage_caps/api_calls'],
    [{ name: 'X', feature_entitlements: ['a', 'a'] }, '/feature_entitlements'],
    [{ name: 'X', feature_entitlements: ['Not A Key'] }, '/feature_entitlements/0'],
    [{ name: 'X', surprise: true }, '/surprise'],
  ])('%j is invalid at %s', async (body, pointer) => {
    const answer = await create(body)
    expect(answer).toMatchObject({ status: 422, body: { code: 'invalid_input' } })
    expect(answer.body.errors.map((error: { pointer: string }) => error.pointer)).toContain(pointer)
  })
  test('a failed tier leaves no meter behind', async () => {
    expect((await create({ name: 'Team', slug: 'team', usage_caps: { left_behind: 1 } })).status).toBe(409)
    expect(await asSuperuser("select 1 from meters where slug = 'left_behind'")).toEqual([])
  })
  test('one default at a time', async () => {
    await create({ name: 'First default', is_default: true })
    await create({ name: 'Second default', is_default: true })
    const defaults = (await list()).body.data.filter(({ is_default }: { is_default: boolean }) => is_default)
    expect(defaults.map(({ slug }: { slug: string }) => slug)).toEqual(['second_default'])
    expect((await archive('second_default')).status).toBe(409)
    expect((await change('second_default', { is_default: false })).body.is_default).toBe(false)
  })
})

describe('change', () => {
  const track = (event_value: number) =>
    call(trackRoute, 'POST', '/api/v1/usage/track', {
      as: acme.api_key,
      body: { meter_id: 'api_calls', user_id: acme.customer.external_id, event_value },
    })

  test('a new cap holds for the very next event', async () => {
    await create({ name: 'Moving', usage_caps: { api_calls: 10 } })
    await call(putSubscription, 'PUT', '/api/v1/customers/x/subscription', {
      ...admin,
      body: { tier: 'moving' },
      params: { id: acme.customer.id },
    })
    expect((await track(11)).body.rejected).toHaveLength(1)
    await change('moving', { usage_caps: { api_calls: 20 } })
    expect((await track(11)).body.inserted).toBe(1)
    await change('moving', { usage_caps: { api_calls: 5 } })
    expect((await track(1)).body.rejected).toEqual([
      expect.objectContaining({ used: 11, limit: 5, remaining: 0, overage: 6 }),
    ])
    await change('moving', { usage_caps: {} })
    expect((await track(1000)).body.inserted).toBe(1)
  })
  test('each part is recorded with before and after', async () => {
    const { body } = await create({ name: 'Recorded', usage_caps: { api_calls: 10 }, feature_entitlements: ['a', 'b'] })
    await change('recorded', { price: 5, usage_caps: { api_calls: 20 }, feature_entitlements: ['b', 'c'] })
    const logged = await asSuperuser<{
      action: string
      before: Record<string, unknown>
      after: Record<string, unknown>
    }>(
      `select action, before, after from audit_logs l join audit_details d using (tenant_id, id)
       where tenant_id = $1 and (target_id = $2 or coalesce(before, after) ->> 'tier_id' = $2 or action = 'tier_cap.updated') order by l.id`,
      [acme.id, body.id],
    )
    const actions = logged.map(({ action }) => action)
    for (const action of [
      'tier.created',
      'tier_cap.created',
      'tier_feature.created',
      'tier.updated',
      'tier_feature.deleted',
    ])
      expect(actions).toContain(action)
    expect(logged.find(({ action }) => action === 'tier.updated')).toMatchObject({
      before: { price_minor: 0 },
      after: { price_minor: 500 },
    })
    expect(logged.filter(({ action }) => action === 'tier_cap.updated').at(-1)).toMatchObject({
      before: { cap_limit: 10 },
      after: { cap_limit: 20 },
    })
  })
  test('not archived while customers have it', async () => {
    expect(await archive('moving')).toMatchObject({ status: 409, body: { customers: 1 } })
    await call(putSubscription, 'PUT', '/api/v1/customers/x/subscription', {
      ...admin,
      body: { tier: null },
      params: { id: acme.customer.id },
    })
    expect((await archive('moving')).body.archived_at).toEqual(expect.any(String))
    expect((await list('?archived=true')).body.data.map(({ slug }: { slug: string }) => slug)).toEqual(['moving'])
    expect((await change('moving', { archived: false })).body.archived_at).toBeNull()
  })
})

test('another tenant sees none of it', async () => {
  expect((await list('', { as: globex.api_key })).body.data).toEqual([])
  expect((await one('professional', { as: globex.api_key })).status).toBe(404)
  const { body } = await one('professional')
  expect((await change(body.id, { name: 'Mine' }, { as: globex.api_key })).status).toBe(404)
})
test('the list comes cheapest first, in pages, searched', async () => {
  const first = await list('?limit=2')
  const second = await list(`?limit=200&cursor=${first.body.next_cursor}`)
  const prices = [...first.body.data, ...second.body.data].map(
    ({ price_minor }: { price_minor: number }) => price_minor,
  )
  expect(prices).toEqual([...prices].sort((a, b) => a - b))
  expect((await list('?q=profess')).body.data).toHaveLength(1)
})
