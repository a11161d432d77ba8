// A tier is what a tenant sells: changing its caps changes what the very next event may do.
import { beforeAll, describe, expect, test } from 'vitest'
import { GET as getSubscription, PUT as putSubscription } from '@/app/api/v1/customers/[id]/subscription/route'
import { DELETE as archiveMeter } from '@/app/api/v1/meters/[id]/route'
import { POST as postMeter } from '@/app/api/v1/meters/route'
import { POST as moveRoute } from '@/app/api/v1/tiers/[id]/move/route'
import { POST as previewRoute } from '@/app/api/v1/tiers/[id]/preview/route'
import { DELETE, GET as getTier, PATCH } from '@/app/api/v1/tiers/[id]/route'
import { GET as listVersions } from '@/app/api/v1/tiers/[id]/versions/route'
import { GET as listTiers, POST } from '@/app/api/v1/tiers/route'
import { POST as trackRoute } from '@/app/api/v1/usage/track/route'
import { asSuperuser, call, createApiKey, createWorld, type RequestOptions } from '../support/world'

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
const versions = (id: string, query = '', options: RequestOptions = admin) =>
  call(listVersions, 'GET', `/api/v1/tiers/${id}/versions${query}`, { ...options, params: { id } })
const move = (id: string, body?: unknown, options: RequestOptions = admin) =>
  call(moveRoute, 'POST', `/api/v1/tiers/${id}/move`, { ...options, body, params: { id } })
const preview = (id: string, body: unknown, query = '', options: RequestOptions = admin) =>
  call(previewRoute, 'POST', `/api/v1/tiers/${id}/preview${query}`, { ...options, body, params: { id } })
const subscribe = (customer: string, body: unknown) =>
  call(putSubscription, 'PUT', `/api/v1/customers/${customer}/subscription`, {
    ...admin,
    body,
    params: { id: customer },
  })
const subscription = (customer: string) =>
  call(getSubscription, 'GET', `/api/v1/customers/${customer}/subscription`, { ...admin, params: { id: customer } })
const track = (event_value: number, user_id = acme.customer.external_id, meter_id = 'api_calls') =>
  call(trackRoute, 'POST', '/api/v1/usage/track', { as: acme.api_key, body: { meter_id, user_id, event_value } })
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
    expect((await versions('x', '', options)).status).toBe(status)
    expect((await move('x', {}, options)).status).toBe(status)
    expect((await preview('x', {}, '', options)).status).toBe(status)
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
    [{ name: 'X', price: 49.999, currency: 'EUR' }, '/price'],
    [{ name: 'X', price: 49.99, currency: 'JPY' }, '/price'],
    [{ name: 'X', price: 1e10, currency: 'BHD' }, '/price'],
    [{ name: 'X', currency: 'XXQ' }, '/currency'],
    [{ name: 'X', usage_caps: { api_calls: -1 } }, '/usage_caps/api_calls'],
    [{ name: 'X', usage_caps: { 'Not A Slug': 1 } }, '/usage_caps/Not A Slug'],
    [{ name: 'X', usage_caps: { api_calls: null } }, '/usage_caps/api_calls'],
    [{ name: 'X', usage_caps: { api_calls: {} } }, '/usage_caps/api_calls/limit'],
    [{ name: 'X', usage_caps: { api_calls: { limit: 1, period: 'century' } } }, '/usage_caps/api_calls/period'],
    [{ name: 'X', usage_caps: { api_calls: { limit: 1, behaviour: 'maybe' } } }, '/usage_caps/api_calls/behaviour'],
    [{ name: 'X', usage_caps: { api_calls: { limit: 1, rollover: 'all' } } }, '/usage_caps/api_calls/rollover'],
    [{ name: 'X', feature_entitlements: ['a', 'a'] }, '/feature_entitlements'],
    [{ name: 'X', feature_entitlements: ['Not A Key'] }, '/feature_entitlements/0'],
    [{ name: 'X', feature_entitlements: [{ key: 'a', config: 'x'.repeat(8_191) }] }, '/feature_entitlements/0/config'],
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
    // At the same moment, too: the last one is it, and nobody is refused.
    const rounds = ['first_default', 'second_default', 'first_default', 'second_default']
    const answers = await Promise.all([
      ...rounds.map((tier) => change(tier, { is_default: true })),
      create({ name: 'Third default', is_default: true }),
    ])
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 201])
    const [now, ...others] = (await list()).body.data.filter(({ is_default }: { is_default: boolean }) => is_default)
    expect([now?.is_default, others]).toEqual([true, []])
    expect((await change('second_default', { is_default: true })).status).toBe(200)
    expect((await change('second_default', { is_default: false })).body.is_default).toBe(false)
  })
})

describe('change', () => {
  test('a new cap holds for the very next event of those who are moved', async () => {
    await create({ name: 'Moving', usage_caps: { api_calls: 10 } })
    await subscribe(acme.customer.id, { tier: 'moving' })
    expect((await track(11)).body.rejected).toHaveLength(1)
    await change('moving', { usage_caps: { api_calls: 20 } })
    expect((await track(11)).body.rejected).toHaveLength(1)
    expect(await move('moving')).toMatchObject({ status: 200, body: { version: 2, moved: 1 } })
    expect((await move('moving')).body).toMatchObject({ version: 2, moved: 0 })
    expect((await track(11)).body.inserted).toBe(1)
    await change('moving', { usage_caps: { api_calls: 5 }, move: true })
    expect((await track(1)).body.rejected).toEqual([
      expect.objectContaining({ used: 11, limit: 5, remaining: 0, overage: 6 }),
    ])
    expect((await change('moving', { usage_caps: {}, move: true })).body).toMatchObject({ version: 4, moved: 1 })
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
       where tenant_id = $1 and (target_id = $2 or coalesce(before, after) ->> 'tier_id' = $2) order by l.id`,
      [acme.id, body.id],
    )
    const actions = logged.map(({ action }) => action)
    for (const action of [
      'tier.created',
      'tier_cap.created',
      'tier_feature.created',
      'tier.updated',
      'tier_version.created',
    ])
      expect(actions).toContain(action)
    expect(logged.find(({ action }) => action === 'tier.updated')).toMatchObject({
      before: { price_minor: 0, version: 1 },
      after: { price_minor: 500, version: 2 },
    })
    const caps = logged.filter(({ action }) => action === 'tier_cap.created')
    expect(caps.map(({ after }) => [after.version, after.cap_limit])).toEqual([
      [1, 10],
      [2, 20],
    ])
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

describe('versions', () => {
  test('what is sold changes, what was sold does not', async () => {
    const made = await create({
      name: 'Versioned',
      price: 10,
      usage_caps: { api_calls: { limit: 100, rollover: 25 } },
      feature_entitlements: ['sso'],
    })
    expect(made.body).toMatchObject({ version: 1, newest_version: 1, customers_behind: 0 })
    await subscribe('customer-1', { tier: 'versioned' })
    expect((await subscription('customer-1')).body).toMatchObject({ tier_version: 1, newer_version: null })

    const dearer = await change('versioned', { price: 12 })
    expect(dearer.body).toMatchObject({
      version: 2,
      newest_version: 2,
      price: 12,
      usage_caps: { api_calls: { limit: 100, rollover: { min: 0, max: 25 } } },
      feature_entitlements: [{ key: 'sso' }],
      customers: 1,
      customers_behind: 1,
    })
    expect((await subscription('customer-1')).body).toMatchObject({ tier_version: 1, newer_version: 2 })
    const shown = await call(getTier, 'GET', '/api/v1/tiers/versioned?version=1', {
      ...admin,
      params: { id: 'versioned' },
    })
    expect(shown.body).toMatchObject({ version: 1, newest_version: 2, price: 10 })
    expect((await versions('versioned')).body.data).toMatchObject([
      { version: 2, price: 12, customers: 0 },
      { version: 1, price: 10, customers: 1 },
    ])
    const [page] = (await versions('versioned', '?limit=1')).body.data
    expect(page.version).toBe(2)
  })
  test.each([
    { name: 'Versioned anew' },
    { description: 'Now with words' },
    { price: 12, currency: 'USD', interval: 'month' },
    { usage_caps: { api_calls: { limit: '100.00', rollover: { max: 25 } } } },
    { feature_entitlements: ['sso'] },
    { is_default: false, archived: false },
  ])('%j makes none', async (body) => {
    expect((await change('versioned', body)).body).toMatchObject({ version: 2, newest_version: 2 })
  })
  test.each([
    { interval: 'year' },
    { currency: 'EUR' },
    { usage_caps: { api_calls: { limit: 100, rollover: 25, preserve_overage: true } } },
    { usage_caps: { api_calls: { limit: 100, rollover: 25, preserve_overage: true, behaviour: 'cap' } } },
    { feature_entitlements: [{ key: 'sso', config: { domains: 3 } }] },
  ])('%j makes one', async (body) => {
    const before = (await one('versioned')).body.version
    expect((await change('versioned', body)).body.version).toBe(before + 1)
    expect((await change('versioned', body)).body.version).toBe(before + 1)
  })
  test('a subscription takes the newest version, or the one it names', async () => {
    const { newest_version } = (await one('versioned')).body
    expect((await subscribe('customer-1', { tier: 'versioned' })).body).toMatchObject({
      tier_version: newest_version,
      newer_version: null,
    })
    const { started_at } = (await subscription('customer-1')).body
    expect((await subscribe('customer-1', { tier: 'versioned', version: 2 })).body).toMatchObject({
      tier_version: 2,
      newer_version: newest_version,
      started_at,
    })
    expect(await subscribe('customer-1', { tier: 'versioned', version: 99 })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/version' }] },
    })
    expect(await subscribe('customer-1', { tier: null, anchor_day: 15 })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/anchor_day' }] },
    })
    expect(await subscribe('customer-1', { tier: null, version: 1 })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/version' }] },
    })
  })
  test('some are moved by name or by version, each move is on the record', async () => {
    const { newest_version } = (await one('versioned')).body
    expect((await move('versioned', { from_version: 1 })).body.moved).toBe(0)
    expect((await move('versioned', { customers: ['customer-1', 'nobody'] })).body.errors).toEqual([
      { pointer: '/customers/1', detail: expect.any(String) },
    ])
    expect((await move('versioned', { customers: ['customer-1'], from_version: 2 })).body).toMatchObject({
      version: newest_version,
      moved: 1,
    })
    const [logged] = await asSuperuser<{ before: unknown; after: unknown }>(
      `select before, after from audit_logs l join audit_details d using (tenant_id, id)
       where tenant_id = $1 and action = 'subscription.updated' order by l.id desc limit 1`,
      [acme.id],
    )
    expect(logged).toMatchObject({ before: { tier_version: 2 }, after: { tier_version: newest_version } })
  })
  test('whoever may not change customers does not move them', async () => {
    const { key } = await createApiKey(acme, ['tiers:read', 'tiers:write'])
    expect(await move('versioned', {}, { as: key })).toMatchObject({
      status: 403,
      body: { required_permission: 'customers:write' },
    })
    const before = (await one('versioned')).body.version
    expect((await change('versioned', { price: 77, move: true }, { as: key })).status).toBe(403)
    expect((await one('versioned')).body.version).toBe(before)
  })
  test('what is not there: no version, no tier', async () => {
    expect((await versions('nothing')).status).toBe(404)
    expect((await move('nothing')).status).toBe(404)
    expect((await preview('nothing', {})).status).toBe(404)
    const options = { ...admin, params: { id: 'versioned' } }
    expect((await call(getTier, 'GET', '/api/v1/tiers/versioned?version=999', options)).status).toBe(404)
    expect((await call(getTier, 'GET', '/api/v1/tiers/versioned?version=0', options)).status).toBe(422)
  })
  test('changes at the same moment make versions one after the other', async () => {
    await create({ name: 'Contended' })
    const answers = await Promise.all([1, 2, 3, 4].map((price) => change('contended', { price })))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
    expect((await versions('contended')).body.data.map(({ version }: { version: number }) => version)).toEqual([
      5, 4, 3, 2, 1,
    ])
  })
  test.each([
    [{ api_calls: { limit: 1, rollover: { min: 5, max: 1 } } }, '/usage_caps/api_calls/rollover/min'],
    [{ api_calls: { limit: 1, rollover: -1 } }, '/usage_caps/api_calls/rollover'],
    [{ peak: { limit: 1, rollover: 1 } }, '/usage_caps/peak/rollover'],
    [{ peak: { limit: 1, preserve_overage: true } }, '/usage_caps/peak/preserve_overage'],
  ])('caps %j are invalid at %s', async (usage_caps, pointer) => {
    await call(postMeter, 'POST', '/api/v1/meters', {
      ...admin,
      body: { name: 'Peak', slug: 'peak', aggregation: 'MAX' },
    })
    const answer = await create({ name: 'X', usage_caps })
    expect(answer).toMatchObject({ status: 422, body: { code: 'invalid_input' } })
    expect(answer.body.errors.map((error: { pointer: string }) => error.pointer)).toContain(pointer)
  })
})

describe('preview', () => {
  test('says who would be over, who no longer, and changes nothing', async () => {
    await create({ name: 'Previewed', usage_caps: { messages: 10, daily: { limit: 5, period: 'day' } } })
    for (const [user, value] of [
      ['light', 2],
      ['middle', 6],
      ['heavy', 9],
    ] as const) {
      expect((await track(value, user, 'messages')).body.inserted).toBe(1)
      await subscribe(user, { tier: 'previewed' })
    }
    const tighter = await preview('previewed', { usage_caps: { messages: 5 } })
    expect(tighter).toMatchObject({
      status: 200,
      body: {
        new_version: true,
        customers: 3,
        by_default: 0,
        over_count: 2,
        newly_over_count: 2,
        newly_within_count: 0,
        next_cursor: null,
        over: [
          { customer: { external_id: 'heavy' }, meter: 'messages', used: 9, limit_now: 10, limit_then: 5 },
          { customer: { external_id: 'middle' }, meter: 'messages', used: 6, limit_now: 10, limit_then: 5 },
        ],
      },
    })
    const first = await preview('previewed', { usage_caps: { messages: 5 } }, '?limit=1')
    expect(first.body.over).toHaveLength(1)
    const second = await preview(
      'previewed',
      { usage_caps: { messages: 5 } },
      `?limit=1&cursor=${first.body.next_cursor}`,
    )
    expect(second.body).toMatchObject({
      over_count: 2,
      over: [{ customer: { external_id: 'middle' } }],
      next_cursor: null,
    })
    expect((await one('previewed')).body).toMatchObject({ version: 1, usage_caps: { messages: { limit: 10 } } })

    await change('previewed', { usage_caps: { messages: 5 }, move: true })
    expect((await preview('previewed', { usage_caps: { messages: 7 } })).body).toMatchObject({
      over_count: 1,
      newly_over_count: 0,
      newly_within_count: 1,
      over: [{ customer: { external_id: 'heavy' }, over_now: true }],
      within: [{ customer: { external_id: 'middle' }, limit_now: 5, limit_then: 7 }],
    })
    expect((await preview('previewed', { usage_caps: {} })).body).toMatchObject({
      over_count: 0,
      newly_within_count: 2,
      within: [{ limit_then: null }, { limit_then: null }],
    })
    expect((await preview('previewed', { name: 'Other' })).body).toMatchObject({ new_version: false, over_count: 2 })
    expect((await preview('previewed', { usage_caps: { messages: { limit: 5, period: 'day' } } })).body).toMatchObject({
      new_version: true,
      over_count: 2,
      newly_over_count: 0,
    })
  })
  test('the default tier is that of everybody without one', async () => {
    await create({ name: 'For all', is_default: true, usage_caps: { messages: 100 } })
    await track(50, 'without-tier', 'messages')
    const { body } = await preview('for_all', { usage_caps: { messages: 20 } })
    expect(body).toMatchObject({ over_count: 1, over: [{ customer: { external_id: 'without-tier' }, version: 1 }] })
    expect(body.by_default).toBe(body.customers)

    // The list counts them too, apart from those who are subscribed.
    const counts = async () => {
      const { customers, customers_by_default } = (await one('for_all')).body
      return { customers, customers_by_default }
    }
    expect(await counts()).toEqual({ customers: 0, customers_by_default: body.by_default })
    expect((await one('previewed')).body.customers_by_default).toBe(0)
    await subscribe('without-tier', { tier: 'for_all' })
    expect(await counts()).toEqual({ customers: 1, customers_by_default: body.by_default - 1 })
    await subscribe('without-tier', { tier: null })
    expect((await change('for_all', { is_default: false })).body.customers_by_default).toBe(0)
  })
  test('a wrong change is as wrong as in PATCH', async () => {
    expect((await preview('previewed', { usage_caps: { messages: -1 } })).status).toBe(422)
    expect((await preview('previewed', {}, '?cursor=nonsense')).status).toBe(400)
    expect((await preview('previewed', {}, '?limit=0')).status).toBe(422)
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

test('another currency keeps the amount, or asks for it', async () => {
  const { body: tier } = await create({ name: 'Abroad', price: 10 })
  expect((await change(tier.id, { currency: 'EUR' })).body).toMatchObject({ price: 10, currency: 'EUR' })
  expect(await change(tier.id, { currency: 'JPY' })).toMatchObject({
    status: 422,
    body: { errors: [{ pointer: '/price', detail: 'is needed: JPY has other decimals than EUR' }] },
  })
  expect((await change(tier.id, { currency: 'JPY', price: 1500 })).body).toMatchObject({ price: 1500, currency: 'JPY' })
})

test('an archived meter gets no new cap, and keeps the one it has', async () => {
  const { body: tier } = await create({ name: 'Older', usage_caps: { faded: 5 } })
  await call(archiveMeter, 'DELETE', '/api/v1/meters/faded', { ...admin, params: { id: 'faded' } })
  expect(await create({ name: 'Newer', usage_caps: { faded: 5 } })).toMatchObject({
    status: 422,
    body: { errors: [{ pointer: '/usage_caps/faded', detail: 'is archived: bring it back first' }] },
  })
  expect((await change(tier.id, { usage_caps: { faded: 6 } })).body.version).toBe(2)
  expect((await change(tier.id, { usage_caps: {} })).body.version).toBe(3)
  expect((await change(tier.id, { usage_caps: { faded: 6 } })).status).toBe(422)
})

test('an archived tier is nobody’s default', async () => {
  const { body: tier } = await create({ name: 'Gone' })
  expect((await change(tier.id, { archived: true, is_default: true })).status).toBe(409)
  await archive(tier.id)
  expect(await change(tier.id, { is_default: true })).toMatchObject({ status: 409, body: { code: 'conflict' } })
  expect(await change(tier.id, { archived: false, is_default: true })).toMatchObject({
    status: 200,
    body: { archived_at: null, is_default: true },
  })
  await change(tier.id, { is_default: false })
})

describe('two who change one tier', () => {
  test('a change that was written for an older version changes nothing and says so; others are made on what is there', async () => {
    const { body: tier } = await create({ name: 'Shared', price: 10, usage_caps: { api_calls: 100 } })
    expect((await change(tier.id, { usage_caps: { api_calls: 200 }, if_version: 1 })).status).toBe(200)
    const late = { usage_caps: { api_calls: 100, seats: 5 }, if_version: 1 }
    expect(await change(tier.id, late)).toMatchObject({
      status: 409,
      body: { code: 'changed_meanwhile', newest_version: 2 },
    })
    expect(await preview(tier.id, late)).toMatchObject({ status: 409, body: { code: 'changed_meanwhile' } })
    expect(await change(tier.id, { name: 'Both', if_version: 2 })).toMatchObject({
      status: 200,
      body: { name: 'Both', version: 2, usage_caps: { api_calls: { limit: 200 } } },
    })
    expect((await change(tier.id, { if_version: 0 })).status).toBe(422)
    const both = await Promise.all([
      change(tier.id, { price: 20, if_version: 2 }),
      change(tier.id, { price: 30, if_version: 2 }),
    ])
    expect(both.map(({ status }) => status).sort()).toEqual([200, 409])
  })
})
