// What a customer does by itself in the portal: looks back and ahead, asks for a tier, takes one where the tenant lets it.
import { beforeAll, describe, expect, test } from 'vitest'
import { GET as getBalance } from '@/app/api/v1/customers/[id]/balance/route'
import { POST as postGrant } from '@/app/api/v1/customers/[id]/grants/route'
import { GET as getSubscription, PUT as putSubscription } from '@/app/api/v1/customers/[id]/subscription/route'
import { GET as listFeatures, POST as postFeature } from '@/app/api/v1/features/route'
import { POST as postMeter } from '@/app/api/v1/meters/route'
import { GET as getOverview } from '@/app/api/v1/portal/overview/route'
import { GET as getTiers } from '@/app/api/v1/portal/tiers/route'
import { DELETE as withdraw } from '@/app/api/v1/portal/upgrade-requests/[id]/route'
import { POST as ask } from '@/app/api/v1/portal/upgrade-requests/route'
import { GET as getUsage } from '@/app/api/v1/portal/usage/route'
import { PATCH as patchTier } from '@/app/api/v1/tiers/[id]/route'
import { POST as postTier } from '@/app/api/v1/tiers/route'
import { PATCH as decide } from '@/app/api/v1/upgrade-requests/[id]/route'
import { GET as listRequests } from '@/app/api/v1/upgrade-requests/route'
import { POST as trackRoute } from '@/app/api/v1/usage/track/route'
import { upgradeSink } from '@/features/upgrade-requests/jobs/upgrade-sink'
import { tenantQuery } from '@/libs/db/tenant-db'
import { forgetEnv } from '@/libs/env'
import { findTenantRouting, routeTenant, type TenantRouting } from '@/libs/tenancy/resolve-tenant'
import { runInTenant } from '@/libs/tenancy/tenant-context'
import { waitForSteadyDay } from '../support/steady-day'
import { whileLocked } from '../support/while-locked'
import { asSuperuser, call, createWorld, type RequestOptions, setStatus } from '../support/world'

const { acme, globex } = await createWorld()
await waitForSteadyDay()
const admin = { as: acme.users.admin, tenant: acme }
const customer: RequestOptions = { as: acme.users.customer, tenant: acme }
const id = acme.customer.id
const ofCustomer = { ...admin, params: { id } }

const tiers = (options = customer) => call(getTiers, 'GET', '/api/v1/portal/tiers', options)
const usage = (query = '', options = customer) => call(getUsage, 'GET', `/api/v1/portal/usage${query}`, options)
const wish = (body: unknown, options = customer) =>
  call(ask, 'POST', '/api/v1/portal/upgrade-requests', { ...options, body })
const requests = (query = '', options: RequestOptions = admin) =>
  call(listRequests, 'GET', `/api/v1/upgrade-requests${query}`, options)
const answer = (request: string, status: string, options: RequestOptions = admin) =>
  call(decide, 'PATCH', '/api/v1/upgrade-requests/x', { ...options, body: { status }, params: { id: request } })
const subscription = () => call(getSubscription, 'GET', '/api/v1/customers/x/subscription', ofCustomer)
const subscribe = (body: unknown) =>
  call(putSubscription, 'PUT', '/api/v1/customers/x/subscription', { ...ofCustomer, body })
const track = (event_value: number, at?: Date) =>
  call(trackRoute, 'POST', '/api/v1/usage/track', {
    as: acme.api_key,
    body: {
      meter_id: 'api_calls',
      user_id: acme.customer.external_id,
      event_value,
      ...(at ? { timestamp: at.toISOString() } : {}),
    },
  })

/** What the worker would do with the messages that wait for it. */
async function deliver(): Promise<{ to: string; subject: string }[]> {
  const routing = await findTenantRouting({ id: acme.id })
  if (!routing) throw new Error('acme is gone')
  const waiting = await asSuperuser<{ id: string; payload: unknown }>(
    "select id, payload from outbox where tenant_id = $1 and topic = 'upgrades' order by id",
    [acme.id],
  )
  const messages = waiting.map((message) => ({ ...message, topic: 'upgrades', attempts: 1, created_at: new Date() }))
  await asSuperuser("delete from outbox where tenant_id = $1 and topic = 'email'", [acme.id])
  // Twice: a message may come again.
  for (const _round of [1, 2]) expect(await upgradeSink.deliver(messages, routing)).toEqual([])
  return asSuperuser(
    `select payload ->> 'to' as to, payload -> 'data' ->> 'subject' as subject from outbox where tenant_id = $1 and topic = 'email' order by 1`,
    [acme.id],
  )
}

beforeAll(async () => {
  for (const body of [
    { name: 'Small', price: 10, usage_caps: { api_calls: 100 } },
    { name: 'Large', price: 50, usage_caps: { api_calls: 1000 }, feature_entitlements: ['sso'] },
    { name: 'Open', price: 20, usage_caps: { api_calls: 200 }, self_service: true },
  ])
    expect((await call(postTier, 'POST', '/api/v1/tiers', { ...admin, body })).status).toBe(201)
  await subscribe({ tier: 'small' })
})

describe('who may', () => {
  test.each([
    ['nobody', { tenant: acme }, 401],
    ['a customer of another tenant', { as: globex.users.customer, tenant: acme }, 404],
    ['a member', { as: acme.users.member, tenant: acme }, 403],
  ] as [string, RequestOptions, number][])('%s: %s', async (_who, options, status) => {
    expect((await tiers(options)).status).toBe(status)
    expect((await usage('', options)).status).toBe(status)
    expect((await wish({ tier: 'large' }, options)).status).toBe(status)
  })
  test('a customer does not see or decide what others asked', async () => {
    expect((await requests('', customer)).status).toBe(403)
    expect((await answer(id, 'accepted', customer)).status).toBe(403)
  })
})

describe('asking', () => {
  test('the tiers, the cheapest first, with the own one marked', async () => {
    const { body } = await tiers()
    expect(body).toMatchObject({
      open_request: null,
      data: [
        { slug: 'small', present: true, caps: [{ meter: 'api_calls', limit: 100 }] },
        { slug: 'open', present: false, self_service: true },
        { slug: 'large', present: false, self_service: false, features: [{ key: 'sso' }] },
      ],
    })
  })
  test('the own tier is shown in the version one has', async () => {
    await call(patchTier, 'PATCH', '/api/v1/tiers/small', { ...admin, body: { price: 15 }, params: { id: 'small' } })
    expect((await tiers()).body.data[0]).toMatchObject({ slug: 'small', present: true, price: 10 })
  })
  test.each([
    [{ tier: 'nothing' }, '/tier'],
    [{}, '/tier'],
    [{ tier: 'large', note: '' }, '/note'],
  ])('%j is invalid at %s', async (body, pointer) => {
    const wrong = await wish(body)
    expect(wrong.status).toBe(422)
    expect(wrong.body.errors[0].pointer).toBe(pointer)
  })
  test('the tenant hears of it, once, and the customer of the answer', async () => {
    const asked = await wish({ tier: 'large', note: 'We grow' })
    expect(asked).toMatchObject({
      status: 201,
      body: { status: 'open', tier: { slug: 'large' }, note: 'We grow', requested_by: acme.users.customer.email },
    })
    expect((await wish({ tier: 'large' })).body.id).toBe(asked.body.id)
    expect((await tiers()).body.open_request).toMatchObject({ id: asked.body.id })
    expect((await requests('?status=open')).body.data).toMatchObject([
      { id: asked.body.id, customer: { external_id: acme.customer.external_id } },
    ])
    const admins = [acme.users.admin.email, acme.users.owner.email].sort()
    expect((await deliver()).map(({ to }) => to)).toEqual(admins)
    expect((await subscription()).body.tier.slug).toBe('small')

    expect((await answer(asked.body.id, 'accepted')).body).toMatchObject({ status: 'accepted' })
    expect((await subscription()).body.tier.slug).toBe('large')
    expect((await answer(asked.body.id, 'accepted')).status).toBe(200)
    expect((await answer(asked.body.id, 'declined')).status).toBe(409)
    expect((await deliver()).map(({ to }) => to)).toEqual([acme.users.customer.email])
    const topics = await asSuperuser<{ topic: string; payload: { status: string } }>(
      "select topic, payload from outbox where tenant_id = $1 and topic like 'upgrade.%' order by id",
      [acme.id],
    )
    expect(topics).toMatchObject([
      { topic: 'upgrade.requested', payload: { status: 'open', tier: 'large' } },
      { topic: 'upgrade.decided', payload: { status: 'accepted', tier: 'large' } },
    ])
    await subscribe({ tier: 'small', version: 1 })
  })
  test('where tenants have no subdomains, the answer leads to their own domain, or nowhere', async () => {
    const portalLinks = async () => {
      const asked = await wish({ tier: 'large' })
      await deliver()
      await answer(asked.body.id, 'declined')
      await deliver()
      const mails = await asSuperuser<{ url: string | null }>(
        "select payload -> 'data' -> 'action' ->> 'url' as url from outbox where tenant_id = $1 and topic = 'email' and payload ->> 'to' = $2",
        [acme.id, acme.users.customer.email],
      )
      return mails.map(({ url }) => url)
    }
    process.env.TENANT_SUBDOMAIN_ENABLED = 'false'
    forgetEnv()
    try {
      expect(await portalLinks()).toEqual([null])
      await asSuperuser(
        "insert into domains (tenant_id, id, hostname, status, verified_at) values ($1, gen_random_uuid(), 'portal.acme.test', 'verified', now())",
        [acme.id],
      )
      expect(await portalLinks()).toEqual(['http://portal.acme.test:3000/'])
    } finally {
      delete process.env.TENANT_SUBDOMAIN_ENABLED
      forgetEnv()
    }
    expect(await portalLinks()).toEqual(['http://acme.localhost:3000/'])
  })
  test('a repeat under an Idempotency-Key is the first answer again, also after it was withdrawn', async () => {
    const headers = { 'idempotency-key': 'ask-once' }
    const first = await wish({ tier: 'large' }, { ...customer, headers })
    await call(withdraw, 'DELETE', '/api/v1/portal/upgrade-requests/x', { ...customer, params: { id: first.body.id } })
    const again = await wish({ tier: 'large' }, { ...customer, headers })
    expect([first.status, again.status, again.text]).toEqual([201, 201, first.text])
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect((await requests('?status=open')).body.data).toEqual([])
    expect(await wish({ tier: 'open' }, { ...customer, headers })).toMatchObject({
      status: 422,
      body: { code: 'idempotency_mismatch' },
    })
  })
  test('another wish takes the place of the first; it can be withdrawn', async () => {
    const first = await wish({ tier: 'large' })
    const newer = await wish({ tier: 'small' })
    expect(newer.body).toMatchObject({ status: 'open', tier: { slug: 'small' } })
    expect((await requests('?status=withdrawn')).body.data[0].id).toBe(first.body.id)
    const back = () =>
      call(withdraw, 'DELETE', '/api/v1/portal/upgrade-requests/x', { ...customer, params: { id: newer.body.id } })
    expect((await back()).body.status).toBe('withdrawn')
    expect((await back()).body.status).toBe('withdrawn')
    expect((await answer(newer.body.id, 'accepted')).status).toBe(409)
    expect((await tiers()).body.open_request).toBeNull()
  })
})

test('what the tenant decides at the same moment is not said to be withdrawn', async () => {
  const { id: request } = (await wish({ tier: 'large' })).body
  const late = await whileLocked(
    `set local session_replication_role = replica;
     update upgrade_requests set status = 'declined', decided_at = now() where id = '${request}'`,
    () => call(withdraw, 'DELETE', '/api/v1/portal/upgrade-requests/x', { ...customer, params: { id: request } }),
  )
  expect(late).toMatchObject({ status: 409, body: { code: 'conflict' } })
  expect((await requests('?status=declined')).body.data).toContainEqual(expect.objectContaining({ id: request }))
})

const aDayLater = () =>
  asSuperuser("update upgrade_requests set created_at = created_at - interval '1 day' where tenant_id = $1", [acme.id])

test('what is asked for, taken or decided ten times at one moment is so once, with one answer', async () => {
  const same = async (act: () => ReturnType<typeof wish>, status: number) => {
    const answers = await Promise.all(Array.from({ length: 10 }, act))
    expect(answers.map((each) => each.status)).toEqual(Array(10).fill(status))
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
    return answers[0]?.body
  }
  const told = () =>
    asSuperuser("select id from outbox where tenant_id = $1 and topic like 'upgrade.%'", [acme.id]).then(
      ({ length }) => length,
    )
  const before = await told()
  await subscribe({ tier: 'small' })
  expect(await wish({ tier: 'small' })).toMatchObject({ status: 422, body: { errors: [{ pointer: '/tier' }] } })
  const asked = await same(() => wish({ tier: 'large' }), 201)
  expect(await told()).toBe(before + 1)
  await same(() => answer(asked.id, 'accepted'), 200)
  expect(await told()).toBe(before + 2)
  expect(await same(() => wish({ tier: 'open' }), 201)).toMatchObject({ status: 'accepted' })
  expect(await told()).toBe(before + 3)
  expect(await same(() => subscribe({ tier: 'small' }), 200)).toMatchObject({ tier: { slug: 'small' } })
  await aDayLater()
})

test('who asks and withdraws without end stops being heard', async () => {
  const asked = async () => {
    const { status, body, headers } = await wish({ tier: 'often' })
    if (status === 201)
      await call(withdraw, 'DELETE', '/api/v1/portal/upgrade-requests/x', { ...customer, params: { id: body.id } })
    return [status, Number(headers.get('retry-after')) > 80_000]
  }
  expect(
    (await call(postTier, 'POST', '/api/v1/tiers', { ...admin, body: { slug: 'often', name: 'Often' } })).status,
  ).toBe(201)
  const answers: unknown[] = []
  for (let time = 0; time < 11; time += 1) answers.push(await asked())
  expect(answers).toContainEqual([201, false])
  expect(answers.at(-1)).toEqual([429, true])
  await aDayLater()
  expect(await asked()).toEqual([201, false])
})

describe('taking', () => {
  test('who is archived asks for nothing, and takes nothing', async () => {
    const archived = (to: string | null) =>
      asSuperuser('update customers set archived_at = $2 where id = $1', [acme.customer.id, to])
    await archived('2026-01-01')
    const before = (await subscription()).body
    expect(await wish({ tier: 'open' })).toMatchObject({
      status: 409,
      body: { detail: 'This customer is archived, and gets no other tier.' },
    })
    expect((await subscription()).body).toEqual(before)
    await archived(null)
  })

  test('a wish for a tier that was archived meanwhile cannot be granted, and is still there to decline', async () => {
    await call(postTier, 'POST', '/api/v1/tiers', { ...admin, body: { slug: 'gone', name: 'Gone', price: 1 } })
    const wished = await wish({ tier: 'gone' })
    const archive = (archived: boolean) =>
      call(patchTier, 'PATCH', '/api/v1/tiers/gone', { ...admin, params: { id: 'gone' }, body: { archived } })
    expect((await archive(true)).status).toBe(200)
    expect(await answer(wished.body.id, 'accepted')).toMatchObject({
      status: 409,
      body: { code: 'conflict', detail: 'Gone was archived since it was asked for: bring it back, or decline.' },
    })
    expect((await requests('?status=open')).body.data).toMatchObject([{ id: wished.body.id }])
    expect((await answer(wished.body.id, 'declined')).body).toMatchObject({ status: 'declined' })
  })

  test('a tier that customers may take holds at once', async () => {
    const headers = { 'idempotency-key': 'take-once' }
    const taken = await wish({ tier: 'open' }, { ...customer, headers })
    expect(taken).toMatchObject({ status: 201, body: { status: 'accepted', tier: { slug: 'open' } } })
    expect((await subscription()).body).toMatchObject({ tier: { slug: 'open' }, source: 'subscription' })
    expect((await wish({ tier: 'open' }, { ...customer, headers })).text).toBe(taken.text)
    // Taken again it is what it was; given by the tenant it is none that one may ask for.
    expect((await wish({ tier: 'open' })).text).toBe(taken.text)
    const [logged] = await asSuperuser<{ actor_kind: string; actor_id: string }>(
      "select actor_kind, actor_id from audit_logs where tenant_id = $1 and action = 'subscription.created' order by id desc limit 1",
      [acme.id],
    )
    expect(logged).toEqual({ actor_kind: 'customer', actor_id: acme.users.customer.id })
  })
  test('while the tenant is read-only nothing is asked for or taken', async () => {
    const remembered = await routeTenant(acme.id)
    await setStatus(acme, 'read_only')
    const refused = [await wish({ tier: 'large' }), await wish({ tier: 'small' })]
    // The database refuses as well, whatever is remembered of the tenant.
    const late = await asCustomer(ASK, remembered).catch((error: unknown) => error)
    await setStatus(acme, 'active')
    expect(late).toMatchObject({ code: 'tenant_read_only' })
    expect(refused.map(({ status, body }) => [status, body.code])).toEqual(Array(2).fill([423, 'tenant_read_only']))
    expect((await tiers()).body.open_request).toBeNull()
  })
  test('the database lets a customer do nothing but ask', async () => {
    await expect(
      asCustomer(
        "insert into subscriptions (id, customer_id, tier_id) select app.uuid_v7(), $1, id from tiers where slug = 'large'",
      ),
    ).rejects.toThrow(/row-level security/)
    await expect(
      asCustomer(
        "insert into upgrade_requests (id, customer_id, tier_id, status, decided_at) select app.uuid_v7(), $1, id, 'accepted', now() from tiers where slug = 'large'",
      ),
    ).rejects.toThrow(/row-level security/)
  })
  test('with grants, the new allowance holds at once and the grant stays', async () => {
    await call(postGrant, 'POST', '/api/v1/customers/x/grants', {
      ...ofCustomer,
      body: { meter: 'api_calls', amount: 30 },
    })
    const balance = () => call(getBalance, 'GET', '/api/v1/customers/x/balance?meter=api_calls', ofCustomer)
    expect((await balance()).body).toMatchObject({ granted: 230, used: 0 })
    await call(patchTier, 'PATCH', '/api/v1/tiers/open', {
      ...admin,
      body: { usage_caps: { api_calls: 500 }, move: true },
      params: { id: 'open' },
    })
    expect((await balance()).body).toMatchObject({ granted: 530, used: 0, overage: 0 })
  })
})

const ASK =
  "insert into upgrade_requests (id, customer_id, tier_id, status) select app.uuid_v7(), $1, id, 'open' from tiers where slug = 'large'"

async function asCustomer(sql: string, tenant: string | TenantRouting = acme.id): Promise<unknown> {
  const actor = {
    id: acme.users.customer.id,
    kind: 'customer' as const,
    permissions: ['portal:read', 'portal:write'],
    customer_id: acme.customer.id,
  }
  return runInTenant(tenant, actor, () => tenantQuery(sql, [acme.customer.id]))
}

describe('usage', () => {
  test('each day, each period, and what is to be expected', async () => {
    const now = Date.now()
    // More than a month ago: in a period before, and too old for the forecast.
    expect((await track(7, new Date(now - 33 * 86_400_000))).body.inserted).toBe(1)
    for (let ago = 10; ago >= 0; ago -= 1) {
      expect((await track(10, new Date(now - ago * 86_400_000))).body.inserted).toBe(1)
    }
    const { status, body } = await usage('?meter=api_calls')
    expect(status).toBe(200)
    expect(body).toMatchObject({ meter: { slug: 'api_calls' }, limit: 530, period: { present: true } })
    const today = new Date().toISOString().slice(0, 10)
    expect(body.days.at(-1)).toEqual({ day: today, used: 10 })
    const total = body.days.reduce((sum: number, day: { used: number }) => sum + day.used, 0)
    expect(body.periods[0]).toMatchObject({ starts_on: body.period.starts_on, used: total })
    expect(body.forecast.days).toBe(10)
    const left = (Date.parse(body.period.ends_on) - Date.parse(today)) / 86_400_000 - 1
    expect(body.forecast.used).toBeGreaterThanOrEqual(total + left * 10)
    expect(body.forecast.used).toBeLessThanOrEqual(total + (left + 1) * 10)
    expect(body.forecast).toMatchObject({ cap_reached: false, cap_hit_on: null })

    const before = body.periods[1]
    const earlier = await usage(`?meter=api_calls&starts_on=${before.starts_on}`)
    expect(earlier.body.period).toMatchObject({ starts_on: before.starts_on, ends_on: before.ends_on, present: false })
    expect(earlier.body.days).toHaveLength((Date.parse(before.ends_on) - Date.parse(before.starts_on)) / 86_400_000)
  })
  test('begins with a meter that concerns the customer, not with the first of the alphabet', async () => {
    const shown = async (options: RequestOptions) => (await usage('', options)).body.meter?.slug
    const make = async (name: string, options: RequestOptions) =>
      expect((await call(postMeter, 'POST', '/api/v1/meters', { ...options, body: { name, slug: name } })).status).toBe(
        201,
      )
    const other = { as: globex.users.customer, tenant: globex }
    for (const name of ['aaa_idle', 'aab_used']) {
      await make(name, admin)
      await make(name, { as: globex.users.admin, tenant: globex })
    }
    expect(await shown(other)).toBe('aaa_idle')
    for (const { api_key, customer } of [acme, globex]) {
      const body = { meter_id: 'aab_used', user_id: customer.external_id }
      expect((await call(trackRoute, 'POST', '/api/v1/usage/track', { as: api_key, body })).body.inserted).toBe(1)
    }
    expect(await shown(other)).toBe('aab_used')
    expect(await shown(customer)).toBe('api_calls')
  })
  test.each([
    ['?meter=nothing', '/meter'],
    ['?starts_on=2026-01-17', '/starts_on'],
    ['?starts_on=2099-01-01', '/starts_on'],
    ['?starts_on=yesterday', '/starts_on'],
  ])('%s is invalid at %s', async (query, pointer) => {
    const wrong = await usage(query)
    expect(wrong.status).toBe(422)
    expect(wrong.body.errors[0].pointer).toBe(pointer)
  })
})

describe('features go by their names', () => {
  const named = async (slug: string) => (await tiers()).body.data.find((tier: { slug: string }) => tier.slug === slug)

  test('in what the customer has and may have, its own tenant alone', async () => {
    const post = (as: string, key: string, name: string) =>
      call(postFeature, 'POST', '/api/v1/features', { as, body: { key, name } })
    expect((await post(globex.api_key, 'sso', 'Not of this tenant')).status).toBe(201)
    expect((await named('large')).features).toEqual([{ key: 'sso', name: 'sso' }])
    expect((await post(acme.api_key, 'sso', 'Single sign-on')).status).toBe(201)
    expect((await named('large')).features).toEqual([{ key: 'sso', name: 'Single sign-on' }])
    await subscribe({ tier: 'large' })
    const { body } = await call(getOverview, 'GET', '/api/v1/portal/overview', customer)
    expect(body.features).toEqual([{ key: 'sso', name: 'Single sign-on', config: null }])
  })
  test('which is all a customer can do with features', async () => {
    expect((await call(listFeatures, 'GET', '/api/v1/features', customer)).status).toBe(403)
    const actor = {
      id: acme.users.customer.id,
      kind: 'customer' as const,
      permissions: ['portal:read'],
      customer_id: id,
    }
    const asCustomer = (sql: string) => runInTenant(acme.id, { ...actor, label: 'customer' }, () => tenantQuery(sql))
    expect(await asCustomer('select name from features')).toEqual([{ name: 'Single sign-on' }])
    await expect(
      asCustomer("insert into features (id, key, name) values (gen_random_uuid(), 'x', 'x')"),
    ).rejects.toThrow(/row-level security/)
    await asCustomer("update features set name = 'mine'")
    expect(await asCustomer('select name from features')).toEqual([{ name: 'Single sign-on' }])
  })
})
