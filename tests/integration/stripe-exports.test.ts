// Usage goes to the tenant's own account at Stripe, all of it and nothing twice, through the real client of Stripe to a server on
// loopback that keeps Stripe's rules.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { POST as postMeter } from '@/app/api/v1/meters/route'
import { PUT as putCustomer } from '@/app/api/v1/stripe-exports/[id]/customers/[customer]/route'
import { GET as getCustomers } from '@/app/api/v1/stripe-exports/[id]/customers/route'
import { POST as postRetry } from '@/app/api/v1/stripe-exports/[id]/deliveries/[delivery]/retry/route'
import { POST as postSkip } from '@/app/api/v1/stripe-exports/[id]/deliveries/[delivery]/skip/route'
import { POST as postRetryAll } from '@/app/api/v1/stripe-exports/[id]/deliveries/retry/route'
import { GET as getDeliveries } from '@/app/api/v1/stripe-exports/[id]/deliveries/route'
import { DELETE as deleteMeter, PUT as putMeter } from '@/app/api/v1/stripe-exports/[id]/meters/[meter]/route'
import { GET as getMeters } from '@/app/api/v1/stripe-exports/[id]/meters/route'
import { POST as postPush } from '@/app/api/v1/stripe-exports/[id]/push/route'
import { DELETE as disconnect, GET as getExport, PATCH as patchExport } from '@/app/api/v1/stripe-exports/[id]/route'
import { POST as connect, GET as getExports } from '@/app/api/v1/stripe-exports/route'
import { POST as correct } from '@/app/api/v1/usage/correct/route'
import { POST as track } from '@/app/api/v1/usage/track/route'
import { pushToStripe, stripeSink, visitStripeAccount } from '@/features/stripe-exports/jobs/push-to-stripe'
import { forgetEnv } from '@/libs/env'
import { startOutboxWorker } from '@/libs/jobs/outbox-worker'
import { findTenantRouting } from '@/libs/tenancy/resolve-tenant'
import { bundleProcess } from '@/processes/dev-stack/bundle'
import { inRepository } from '@/processes/dev-stack/repository'
import { startStripeServer } from '../support/stripe-server'
import { type Answer, asSuperuser, call, createTenant, createWorld, type TestTenant } from '../support/world'

const { acme, globex, stranger } = await createWorld()
const stripe = await startStripeServer()
afterAll(() => stripe.stop())
process.env.STRIPE_API_BASE = stripe.url
process.env.ENCRYPTION_KEYS = randomBytes(32).toString('base64')
forgetEnv()

const base = '/api/v1/stripe-exports'
type Handler = Parameters<typeof call>[0]
type Row = Record<string, never> & ReturnType<typeof JSON.parse>
const ask = (
  handler: Handler,
  method: string,
  path: string,
  params = {},
  body?: unknown,
  tenant = acme,
): Promise<Answer> =>
  call(handler, method, `${base}${path}`, {
    as: tenant.api_key,
    params,
    ...(body === undefined ? {} : { body }),
  })
let keys = 0
/** A key that the server takes for an account. */
function makeKey(account: string, mode = 'test'): string {
  const key = `sk_${mode}_key${account}${String(++keys).padStart(6, '0')}`
  stripe.keys.set(key, account)
  return key
}
/** Lets the worker look now, whatever the clock says; everything that waits is due. */
async function visit(tenant: TestTenant = acme): Promise<boolean> {
  await asSuperuser(`update stripe_exports set due_at = now(), paused_until = null where tenant_id = $1`, [tenant.id])
  await asSuperuser(
    `update stripe_deliveries set next_attempt_at = now() where tenant_id = $1 and status = 'pending'`,
    [tenant.id],
  )
  const routing = await findTenantRouting({ id: tenant.id })
  if (!routing) throw new Error('no tenant')
  return visitStripeAccount(routing)
}
async function push(id: string, tenant: TestTenant = acme): Promise<void> {
  expect((await ask(postPush, 'POST', `/${id}/push`, { id }, undefined, tenant)).status).toBe(200)
  await visit(tenant)
}
async function connectTo(account: string, meters: string[], tenant: TestTenant = acme): Promise<string> {
  const answer = await ask(connect, 'POST', '', {}, { secret_key: makeKey(account) }, tenant)
  expect([answer.status, answer.body.detail]).toEqual([201, undefined])
  const { id } = answer.body
  await visit(tenant)
  for (const meter of meters) {
    stripe.meters.add(`${account} ${meter}`)
    const mapped = await ask(putMeter, 'PUT', `/${id}/meters/${meter}`, { id, meter }, {}, tenant)
    expect([mapped.status, mapped.body.detail]).toEqual([200, undefined])
  }
  return id
}
const stateOf = async (id: string, tenant = acme): Promise<Row> =>
  (await ask(getExport, 'GET', `/${id}`, { id }, undefined, tenant)).body
const deliveries = async (id: string, query = '', tenant = acme): Promise<Row[]> =>
  (await ask(getDeliveries, 'GET', `/${id}/deliveries${query}`, { id }, undefined, tenant)).body.data
async function use(body: unknown, tenant = acme): Promise<void> {
  const answer = await call(track, 'POST', '/api/v1/usage/track', { as: tenant.api_key, body })
  expect([answer.status, answer.body.rejected]).toEqual([200, []])
}
const makeMeters = async (tenant: TestTenant): Promise<void> => {
  for (const [slug, aggregation] of [
    ['tokens', 'SUM'],
    ['calls', 'COUNT'],
    ['peak', 'MAX'],
  ]) {
    const body = {
      slug,
      name: slug,
      unit: '',
      aggregation,
      ...(aggregation === 'SUM' ? { allows_negative: true } : {}),
    }
    const answer = await call(postMeter, 'POST', '/api/v1/meters', { as: tenant.api_key, body })
    expect([answer.status, answer.body.detail]).toEqual([201, undefined])
  }
}
/** A tenant of its own with a connection, for what must not mix. */
let made = 0
async function arrange(): Promise<{ tenant: TestTenant; account: string; id: string }> {
  made += 1
  const tenant = await createTenant(`shop-${made}`)
  await makeMeters(tenant)
  const account = `acct${made}`
  return { tenant, account, id: await connectTo(account, ['tokens', 'calls'], tenant) }
}
const ago = (hours: number): string => new Date(Date.now() - hours * 3_600_000).toISOString()

beforeAll(async () => {
  await makeMeters(acme)
  await makeMeters(globex)
})
beforeEach(() => {
  stripe.react = () => 'serve'
})

describe('who may', () => {
  test.each([
    ['nobody', { tenant: acme }, 401],
    ['a stranger', { as: stranger, tenant: acme }, 404],
    ['an owner of another tenant', { as: globex.users.owner, tenant: acme }, 404],
    ['a customer', { as: acme.users.customer, tenant: acme }, 403],
    ['a member', { as: acme.users.member, tenant: acme }, 403],
    ['a compliance officer', { as: acme.users.compliance, tenant: acme }, 403],
  ])('%s may not', async (_who, options, status) => {
    expect((await call(getExports, 'GET', base, options)).status).toBe(status)
    expect((await call(connect, 'POST', base, { ...options, body: { secret_key: 'sk_test_12345678' } })).status).toBe(
      status,
    )
  })
  test('owners and admins may', async () => {
    for (const as of [acme.users.owner, acme.users.admin])
      expect((await call(getExports, 'GET', base, { as, tenant: acme })).body).toEqual({ data: [], next_cursor: null })
  })
})

describe('without a connection', () => {
  test('nothing is sent, whatever is used', async () => {
    await use({ meter_id: 'tokens', user_id: 'ada', event_value: 5 })
    const before = stripe.calls.length
    expect(await pushToStripe(new AbortController().signal)).toEqual({ visits: 0 })
    expect(await visit()).toBe(false)
    expect(stripe.calls.length).toBe(before)
  })
  test('without ENCRYPTION_KEYS no key is taken', async () => {
    const keysBefore = process.env.ENCRYPTION_KEYS
    process.env.ENCRYPTION_KEYS = ''
    forgetEnv()
    const answer = await ask(connect, 'POST', '', {}, { secret_key: 'sk_test_12345678' })
    process.env.ENCRYPTION_KEYS = keysBefore
    forgetEnv()
    expect([answer.status, answer.body.detail]).toEqual([409, expect.stringContaining('ENCRYPTION_KEYS')])
  })
})

describe('connecting', () => {
  test.each([
    [{}, '/secret_key'],
    [{ secret_key: 'pk_test_12345678' }, '/secret_key'],
    [{ secret_key: 'sk_test_1\n2345678' }, '/secret_key'],
    [{ secret_key: `sk_test_${'x'.repeat(600)}` }, '/secret_key'],
  ])('refuses %j', async (body, pointer) => {
    const answer = await ask(connect, 'POST', '', {}, body)
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([422, pointer])
  })

  test('a key that Stripe does not know is refused, with what Stripe says', async () => {
    const tenant = await createTenant('wrong-key')
    const { body } = await ask(connect, 'POST', '', {}, { secret_key: 'sk_test_unknown1' }, tenant)
    expect(body).toMatchObject({ status: 'checking', mode: 'test', last_four: 'own1', account_id: null })
    await visit(tenant)
    expect(await stateOf(body.id, tenant)).toMatchObject({
      status: 'refused',
      last_error: expect.stringContaining('Invalid API Key'),
    })
    const patched = await ask(
      patchExport,
      'PATCH',
      `/${body.id}`,
      { id: body.id },
      { secret_key: makeKey('late') },
      tenant,
    )
    expect(patched.body.status).toBe('checking')
    await visit(tenant)
    expect(await stateOf(body.id, tenant)).toMatchObject({ status: 'connected', account_id: 'late', last_error: null })
  })

  test('the worker is told at once; the key is kept sealed, shown to nobody and not in the record', async () => {
    const tenant = await createTenant('sealed')
    const secret_key = makeKey('sealed')
    const answer = await ask(connect, 'POST', '', {}, { secret_key }, tenant)
    const worker = startOutboxWorker({ sinks: [stripeSink], pollMs: 50 })
    for (let tries = 0; tries < 400 && (await stateOf(answer.body.id, tenant)).status === 'checking'; tries += 1)
      await sleep(50)
    await worker.stop()
    expect(await stateOf(answer.body.id, tenant)).toMatchObject({
      status: 'connected',
      account_id: 'sealed',
      account_name: 'Shop sealed',
      last_four: secret_key.slice(-4),
    })
    const rows = await asSuperuser<{ text: string }>(
      `select (select string_agg(x::text, ' ') from stripe_exports x where tenant_id = $1)
         || coalesce((select string_agg(a::text, ' ') from audit_logs a where tenant_id = $1), '')
         || coalesce((select string_agg(a::text, ' ') from audit_details a where tenant_id = $1), '')
         || coalesce((select string_agg(i::text, ' ') from idempotency_keys i where tenant_id = $1), '') as text`,
      [tenant.id],
    )
    expect(rows[0]?.text).toContain('stripe_export.connected')
    expect(rows[0]?.text).not.toContain(secret_key)
    expect(answer.text).not.toContain(secret_key)
    // Sealed for its row: in another tenant's row it does not open.
    const other = await createTenant('thief')
    const stolen = await ask(connect, 'POST', '', {}, { secret_key: makeKey('thief') }, other)
    await asSuperuser(
      `update stripe_exports set secret = (select secret from stripe_exports where tenant_id = $1) where tenant_id = $2`,
      [tenant.id, other.id],
    )
    const before = stripe.calls.length
    await visit(other)
    expect(stripe.calls.length).toBe(before)
    expect((await stateOf(stolen.body.id, other)).last_error).toContain('cannot be read')
  })

  test('one account at a time; another one needs a disconnect, which forgets the key', async () => {
    const { tenant, id } = await arrange()
    expect((await ask(connect, 'POST', '', {}, { secret_key: makeKey('second') }, tenant)).status).toBe(409)
    await ask(patchExport, 'PATCH', `/${id}`, { id }, { secret_key: makeKey('second') }, tenant)
    await visit(tenant)
    expect(await stateOf(id, tenant)).toMatchObject({
      status: 'refused',
      last_error: expect.stringContaining('Disconnect'),
    })
    const live = await ask(patchExport, 'PATCH', `/${id}`, { id }, { secret_key: makeKey('second', 'live') }, tenant)
    expect([live.status, live.body.errors[0].pointer]).toEqual([422, '/secret_key'])
    expect((await ask(disconnect, 'DELETE', `/${id}`, { id }, undefined, tenant)).body.status).toBe('disconnected')
    expect(await asSuperuser('select secret from stripe_exports where id = $1', [id])).toEqual([{ secret: null }])
    expect((await ask(disconnect, 'DELETE', `/${id}`, { id }, undefined, tenant)).status).toBe(409)
    expect((await ask(connect, 'POST', '', {}, { secret_key: makeKey('second') }, tenant)).status).toBe(201)
  })

  test('ids of another tenant lead nowhere', async () => {
    const { id } = await arrange()
    for (const answer of [
      await ask(getExport, 'GET', `/${id}`, { id }),
      await ask(patchExport, 'PATCH', `/${id}`, { id }, { enabled: false }),
      await ask(postPush, 'POST', `/${id}/push`, { id }),
      await ask(getDeliveries, 'GET', `/${id}/deliveries`, { id }),
      await ask(putMeter, 'PUT', `/${id}/meters/tokens`, { id, meter: 'tokens' }, {}),
    ])
      expect(answer.status).toBe(404)
  })
})

describe('meters', () => {
  test('what adds up can be mapped, each name once; the rest says why not', async () => {
    const { tenant, id } = await arrange()
    const put = (meter: string, body: unknown) =>
      ask(putMeter, 'PUT', `/${id}/meters/${meter}`, { id, meter }, body, tenant)
    const list = (await ask(getMeters, 'GET', `/${id}/meters`, { id }, undefined, tenant)).body.data
    expect(list.map((row: Row) => [row.meter.slug, row.mapped, row.event_name, row.reason !== null])).toEqual([
      ['calls', true, 'calls', false],
      ['peak', false, 'peak', true],
      ['tokens', true, 'tokens', false],
    ])
    expect((await put('peak', {})).body.errors[0].pointer).toBe('/meter')
    expect((await put('calls', { event_name: 'tokens' })).body.errors[0].detail).toContain('tokens')
    expect((await put('calls', { from: ago(1) })).body.errors[0].pointer).toBe('/from')
    expect((await put('nothing', {})).status).toBe(404)
    expect((await put('calls', { event_name: 'x'.repeat(101) })).status).toBe(422)
    expect((await put('calls', { event_name: 'renamed' })).body).toMatchObject({ event_name: 'renamed', enabled: true })
    expect(
      (await ask(deleteMeter, 'DELETE', `/${id}/meters/calls`, { id, meter: 'calls' }, undefined, tenant)).status,
    ).toBe(204)
    expect((await put('calls', { from: ago(36 * 24) })).body.errors[0].pointer).toBe('/from')
    expect((await put('calls', { from: ago(-1) })).body.errors[0].pointer).toBe('/from')
    expect((await put('calls', { from: ago(24) })).status).toBe(200)
  })
})

describe('pushing', () => {
  test('what came in since the mapping goes, by customer and hour, as Stripe wants it', async () => {
    const { tenant, account, id } = await arrange()
    const hour = new Date(Date.now() - 5 * 3_600_000)
    hour.setUTCMinutes(0, 0, 0)
    const at = (minutes: number) => new Date(hour.getTime() + minutes * 60_000).toISOString()
    await use(
      [
        { meter_id: 'tokens', user_id: 'ada', event_value: 5, timestamp: at(1) },
        { meter_id: 'tokens', user_id: 'ada', event_value: 7, timestamp: at(59) },
        { meter_id: 'tokens', user_id: 'ada', event_value: 11, timestamp: at(61) },
        { meter_id: 'tokens', user_id: 'bob', event_value: 13 },
        { meter_id: 'calls', user_id: 'bob', event_value: 99 },
        { meter_id: 'peak', user_id: 'bob', event_value: 99 },
      ],
      tenant,
    )
    const before = stripe.calls.length
    await push(id, tenant)
    const ada = stripe.customerOf(account, 'ada')
    const events = stripe.events.filter((event) => event.account === account)
    expect(events.filter(({ customer }) => customer === ada).map(({ value, timestamp }) => [value, timestamp])).toEqual(
      [
        [12n, hour.getTime() / 1_000 + 3_599],
        [11n, hour.getTime() / 1_000 + 7_199],
      ],
    )
    expect(stripe.total(account, 'tokens', stripe.customerOf(account, 'bob'))).toBe(13n)
    expect(stripe.total(account, 'calls')).toBe(1n)
    expect(events).toHaveLength(4)
    expect(stripe.customers.filter((one) => one.account === account)).toHaveLength(2)
    const sent = stripe.calls.slice(before)
    expect(sent.every(({ idempotency_key }) => idempotency_key)).toBe(true)
    expect(new Set(sent.map(({ idempotency_key }) => idempotency_key)).size).toBe(6)
    expect(sent.find(({ path }) => path === '/v1/customers')?.form).toMatchObject({
      name: 'ada',
      'metadata[external_id]': 'ada',
      'metadata[holdfast_customer]': expect.stringMatching(/^[0-9a-f-]{36}$/),
    })
    expect((await deliveries(id, '', tenant)).map(({ status }) => status)).toEqual(['sent', 'sent', 'sent', 'sent'])
    expect(await stateOf(id, tenant)).toMatchObject({ pending: 0, failed: 0, pushed_at: expect.any(String) })
    // Again: nothing new, nothing sent.
    await push(id, tenant)
    expect(stripe.calls.length).toBe(before + 6)
  })

  test('without being asked it goes once the hour is over, and not before', async () => {
    const { tenant, account, id } = await arrange()
    await use({ meter_id: 'tokens', user_id: 'ada', event_value: 3 }, tenant)
    await asSuperuser(
      `update stripe_meters set cut_at = greatest(cut_at, date_trunc('hour', now(), 'UTC')) where tenant_id = $1`,
      [tenant.id],
    )
    await visit(tenant)
    expect(stripe.total(account, 'tokens')).toBe(0n)
    await asSuperuser(`update stripe_meters set cut_at = cut_at - interval '1 hour' where tenant_id = $1`, [tenant.id])
    await asSuperuser(`update stripe_exports set due_at = now() where tenant_id = $1`, [tenant.id])
    expect((await pushToStripe(new AbortController().signal)).visits).toBeGreaterThan(0)
    expect(stripe.total(account, 'tokens')).toBe(3n)
    const [row] = await asSuperuser<{ later: boolean }>(
      'select due_at > now() as later from stripe_exports where id = $1',
      [id],
    )
    expect(row?.later).toBe(true)
  })

  test('late events and corrections are further increments, also below zero; fractions wait', async () => {
    const { tenant, account, id } = await arrange()
    await use({ meter_id: 'tokens', user_id: 'ada', event_value: '10.6', event_id: 'a', timestamp: ago(3) }, tenant)
    await push(id, tenant)
    expect(stripe.total(account, 'tokens')).toBe(10n)
    await use({ meter_id: 'tokens', user_id: 'ada', event_value: '0.3', timestamp: ago(30 * 24) }, tenant)
    await push(id, tenant)
    expect(stripe.total(account, 'tokens')).toBe(10n)
    await use({ meter_id: 'tokens', user_id: 'ada', event_value: '0.1', timestamp: ago(34.9 * 24) }, tenant)
    await push(id, tenant)
    expect(stripe.total(account, 'tokens')).toBe(11n)
    const body = { action: 'cancel', event_id: 'a' }
    const canceled = await call(correct, 'POST', '/api/v1/usage/correct', { as: tenant.api_key, body })
    expect(canceled.body).toMatchObject({ corrected: 1 })
    await push(id, tenant)
    expect(stripe.total(account, 'tokens')).toBe(0n)
    expect((await deliveries(id, '?limit=1', tenant))[0]).toMatchObject({ amount: -11, events: -1, status: 'sent' })
    expect(
      await asSuperuser('select trim_scale(remainder)::text as left from stripe_remainders where tenant_id = $1', [
        tenant.id,
      ]),
    ).toEqual([{ left: '0.4' }])
  })

  test('what was received before its meter was added is not pushed, nor what is corrected of it', async () => {
    const tenant = await createTenant('before-the-meter')
    await makeMeters(tenant)
    const change = async (body: unknown) =>
      expect((await call(correct, 'POST', '/api/v1/usage/correct', { as: tenant.api_key, body })).body).toMatchObject({
        corrected: 1,
      })
    const early = (event_id: string) => ({ meter_id: 'tokens', user_id: 'ada', event_value: 50, event_id })
    await use([early('canceled'), early('amended'), early('twice'), early('moved')], tenant)
    const id = await connectTo('acctbefore', ['tokens', 'calls'], tenant)
    await use({ ...early('after'), event_value: 30 }, tenant)
    await change({ action: 'cancel', event_id: 'canceled' })
    await change({ action: 'amend', event_id: 'amended', event_value: 10 })
    await change({ action: 'amend', event_id: 'twice', event_value: 70 })
    await change({ action: 'amend', event_id: 'moved', meter_id: 'calls' })
    await push(id, tenant)
    expect([stripe.total('acctbefore', 'tokens'), stripe.total('acctbefore', 'calls')]).toEqual([30n, 0n])
    await change({ action: 'cancel', event_id: 'twice' })
    await change({ action: 'amend', event_id: 'after', event_value: 8 })
    await push(id, tenant)
    await change({ action: 'amend', event_id: 'after', event_value: 12 })
    await push(id, tenant)
    expect([stripe.total('acctbefore', 'tokens'), stripe.total('acctbefore', 'calls')]).toEqual([12n, 0n])
    await change({ action: 'cancel', event_id: 'after' })
    await push(id, tenant)
    expect(stripe.total('acctbefore', 'tokens')).toBe(0n)
  })

  test('a meter that is added once more begins after what was pushed of it, by this connection or one before', async () => {
    const { tenant, account, id } = await arrange()
    const add = (to: string, body: unknown) =>
      ask(putMeter, 'PUT', `/${to}/meters/tokens`, { id: to, meter: 'tokens' }, body, tenant)
    const remove = (from: string) =>
      ask(deleteMeter, 'DELETE', `/${from}/meters/tokens`, { id: from, meter: 'tokens' }, undefined, tenant)
    await use({ meter_id: 'tokens', user_id: 'ada', event_value: 5 }, tenant)
    await push(id, tenant)
    expect((await remove(id)).status).toBe(204)
    await use({ meter_id: 'tokens', user_id: 'ada', event_value: 7 }, tenant)
    const refused = await add(id, { from: ago(1) })
    expect([refused.status, refused.body.errors?.[0].pointer]).toEqual([422, '/from'])
    const [, pushedUntil] = /until (\S+) /.exec(refused.body.errors?.[0].detail) ?? []
    expect((await add(id, { from: pushedUntil })).status).toBe(200)
    await push(id, tenant)
    expect(stripe.total(account, 'tokens')).toBe(12n)

    await ask(disconnect, 'DELETE', `/${id}`, { id }, undefined, tenant)
    const again = (await ask(connect, 'POST', '', {}, { secret_key: makeKey(account) }, tenant)).body.id
    await visit(tenant)
    expect((await add(again, { from: ago(1) })).status).toBe(422)
    await ask(disconnect, 'DELETE', `/${again}`, { id: again }, undefined, tenant)
    const other = (await ask(connect, 'POST', '', {}, { secret_key: makeKey(`${account}other`) }, tenant)).body.id
    await visit(tenant)
    stripe.meters.add(`${account}other tokens`)
    expect((await add(other, { from: ago(1) })).status).toBe(200)
    await push(other, tenant)
    expect(stripe.total(`${account}other`, 'tokens')).toBe(12n)
  })

  test('held back, nothing goes and nothing is lost', async () => {
    const { tenant, account, id } = await arrange()
    await ask(patchExport, 'PATCH', `/${id}`, { id }, { enabled: false }, tenant)
    await use({ meter_id: 'tokens', user_id: 'ada', event_value: 3 }, tenant)
    expect((await ask(postPush, 'POST', `/${id}/push`, { id }, undefined, tenant)).status).toBe(409)
    expect(await visit(tenant)).toBe(false)
    await ask(patchExport, 'PATCH', `/${id}`, { id }, { enabled: true }, tenant)
    await push(id, tenant)
    expect(stripe.total(account, 'tokens')).toBe(3n)
  })

  test('each tenant in its own account alone, though customers have the same names', async () => {
    const first = await arrange()
    const second = await arrange()
    await use({ meter_id: 'tokens', user_id: 'ada', event_value: 5 }, first.tenant)
    await use({ meter_id: 'tokens', user_id: 'ada', event_value: 8 }, second.tenant)
    await push(first.id, first.tenant)
    await push(second.id, second.tenant)
    expect([stripe.total(first.account, 'tokens'), stripe.total(second.account, 'tokens')]).toEqual([5n, 8n])
    expect(stripe.customerOf(first.account, 'ada')).not.toBe(stripe.customerOf(second.account, 'ada'))
    const keyOf = (account: string) => [...stripe.keys].filter(([, owner]) => owner === account).map(([key]) => key)
    const sentWith = stripe.calls.filter(({ form }) => form['payload[value]'] === '8').map(({ key }) => key)
    expect(keyOf(second.account)).toEqual(expect.arrayContaining(sentWith))
  })

  test('a customer that is linked gets the usage; nobody else may be linked to it', async () => {
    const { tenant, account, id } = await arrange()
    stripe.customers.push({ id: `cus_${account}own`, account, name: 'Ada', metadata: {} })
    const link = (customer: string, stripe_customer_id: string) =>
      ask(putCustomer, 'PUT', `/${id}/customers/${customer}`, { id, customer }, { stripe_customer_id }, tenant)
    await use(
      [
        { meter_id: 'tokens', user_id: 'ada', event_value: 5 },
        { meter_id: 'tokens', user_id: 'bob', event_value: 2 },
      ],
      tenant,
    )
    expect((await link('ada', 'ada')).status).toBe(422)
    expect((await link('nobody', `cus_${account}own`)).status).toBe(404)
    expect((await link('ada', `cus_${account}own`)).body).toMatchObject({
      linked: true,
      stripe_customer_id: `cus_${account}own`,
    })
    expect((await link('bob', `cus_${account}own`)).status).toBe(409)
    await push(id, tenant)
    expect(stripe.total(account, 'tokens', `cus_${account}own`)).toBe(5n)
    const rows = (await ask(getCustomers, 'GET', `/${id}/customers?q=b`, { id }, undefined, tenant)).body.data
    expect(rows.map((row: Row) => [row.customer.external_id, row.linked])).toEqual([['bob', false]])
  })
})

describe('when it goes wrong', () => {
  test('429: Retry-After holds the account back, then all of it goes', async () => {
    const { tenant, account, id } = await arrange()
    await use(
      ['a', 'b', 'c'].map((user_id) => ({ meter_id: 'tokens', user_id, event_value: 2 })),
      tenant,
    )
    let calls = 0
    stripe.react = ({ path }) =>
      path.endsWith('meter_events') && ++calls > 1 ? { status: 429, headers: { 'retry-after': '77' } } : 'serve'
    await push(id, tenant)
    const { paused_until, pending, last_error } = await stateOf(id, tenant)
    expect(Date.parse(paused_until) - Date.now()).toBeGreaterThan(70_000)
    expect(Date.parse(paused_until) - Date.now()).toBeLessThan(78_000)
    expect([pending > 0, last_error]).toEqual([true, expect.stringContaining('429')])
    const before = stripe.calls.length
    const routing = await findTenantRouting({ id: tenant.id })
    await asSuperuser('update stripe_exports set due_at = now() where id = $1', [id])
    if (routing) await visitStripeAccount(routing)
    expect(stripe.calls.length).toBe(before)
    stripe.react = () => 'serve'
    await visit(tenant)
    expect(stripe.total(account, 'tokens')).toBe(6n)
    expect(await stateOf(id, tenant)).toMatchObject({ pending: 0, last_error: null, paused_until: null })
  })

  test('a key that is revoked stops it; with a new one everything goes', async () => {
    const { tenant, account, id } = await arrange()
    await use(
      [
        { meter_id: 'tokens', user_id: 'a', event_value: 2 },
        { meter_id: 'tokens', user_id: 'b', event_value: 3 },
      ],
      tenant,
    )
    const revoked = [...stripe.keys].filter(([, owner]) => owner === account)
    for (const [key] of revoked) stripe.keys.delete(key)
    await push(id, tenant)
    expect(await stateOf(id, tenant)).toMatchObject({ status: 'refused', pending: 2, failed: 0 })
    expect((await ask(postPush, 'POST', `/${id}/push`, { id }, undefined, tenant)).status).toBe(409)
    expect(await visit(tenant)).toBe(false)
    await ask(patchExport, 'PATCH', `/${id}`, { id }, { secret_key: makeKey(account) }, tenant)
    await visit(tenant)
    expect(stripe.total(account, 'tokens')).toBe(5n)
  })

  test('what Stripe refuses for good is shown with the reason, and goes when it is sent again', async () => {
    const { tenant, account, id } = await arrange()
    stripe.meters.delete(`${account} tokens`)
    await use(
      [
        { meter_id: 'tokens', user_id: 'a', event_value: 2 },
        { meter_id: 'tokens', user_id: 'b', event_value: 3 },
        { meter_id: 'calls', user_id: 'b' },
      ],
      tenant,
    )
    await push(id, tenant)
    expect(stripe.total(account, 'calls')).toBe(1n)
    const failed = await deliveries(id, '?status=failed', tenant)
    expect(failed.map(({ last_error }) => last_error)).toEqual(
      Array(2).fill(expect.stringContaining('No active meter')),
    )
    await visit(tenant)
    expect(await stateOf(id, tenant)).toMatchObject({ status: 'connected', failed: 2, pending: 0 })
    stripe.meters.add(`${account} tokens`)
    const [first, second] = failed
    const act = (handler: Handler, verb: string, delivery: string) =>
      ask(handler, 'POST', `/${id}/deliveries/${delivery}/${verb}`, { id, delivery }, undefined, tenant)
    expect((await act(postSkip, 'skip', second.id)).body.status).toBe('skipped')
    expect((await act(postRetry, 'retry', second.id)).status).toBe(409)
    expect((await act(postRetry, 'retry', first.id)).body.status).toBe('pending')
    await visit(tenant)
    expect(stripe.total(account, 'tokens')).toBe(BigInt(first.amount))
    expect((await ask(postRetryAll, 'POST', `/${id}/deliveries/retry`, { id }, undefined, tenant)).body).toEqual({
      retried: 0,
    })
  })

  test('an answer that is lost is asked for again under the same identifier, and counts once', async () => {
    const { tenant, account, id } = await arrange()
    await use({ meter_id: 'tokens', user_id: 'a', event_value: 2 }, tenant)
    stripe.react = ({ path }) => (path.endsWith('meter_events') ? 'hang up after' : 'serve')
    await push(id, tenant)
    expect(await stateOf(id, tenant)).toMatchObject({ pending: 1 })
    expect(stripe.total(account, 'tokens')).toBe(2n)
    // Days later Stripe has forgotten the key of the request, and still knows the identifier.
    stripe.forgetIdempotencyKeys()
    stripe.react = () => 'serve'
    await visit(tenant)
    expect(stripe.total(account, 'tokens')).toBe(2n)
    expect(await stateOf(id, tenant)).toMatchObject({ pending: 0, failed: 0 })
    const sent = stripe.calls.filter(
      ({ form }) => form['payload[stripe_customer_id]'] === stripe.customerOf(account, 'a'),
    )
    expect(new Set(sent.map(({ form }) => form.identifier)).size).toBe(1)
    expect(sent.length).toBeGreaterThan(1)
  })

  test('a lost answer before its customer was linked to another counts once; one that is gone there waits for its link', async () => {
    const { tenant, account, id } = await arrange()
    const link = async (stripe_customer_id: string) => {
      stripe.customers.push({ id: stripe_customer_id, account, name: 'Ada', metadata: {} })
      const linked = await ask(
        putCustomer,
        'PUT',
        `/${id}/customers/a`,
        { id, customer: 'a' },
        { stripe_customer_id },
        tenant,
      )
      expect(linked.status).toBe(200)
    }
    await use({ meter_id: 'tokens', user_id: 'a', event_value: 2 }, tenant)
    stripe.react = ({ path }) => (path.endsWith('meter_events') ? 'hang up after' : 'serve')
    await push(id, tenant)
    stripe.react = () => 'serve'
    await link(`cus_${account}second`)
    await visit(tenant)
    await visit(tenant)
    expect(await stateOf(id, tenant)).toMatchObject({ pending: 0, failed: 0 })
    expect(stripe.total(account, 'tokens')).toBe(2n)

    stripe.customers = stripe.customers.filter((one) => one.id !== `cus_${account}second`)
    await use({ meter_id: 'tokens', user_id: 'a', event_value: 3 }, tenant)
    await push(id, tenant)
    expect((await deliveries(id, '?status=failed', tenant)).map(({ last_error }) => last_error)).toEqual([
      expect.stringContaining('No such customer'),
    ])
    await link(`cus_${account}third`)
    await ask(postRetryAll, 'POST', `/${id}/deliveries/retry`, { id }, undefined, tenant)
    await visit(tenant)
    expect(stripe.total(account, 'tokens', `cus_${account}third`)).toBe(3n)
  })

  test('two workers at once, and a third beside them when their time is up, send nothing twice', async () => {
    const { tenant, account, id } = await arrange()
    const users = Array.from({ length: 30 }, (_, index) => `user-${index}`)
    await use(
      users.flatMap((user_id) => [3, 5].map((hours) => ({ meter_id: 'tokens', user_id, timestamp: ago(hours) }))),
      tenant,
    )
    let calls = 0
    let third: Promise<boolean> | undefined
    stripe.react = async ({ path }) => {
      if (path.endsWith('meter_events') && ++calls === 20) third = visit(tenant)
      await sleep(5)
      return 'serve' as const
    }
    expect((await ask(postPush, 'POST', `/${id}/push`, { id }, undefined, tenant)).status).toBe(200)
    const routing = await findTenantRouting({ id: tenant.id })
    if (!routing) throw new Error('no tenant')
    const looked = await Promise.all([visitStripeAccount(routing), visitStripeAccount(routing)])
    expect([looked.filter(Boolean).length, await third]).toEqual([1, true])
    stripe.react = () => 'serve'
    await visit(tenant)
    expect(stripe.total(account, 'tokens')).toBe(60n)
    expect(stripe.customers.filter((one) => one.account === account)).toHaveLength(30)
    expect(await stateOf(id, tenant)).toMatchObject({ pending: 0, failed: 0 })
  })

  test('what was under way when the account was disconnected is said to be, and not pushed once more', async () => {
    const { tenant, account, id } = await arrange()
    await use({ meter_id: 'tokens', user_id: 'a', event_value: 2 }, tenant)
    stripe.react = ({ path }) => (path.endsWith('meter_events') ? 'hang up after' : 'serve')
    await push(id, tenant)
    stripe.react = () => 'serve'
    await ask(disconnect, 'DELETE', `/${id}`, { id }, undefined, tenant)
    expect((await deliveries(id, '', tenant))[0]).toMatchObject({
      status: 'skipped',
      last_error: expect.stringContaining('identifier'),
    })
    const { body } = await ask(connect, 'POST', '', {}, { secret_key: makeKey(account) }, tenant)
    await visit(tenant)
    const path = { id: body.id, meter: 'tokens' }
    const added = await ask(putMeter, 'PUT', `/${body.id}/meters/tokens`, path, { from: ago(1) }, tenant)
    expect(added.body.errors?.[0].pointer).toBe('/from')
  })

  test('a lost answer that is older than Stripe remembers is left to a person', async () => {
    const { tenant, id } = await arrange()
    await use({ meter_id: 'tokens', user_id: 'a', event_value: 2 }, tenant)
    stripe.react = ({ path }) => (path.endsWith('meter_events') ? 'hang up before' : 'serve')
    await push(id, tenant)
    await asSuperuser(
      `update stripe_deliveries set uncertain_since = uncertain_since - interval '1 day' where tenant_id = $1`,
      [tenant.id],
    )
    const before = stripe.calls.length
    await visit(tenant)
    expect(stripe.calls.length).toBe(before)
    expect((await deliveries(id, '', tenant))[0]).toMatchObject({
      status: 'failed',
      last_error: expect.stringContaining('23 hours'),
    })
  })

  test('a worker killed between sending and writing it down', async () => {
    const { tenant, account, id } = await arrange()
    await use(
      Array.from({ length: 20 }, (_, index) => ({
        meter_id: 'tokens',
        user_id: `user-${index % 4}`,
        event_value: 2,
        timestamp: ago(index),
      })),
      tenant,
    )
    const startWorker = () =>
      spawn(process.execPath, bundleProcess('worker.ts'), {
        cwd: inRepository(),
        stdio: 'ignore',
        env: { ...process.env, LOG_LEVEL: 'silent' },
      })
    let worker = startWorker()
    let kills = 0
    let counted = 0
    stripe.react = ({ path }) => {
      // The server counts it, and nobody hears of it.
      if (path.endsWith('meter_events') && kills < 2 && ++counted % 5 === 0) {
        kills += 1
        worker.kill('SIGKILL')
        return 'hang up after'
      }
      return 'serve'
    }
    expect((await ask(postPush, 'POST', `/${id}/push`, { id }, undefined, tenant)).status).toBe(200)
    try {
      for (const deadline = performance.now() + 150_000; performance.now() < deadline; ) {
        if (worker.killed) {
          await asSuperuser('update stripe_exports set due_at = now() where id = $1', [id])
          await asSuperuser(
            `update stripe_deliveries set next_attempt_at = now() where tenant_id = $1 and status = 'pending'`,
            [tenant.id],
          )
          worker = startWorker()
        }
        const { pending, pushed_at } = await stateOf(id, tenant)
        if (pushed_at && pending === 0 && kills === 2) break
        await sleep(50)
      }
    } finally {
      worker.kill('SIGKILL')
    }
    expect(kills).toBe(2)
    expect(stripe.total(account, 'tokens')).toBe(40n)
    expect(stripe.customers.filter((one) => one.account === account)).toHaveLength(4)
  })

  test('whatever happens on the way, the account holds exactly what was used', async () => {
    const { tenant, account, id } = await arrange()
    const act = fc.oneof(
      {
        weight: 5,
        arbitrary: fc.record({
          kind: fc.constant('use' as const),
          user: fc.constantFrom('ada', 'bob', 'eve'),
          hundredths: fc.integer({ min: -500, max: 2_000 }),
          hours: fc.integer({ min: 0, max: 800 }),
        }),
      },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('cancel' as const), which: fc.nat(99) }) },
      {
        weight: 3,
        arbitrary: fc.record({
          kind: fc.constant('push' as const),
          faults: fc.array(fc.constantFrom('serve', 'hang up before', 'hang up after', 429, 500, 503), {
            maxLength: 6,
          }),
        }),
      },
    )
    let total = 0
    let run = 0
    let named = 0
    await fc.assert(
      fc.asyncProperty(fc.array(act, { minLength: 4, maxLength: 14 }), async (acts) => {
        run += 1
        const events: { event_id: string; hundredths: number }[] = []
        for (const step of acts) {
          if (step.kind === 'use') {
            const event_id = `${run}-${++named}`
            events.push({ event_id, hundredths: step.hundredths })
            total += step.hundredths
            await use(
              {
                meter_id: 'tokens',
                user_id: step.user,
                event_value: (step.hundredths / 100).toFixed(2),
                event_id,
                timestamp: ago(step.hours),
              },
              tenant,
            )
          } else if (step.kind === 'cancel') {
            const [event] = events.splice(step.which % Math.max(events.length, 1), 1)
            if (!event) continue
            total -= event.hundredths
            const body = { action: 'cancel', event_id: event.event_id }
            expect((await call(correct, 'POST', '/api/v1/usage/correct', { as: tenant.api_key, body })).status).toBe(
              200,
            )
          } else {
            const faults = [...step.faults]
            stripe.react = () => {
              const fault = faults.shift() ?? 'serve'
              return typeof fault === 'number' ? { status: fault } : (fault as 'serve')
            }
            await push(id, tenant)
          }
        }
        stripe.react = () => 'serve'
        await push(id, tenant)
        await visit(tenant)
        const left = await asSuperuser<{ sum: string }>(
          'select coalesce(sum(remainder), 0)::text as sum from stripe_remainders where tenant_id = $1',
          [tenant.id],
        )
        expect(Number(stripe.total(account, 'tokens')) * 100 + Math.round(Number(left[0]?.sum) * 100)).toBe(total)
        expect(await stateOf(id, tenant)).toMatchObject({ pending: 0, failed: 0, status: 'connected' })
      }),
      { numRuns: 12, endOnFailure: true },
    )
  })
})
