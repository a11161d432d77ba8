// Customers and the second version of meter events as the package of Stripe has them, and what it asks that is not here.
import { OpenMeter } from '@openmeter/sdk'
import { Unkey } from '@unkey/api'
import pg from 'pg'
import Stripe from 'stripe'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { GET as listRoute } from '@/app/compat/stripe/[...path]/route'
import { tenantQuery } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'
import { type IngestProcess, startIngestProcess } from '../support/ingest-process'
import { refusedBy } from '../support/refused'
import { asSuperuser, asSystem, call, createApiKey, createTenant, createWorld } from '../support/world'

const { acme, globex } = await createWorld()
let ingest: IngestProcess
let stripe: Stripe
let other: Stripe
const client = (key: string) => new Stripe(key, { host: '127.0.0.1', port: ingest.port, protocol: 'http' })
beforeAll(async () => {
  ingest = await startIngestProcess()
  stripe = client(acme.api_key)
  other = client(globex.api_key)
})
afterAll(() => ingest.end())

const refused = (work: Promise<unknown>) => refusedBy(Stripe.errors.StripeError, work)
const createMeter = () => {
  const event_name = `calls-${newId()}`
  return stripe.billing.meters.create({ event_name, display_name: 'Calls', default_aggregation: { formula: 'sum' } })
}
const hour = 3_600
const summariesOf = (meter: string, customer: string) => {
  const start_time = Math.floor(Date.now() / 1_000 / hour) * hour - 24 * hour
  return stripe.billing.meters.listEventSummaries(meter, { customer, start_time, end_time: start_time + 48 * hour })
}

describe('customers', () => {
  test('are made, found, changed, listed and deleted, and are whose usage it is', async () => {
    const customer = await stripe.customers.create({
      name: 'Ada Lovelace',
      email: 'ada@example.test',
      description: 'First',
      phone: '+49 30 1',
      metadata: { plan: 'pro', seats: 5 },
      address: { line1: 'Street 1', city: 'Berlin', country: 'DE' },
      preferred_locales: ['de', 'en'],
    })
    expect(customer).toMatchObject({
      id: expect.stringMatching(/^cus_[A-Za-z0-9]{14}$/),
      object: 'customer',
      name: 'Ada Lovelace',
      email: 'ada@example.test',
      description: 'First',
      phone: '+49 30 1',
      metadata: { plan: 'pro', seats: '5' },
      address: { line1: 'Street 1', line2: null, city: 'Berlin', state: null, postal_code: null, country: 'DE' },
      preferred_locales: ['de', 'en'],
      created: expect.any(Number),
      livemode: true,
      balance: 0,
      currency: null,
      default_source: null,
      invoice_settings: { custom_fields: null, default_payment_method: null, footer: null, rendering_options: null },
      shipping: null,
      tax_exempt: 'none',
    })
    expect({ ...(await stripe.customers.retrieve(customer.id)) }).toEqual({ ...customer })
    const changed = await stripe.customers.update(customer.id, {
      name: '',
      metadata: { plan: '', team: 'x' },
      phone: '',
    })
    expect(changed).toMatchObject({
      name: null,
      phone: null,
      metadata: { seats: '5', team: 'x' },
      description: 'First',
    })
    expect((await stripe.customers.update(customer.id, { metadata: '' })).metadata).toEqual({})
    const meter = await createMeter()
    await stripe.billing.meterEvents.create({
      event_name: meter.event_name,
      payload: { stripe_customer_id: customer.id, value: '7' },
    })
    expect((await summariesOf(meter.id, customer.id)).data).toMatchObject([{ aggregated_value: 7 }])
    expect((await stripe.customers.list({ email: 'ada@example.test' })).data.map(({ id }) => id)).toEqual([customer.id])
    expect((await stripe.customers.list({ created: { gt: customer.created + 60 } })).data).toEqual([])
    expect(await stripe.customers.del(customer.id)).toMatchObject({
      id: customer.id,
      object: 'customer',
      deleted: true,
    })
    expect(await stripe.customers.retrieve(customer.id)).toMatchObject({ id: customer.id, deleted: true })
    expect(await refused(stripe.customers.update(customer.id, { name: 'Back' }))).toMatchObject({
      statusCode: 404,
      code: 'resource_missing',
      param: 'id',
      message: `No such customer: '${customer.id}'`,
    })
    expect((await stripe.customers.list({ email: 'ada@example.test' })).data).toEqual([])
  })

  test('are the same on every wire, and none shows or loses what another keeps', async () => {
    const address = `${ingest.url}/compat`
    const openmeter = new OpenMeter({ baseUrl: `${address}/openmeter`, apiKey: acme.api_key })
    const unkey = new Unkey({ serverURL: `${address}/unkey`, rootKey: acme.api_key })
    const { id } = await stripe.customers.create({
      name: 'Everywhere',
      phone: '+49',
      metadata: { plan: 'pro' },
      shipping: { name: 'Door', address: { line1: 'Street 2' } },
    })
    await openmeter.subjects.upsert({ key: id, stripeCustomerId: id })
    await openmeter.customers.update(id, { name: 'Renamed', description: 'Known', metadata: { plan: 'free' } })
    expect((await unkey.identities.getIdentity({ identity: id })).data.meta).toEqual({ plan: 'free' })
    await unkey.identities.updateIdentity({ identity: id, meta: { seats: 3 } })
    expect(await stripe.customers.retrieve(id)).toMatchObject({
      name: 'Renamed',
      phone: '+49',
      metadata: { seats: '3' },
      shipping: { name: 'Door', phone: null, address: { line1: 'Street 2', city: null } },
    })
    await stripe.customers.update(id, { metadata: '', phone: '' })
    expect(await openmeter.customers.get(id)).toMatchObject({ description: 'Known', metadata: {} })
    expect(await openmeter.subjects.get(id)).toMatchObject({ stripeCustomerId: id, metadata: {} })
    // Each of these acts is in the record, by the key that did it.
    const acts = await asSuperuser<{ action: string; actor_kind: string; actor_id: string }>(
      `select l.action, l.actor_kind, l.actor_id from audit_logs l join customers c on c.tenant_id = l.tenant_id
       where l.tenant_id = $1 and c.external_id = $2 and l.target_id = c.id::text order by l.created_at`,
      [acme.id, id],
    )
    const byKey = { actor_kind: 'api_key', actor_id: acme.api_key_id }
    expect(acts).toEqual([
      { action: 'customer.created', ...byKey },
      ...Array(4).fill({ action: 'customer.updated', ...byKey }),
    ])
  })

  test('lists are walked page by page, the newest first', async () => {
    const email = `${newId()}@example.test`
    const made: string[] = []
    for (let index = 0; index < 5; index += 1) made.push((await stripe.customers.create({ email })).id)
    const walked: string[] = []
    for await (const { id } of stripe.customers.list({ email, limit: 2 })) walked.push(id)
    expect(walked).toEqual(made.reverse())
    const [first, second] = walked
    const back = await stripe.customers.list({ email, ending_before: second ?? '', limit: 5 })
    expect(back.data.map(({ id }) => id)).toEqual([first])
  })

  test('lists are as long as there are customers, and a page asks as little as another', async () => {
    const tenant = await createTenant(`many-${newId().slice(-6)}`)
    const many = client(tenant.api_key)
    await asSystem(tenant, () =>
      tenantQuery(
        `insert into customers (id, external_id, email, created_at)
         select app.uuid_v7(), 'c-' || i, case when i % 3 = 0 then 'third@example.test' end, timestamptz '2026-01-01Z' + i * interval '1 second'
         from generate_series(1, 450) i`,
      ),
    )
    const list = async (query: string) => {
      const asked = vi.spyOn(pg.Client.prototype, 'query')
      const { body } = await call(listRoute, 'GET', `/compat/stripe/v1/customers?${query}`, { as: tenant.api_key })
      const { length } = asked.mock.calls
      asked.mockRestore()
      return { length, ids: (body.data as { id: string }[]).map(({ id }) => id), more: body.has_more }
    }
    await list('limit=1')
    const [one, all] = [await list('limit=1&created[lte]=1767225601'), await list('limit=100')]
    expect([one.ids, one.more, all.ids.length, all.more]).toEqual([['c-1'], false, 100, true])
    expect(all.length).toBe(one.length)
    const walked: string[] = []
    for await (const { id } of many.customers.list({ limit: 100 })) walked.push(id)
    expect(walked).toEqual(['customer-1', ...Array.from({ length: 450 }, (_, index) => `c-${450 - index}`)])
    const start = Date.parse('2026-01-01T00:00:00Z') / 1_000
    const idsOf = async (query: Stripe.CustomerListParams) =>
      (await many.customers.list(query)).data.map(({ id }) => id)
    expect(await idsOf({ created: { gt: start + 3, lt: start + 6 } })).toEqual(['c-5', 'c-4'])
    expect(await idsOf({ created: { gte: start + 3, lte: start + 4 } })).toEqual(['c-4', 'c-3'])
    expect(await idsOf({ created: start + 9 })).toEqual(['c-9'])
    expect(await idsOf({ created: { gt: start + 449, lte: 253_402_300_799 } })).toEqual(['customer-1', 'c-450'])
    expect(await idsOf({ email: 'third@example.test', limit: 2, starting_after: 'c-10' })).toEqual(['c-9', 'c-6'])
    expect(await idsOf({ limit: 2, ending_before: 'c-10' })).toEqual(['c-12', 'c-11'])
    // Where a page ended is known also when that customer is deleted meanwhile.
    await many.customers.del('c-10')
    expect(await idsOf({ limit: 2, starting_after: 'c-10' })).toEqual(['c-9', 'c-8'])
    expect((await refused(many.customers.list({ starting_after: 'nobody' }))).param).toBe('starting_after')
  })

  test('what is wrong is said by its parameter, and other tenants have none of them', async () => {
    const { id } = await stripe.customers.create({})
    expect(await refused(stripe.customers.create({ email: 'no address' }))).toMatchObject({
      statusCode: 400,
      param: 'email',
    })
    expect(await refused(stripe.customers.create({ source: 'tok_x' }))).toMatchObject({
      param: 'source',
      code: 'parameter_unknown',
    })
    expect(await refused(stripe.customers.retrieve('cus_nobody'))).toMatchObject({
      type: 'StripeInvalidRequestError',
      statusCode: 404,
      code: 'resource_missing',
      param: 'id',
      message: "No such customer: 'cus_nobody'",
    })
    expect((await refused(other.customers.retrieve(id))).statusCode).toBe(404)
    const summaries = { customer: id } as Stripe.Billing.MeterListEventSummariesParams
    const { id: meter } = await createMeter()
    expect(await refused(stripe.billing.meters.listEventSummaries(meter, summaries))).toMatchObject({
      param: 'start_time',
      code: 'parameter_missing',
    })
    for (const start_time of ['', '1e3', '0x10', ' 60', '-60'])
      expect(
        await refused(
          stripe.billing.meters.listEventSummaries(meter, {
            ...summaries,
            start_time: start_time as unknown as number,
            end_time: 60,
          }),
        ),
      ).toMatchObject({ param: 'start_time', code: 'parameter_invalid' })
    for (const work of [
      () => stripe.billing.meters.retrieve('mtr_x'),
      () => stripe.billing.meters.update('mtr_x', { display_name: 'x' }),
      () => stripe.billing.meters.deactivate('mtr_x'),
      () => summariesOf('mtr_x', id),
    ])
      expect(await refused(work())).toMatchObject({
        statusCode: 404,
        code: 'resource_missing',
        param: 'id',
        message: "No such billing meter: 'mtr_x'",
      })
    const reader = client((await createApiKey(acme, ['customers:read'])).key)
    expect((await reader.customers.retrieve(id)).id).toBe(id)
    expect((await refused(reader.customers.create({}))).statusCode).toBe(403)
    const idempotencyKey = newId()
    const twice = await Promise.all([1, 2].map(() => stripe.customers.create({ name: 'Once' }, { idempotencyKey })))
    expect(twice[0]?.id).toBe(twice[1]?.id)
  })
})

describe('the second version of meter events', () => {
  test('are counted at once, each of them once, and cancelled', async () => {
    const { id, event_name } = await createMeter()
    const identifier = newId()
    const event = { event_name, identifier, payload: { stripe_customer_id: 'cus_v2', value: '4' } }
    const timestamp = new Date(Date.now() - 60_000).toISOString()
    const counted = await stripe.v2.billing.meterEvents.create({ ...event, timestamp })
    expect(counted).toMatchObject({
      object: 'v2.billing.meter_event',
      created: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      event_name,
      identifier,
      livemode: true,
      payload: event.payload,
      timestamp,
    })
    await stripe.v2.billing.meterEvents.create({ ...event, timestamp })
    await stripe.v2.billing.meterEvents.create({ event_name, payload: { stripe_customer_id: 'cus_v2', value: '1' } })
    expect((await summariesOf(id, 'cus_v2')).data).toMatchObject([{ aggregated_value: 5 }])
    expect(
      await stripe.v2.billing.meterEventAdjustments.create({ event_name, type: 'cancel', cancel: { identifier } }),
    ).toMatchObject({
      id: expect.any(String),
      object: 'v2.billing.meter_event_adjustment',
      cancel: { identifier },
      status: 'complete',
      type: 'cancel',
    })
    expect((await summariesOf(id, 'cus_v2')).data).toMatchObject([{ aggregated_value: 1 }])
  })

  test('what cannot be counted is said by its parameter', async () => {
    const { event_name } = await createMeter()
    const { meterEvents } = stripe.v2.billing
    const payload = { stripe_customer_id: 'cus_v2', value: '4' }
    for (const [body, param] of [
      [{ event_name: 'never-made', payload }, 'event_name'],
      [{ event_name, payload: { value: '4' } }, 'payload[stripe_customer_id]'],
      [{ event_name, payload: { ...payload, value: 'many' } }, 'payload[value]'],
      [{ event_name, payload, timestamp: '1970-01-01T00:00:00Z' }, 'timestamp'],
      [{ event_name, payload, timestamp: 'yesterday' }, 'timestamp'],
    ] as const)
      expect(await refused(meterEvents.create(body))).toMatchObject({
        type: 'StripeInvalidRequestError',
        statusCode: 400,
        param,
      })
  })
})

describe('times', () => {
  test('a summary may ask from the beginning of time, and an event of then is too old', async () => {
    const { id, event_name } = await createMeter()
    const payload = { stripe_customer_id: 'cus_times', value: '2' }
    await stripe.billing.meterEvents.create({ event_name, payload })
    const end_time = Math.floor(Date.now() / 1_000 / 60) * 60 + 60
    const { data } = await stripe.billing.meters.listEventSummaries(id, {
      customer: 'cus_times',
      start_time: 0,
      end_time,
    })
    expect(data).toMatchObject([{ aggregated_value: 2, start_time: 0, end_time }])
    for (const [timestamp, code] of [
      [1, 'timestamp_too_far_in_past'],
      [end_time + 3_600, 'timestamp_in_future'],
    ] as const)
      expect(await refused(stripe.billing.meterEvents.create({ event_name, payload, timestamp }))).toMatchObject({
        code,
        param: 'timestamp',
      })
    const backwards = stripe.billing.meters.listEventSummaries(id, {
      customer: 'cus_times',
      start_time: 120,
      end_time: 60,
    })
    expect(await refused(backwards)).toMatchObject({ param: 'end_time' })
  })
})

describe('a stream of meter events', () => {
  test('is sent under the token of a session, each event by itself', async () => {
    const meter = await createMeter()
    const { id: customer } = await stripe.customers.create({})
    const writer = client((await createApiKey(acme, ['usage:write'])).key)
    const session = await writer.v2.billing.meterEventSession.create()
    expect(session).toMatchObject({
      id: expect.any(String),
      object: 'v2.billing.meter_event_session',
      authentication_token: expect.any(String),
      livemode: true,
    })
    expect(Date.parse(session.expires_at) - Date.parse(session.created)).toBe(900_000)
    const { meterEventStream } = client(session.authentication_token).v2.billing
    const event = (identifier: string, value: string, event_name = meter.event_name) => ({
      event_name,
      identifier,
      payload: { stripe_customer_id: customer, value },
    })
    const events = [event('s-1', '4'), event('s-2', 'nothing'), event('s-3', '1', 'no.such'), event('s-4', '2.5')]
    await meterEventStream.create({ events })
    await meterEventStream.create({ events })
    const once = { events: [{ event_name: meter.event_name, payload: { stripe_customer_id: customer, value: '10' } }] }
    const idempotencyKey = newId()
    for (let times = 0; times < 2; times += 1) await meterEventStream.create(once, { idempotencyKey })
    expect((await summariesOf(meter.id, customer)).data).toMatchObject([{ aggregated_value: 16.5 }])
    const nobodys = { event_name: meter.event_name, payload: { value: '1' } }
    expect(await refused(meterEventStream.create({ events: [event('s-5', '1'), nobodys] }))).toMatchObject({
      statusCode: 400,
      param: 'events[1][payload][stripe_customer_id]',
    })
    expect((await refused(meterEventStream.create({ events: [] }))).statusCode).toBe(400)
    const reader = client((await createApiKey(acme, ['usage:read'])).key)
    expect((await refused(reader.v2.billing.meterEventSession.create())).statusCode).toBe(403)
    expect((await refused(reader.v2.billing.meterEventStream.create({ events }))).statusCode).toBe(403)
  })
})

describe('what is not here', () => {
  test('is refused as the package knows it, in both versions', async () => {
    for (const work of [
      () => stripe.products.create({ name: 'x' }),
      () => stripe.subscriptions.list(),
      () => stripe.customers.search({ query: 'x' }),
    ])
      expect(await refused(work())).toMatchObject({
        statusCode: 404,
        message: expect.stringContaining('is not supported here'),
      })
    expect((await refused(client('hf_live_wrong').products.list())).type).toBe('StripeAuthenticationError')
  })
})
