// The package of Stripe, as npm has it, against the ingest process: only host, port and protocol are others.
import { gzipSync } from 'node:zlib'
import Stripe from 'stripe'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { POST as postEntitlement } from '@/app/api/v1/customers/[id]/entitlements/route'
import { POST as postCustomer } from '@/app/api/v1/customers/route'
import { GET as queryMeter } from '@/app/api/v1/meters/[id]/query/route'
import { GET as getRejections } from '@/app/api/v1/usage/rejections/route'
import { GET as inApplication } from '@/app/compat/stripe/[...path]/route'
import { newId } from '@/libs/ids'
import { whenHeard } from '../support/heard'
import { type IngestProcess, startIngestProcess } from '../support/ingest-process'
import { refusedBy } from '../support/refused'
import { call, createApiKey, createWorld, setStatus } from '../support/world'

const { acme, globex } = await createWorld()
let ingest: IngestProcess
let stripe: Stripe
let other: Stripe
const client = (key: string) =>
  new Stripe(key, { host: '127.0.0.1', port: ingest.port, protocol: 'http', telemetry: false })

beforeAll(async () => {
  ingest = await startIngestProcess()
  stripe = client(acme.api_key)
  other = client(globex.api_key)
})
afterAll(() => ingest.end())

const refused = (work: Promise<unknown>) => refusedBy(Stripe.errors.StripeError, work)
let made = 0
const createMeter = (input: Partial<Stripe.Billing.MeterCreateParams> = {}) => {
  made += 1
  return stripe.billing.meters.create({
    display_name: `Calls ${made}`,
    event_name: `api_requests_${made}`,
    default_aggregation: { formula: 'sum' },
    customer_mapping: { event_payload_key: 'stripe_customer_id', type: 'by_id' },
    value_settings: { event_payload_key: 'value' },
    ...input,
  })
}
const minute = (at: number) => Math.floor(at / 60_000) * 60
const usageOf = async (meter: string, customer: string): Promise<number> => {
  const { data } = await stripe.billing.meters.listEventSummaries(meter, {
    customer,
    start_time: minute(Date.now()) - 86_400,
    end_time: minute(Date.now()) + 60,
  })
  return data.reduce((sum, { aggregated_value }) => sum + aggregated_value, 0)
}

describe('meters', () => {
  test('are made, found, listed, renamed, deactivated and brought back', async () => {
    const meter = await createMeter()
    expect(meter).toMatchObject({
      id: expect.any(String),
      object: 'billing.meter',
      created: expect.any(Number),
      customer_mapping: { event_payload_key: 'stripe_customer_id', type: 'by_id' },
      default_aggregation: { formula: 'sum' },
      display_name: `Calls ${made}`,
      event_name: `api_requests_${made}`,
      event_time_window: null,
      livemode: true,
      status: 'active',
      status_transitions: { deactivated_at: null },
      value_settings: { event_payload_key: 'value' },
    })
    expect(await stripe.billing.meters.retrieve(meter.id)).toMatchObject({ id: meter.id })
    expect(await stripe.billing.meters.update(meter.id, { display_name: 'Other' })).toMatchObject({
      display_name: 'Other',
    })
    const inactive = await stripe.billing.meters.deactivate(meter.id)
    expect(inactive).toMatchObject({ status: 'inactive', status_transitions: { deactivated_at: expect.any(Number) } })
    expect((await stripe.billing.meters.list({ status: 'inactive' })).data.map(({ id }) => id)).toContain(meter.id)
    expect((await stripe.billing.meters.reactivate(meter.id)).status).toBe('active')
    expect(meter.lastResponse.requestId).toEqual(expect.any(String))
  })

  test('lists are walked page by page', async () => {
    const ids = []
    for (let count = 0; count < 5; count += 1) ids.unshift((await createMeter()).id)
    const page = await stripe.billing.meters.list({ limit: 2 })
    expect([page.data.map(({ id }) => id), page.has_more]).toEqual([ids.slice(0, 2), true])
    const walked: string[] = []
    for await (const { id } of stripe.billing.meters.list({ limit: 3 })) walked.push(id)
    expect(walked.slice(0, 5)).toEqual(ids)
    expect(new Set(walked).size).toBe(walked.length)
    const before = await stripe.billing.meters.list({ limit: 1, ending_before: ids[2] ?? '' })
    expect(before.data.map(({ id }) => id)).toEqual([ids[1]])
    // In one direction or the other: what lies between two places is no page.
    const [starting_after = '', ending_before = ''] = ids
    const both = { starting_after, ending_before }
    for (const list of [
      () => stripe.billing.meters.list(both),
      () => stripe.customers.list(both),
      () =>
        stripe.billing.meters.listEventSummaries(starting_after, {
          customer: 'cus_1',
          start_time: 0,
          end_time: 60,
          ...both,
        }),
    ]) {
      const error = await refused(list())
      expect([error.type, error.statusCode]).toEqual(['StripeInvalidRequestError', 400])
      expect(error.message).toMatch(/^Both starting_after and ending_before/)
    }
  })

  test('what is wrong with one is said by its parameter', async () => {
    const { event_name } = await createMeter()
    const cases: [Partial<Stripe.Billing.MeterCreateParams>, string, string][] = [
      [{ event_name }, 'event_name', 'resource_already_exists'],
      [{ event_name: '' }, 'event_name', 'parameter_invalid'],
      [{ display_name: undefined }, 'display_name', 'parameter_missing'],
      [{ default_aggregation: { formula: 'median' } }, 'default_aggregation[formula]', 'parameter_invalid'],
      [{ event_time_window: 'day' }, 'event_time_window', 'parameter_invalid'],
      [
        { customer_mapping: { event_payload_key: 'email', type: 'by_id' } },
        'customer_mapping[event_payload_key]',
        'parameter_invalid',
      ],
      [{ unknown: 1 } as Partial<Stripe.Billing.MeterCreateParams>, 'unknown', 'parameter_unknown'],
    ]
    for (const [input, param, code] of cases) {
      const error = await refused(createMeter(input))
      expect(error).toBeInstanceOf(Stripe.errors.StripeInvalidRequestError)
      expect([error.statusCode, error.param, error.code]).toEqual([400, param, code])
      expect(error.message).toMatch(/\w/)
    }
    const missing = await refused(stripe.billing.meters.retrieve('mtr_nothing'))
    expect([missing.statusCode, missing.code]).toEqual([404, 'resource_missing'])
  })
})

describe('events', () => {
  test('are counted at once, and each of them once', async () => {
    const { id, event_name } = await createMeter()
    const payload = { stripe_customer_id: 'cus_1', value: '25', plan: 'pro' }
    const identifier = newId()
    const timestamp = Math.floor(Date.now() / 1_000) - 5
    const event = await stripe.billing.meterEvents.create({ event_name, payload, identifier, timestamp })
    expect(event).toMatchObject({
      object: 'billing.meter_event',
      created: expect.any(Number),
      event_name,
      identifier,
      livemode: true,
      payload,
      timestamp,
    })
    expect(await usageOf(id, 'cus_1')).toBe(25)
    await stripe.billing.meterEvents.create({ event_name, payload, identifier, timestamp })
    expect(await usageOf(id, 'cus_1')).toBe(25)
    const error = await refused(
      stripe.billing.meterEvents.create({ event_name, payload: { ...payload, value: '26' }, identifier, timestamp }),
    )
    expect([error.statusCode, error.param]).toEqual([400, 'identifier'])
    await stripe.billing.meterEvents.create({ event_name, payload: { ...payload, value: '0.5' } })
    await stripe.billing.meterEvents.create({ event_name, payload: { ...payload, stripe_customer_id: 'cus_2' } })
    expect(await usageOf(id, 'cus_1')).toBe(25.5)
    expect(await usageOf(id, 'cus_2')).toBe(25)
  })

  test('an idempotency key makes one without an identifier safe to repeat', async () => {
    const { id, event_name } = await createMeter()
    const send = (value: string) =>
      stripe.billing.meterEvents.create(
        { event_name, payload: { stripe_customer_id: 'cus_1', value } },
        { idempotencyKey: `key-${id}` },
      )
    const [first, again] = [await send('3'), await send('3')]
    expect(again.identifier).toBe(first.identifier)
    expect(await usageOf(id, 'cus_1')).toBe(3)
    expect(await refused(send('4'))).toBeInstanceOf(Stripe.errors.StripeIdempotencyError)
    const create = (display_name: string) =>
      stripe.billing.meters.create(
        { display_name, event_name: `once-${id}`, default_aggregation: { formula: 'count' } },
        { idempotencyKey: `meter-${id}` },
      )
    expect((await create('A')).id).toBe((await create('A')).id)
    expect(await refused(create('B'))).toBeInstanceOf(Stripe.errors.StripeIdempotencyError)
  })

  test('formulas and keys of the value', async () => {
    const count = await createMeter({ default_aggregation: { formula: 'count' } })
    const last = await createMeter({ default_aggregation: { formula: 'last' } })
    const tokens = await createMeter({ value_settings: { event_payload_key: 'tokens' } })
    for (const value of ['5', '9', '7'])
      for (const { event_name } of [count, last, tokens])
        await stripe.billing.meterEvents.create({
          event_name,
          payload: { stripe_customer_id: 'cus_f', value, tokens: `${value}.5` },
        })
    expect(tokens.value_settings.event_payload_key).toBe('tokens')
    expect(await Promise.all([count, last, tokens].map(({ id }) => usageOf(id, 'cus_f')))).toEqual([3, 7, 22.5])
  })

  test('what cannot be counted is said by its parameter', async () => {
    const { id, event_name } = await createMeter()
    const payload = { stripe_customer_id: 'cus_x', value: '1' }
    const now = Math.floor(Date.now() / 1_000)
    const cases: [Partial<Stripe.Billing.MeterEventCreateParams>, string, string][] = [
      [{ event_name: 'never_made' }, 'event_name', 'resource_missing'],
      [{ payload: { value: '1' } }, 'payload[stripe_customer_id]', 'parameter_missing'],
      [{ payload: { ...payload, value: 'many' } }, 'payload[value]', 'meter_event_invalid_value'],
      [{ timestamp: now - 50 * 86_400 }, 'timestamp', 'timestamp_too_far_in_past'],
      [{ timestamp: now + 3_600 }, 'timestamp', 'timestamp_in_future'],
      [{ identifier: 'x'.repeat(101) }, 'identifier', 'parameter_invalid'],
      [{ event_name: undefined }, 'event_name', 'parameter_missing'],
      [{ payload: undefined }, 'payload', 'parameter_missing'],
    ]
    for (const [input, param, code] of cases) {
      const params = { event_name, payload, ...input } as Stripe.Billing.MeterEventCreateParams
      const error = await refused(stripe.billing.meterEvents.create(params))
      expect([error.statusCode, error.param, error.code, error.type]).toEqual([
        400,
        param,
        code,
        'StripeInvalidRequestError',
      ])
    }
    await stripe.billing.meters.deactivate(id)
    const archived = await refused(stripe.billing.meterEvents.create({ event_name, payload }))
    expect([archived.param, archived.code]).toEqual(['event_name', 'archived_meter'])
    // A new meter may take over the name.
    const next = await createMeter({ event_name })
    await stripe.billing.meterEvents.create({ event_name, payload })
    expect(await usageOf(next.id, 'cus_x')).toBe(1)
  })

  test('what is wrong with a value is said of the key its meter has it under', async () => {
    for (const key of ['value', 'tokens', 'request/tokens']) {
      const { event_name } = await createMeter({ value_settings: { event_payload_key: key } })
      const send = (given: Record<string, string>) =>
        stripe.billing.meterEvents.create({ event_name, payload: { stripe_customer_id: 'cus_v', ...given } })
      for (const [value, code] of [
        ['many', 'meter_event_invalid_value'],
        ['', 'meter_event_invalid_value'],
        ['1e3', 'meter_event_invalid_value'],
        ['9'.repeat(31), 'meter_event_value_too_many_digits'],
        [`0.${'1'.repeat(21)}`, 'meter_event_value_too_many_digits'],
      ] as const) {
        const error = await refused(send({ [key]: value }))
        expect([error.statusCode, error.param, error.code]).toEqual([400, `payload[${key}]`, code])
        expect(error.message).not.toMatch(/event_value|property/)
      }
      if (key === 'value') continue
      const lacking = await refused(send({ value: '5' }))
      expect([lacking.param, lacking.code]).toEqual([`payload[${key}]`, 'meter_event_value_not_found'])
      await send({ [key]: '5' })
    }
  })

  test('a cap of the customer holds: what passes it is taken, not counted, and listed', async () => {
    const { id, event_name } = await createMeter()
    const customer = (
      await call(postCustomer, 'POST', '/api/v1/customers', { as: acme.api_key, body: { external_id: `cus-${id}` } })
    ).body
    const entitled = await call(postEntitlement, 'POST', `/api/v1/customers/${customer.id}/entitlements`, {
      as: acme.api_key,
      params: { id: customer.id },
      body: { kind: 'metered', meter: id, limit: 10 },
    })
    expect(entitled.status).toBe(201)
    for (const value of ['8', '5', '2'])
      await stripe.billing.meterEvents.create({
        event_name,
        payload: { stripe_customer_id: customer.external_id, value },
      })
    expect(await usageOf(id, customer.external_id)).toBe(10)
    const { body } = await call(getRejections, 'GET', '/api/v1/usage/rejections', { as: acme.api_key })
    expect(body.data[0]).toMatchObject({ code: 'usage_exceeded', event: { event_value: '5' } })
  })

  test('are cancelled under their own name alone', async () => {
    const [meter, other] = [await createMeter(), await createMeter()]
    const identifier = newId()
    await stripe.billing.meterEvents.create({
      event_name: meter.event_name,
      identifier,
      payload: { stripe_customer_id: 'cus_o', value: '7' },
    })
    const cancel = (event_name: string) =>
      stripe.billing.meterEventAdjustments.create({ event_name, type: 'cancel', cancel: { identifier } })
    const error = await refused(cancel(other.event_name))
    expect([error.statusCode, error.param, error.code]).toEqual([400, 'cancel[identifier]', 'resource_missing'])
    expect(await usageOf(meter.id, 'cus_o')).toBe(7)
    expect(await cancel(meter.event_name)).toMatchObject({ status: 'complete' })
    expect(await usageOf(meter.id, 'cus_o')).toBe(0)
  })

  test('are cancelled by their identifier, in every meter of the name', async () => {
    const { id, event_name } = await createMeter()
    await stripe.billing.meters.deactivate(id)
    const next = await createMeter({ event_name })
    await stripe.billing.meters.reactivate(id)
    const identifier = newId()
    await stripe.billing.meterEvents.create({
      event_name,
      identifier,
      payload: { stripe_customer_id: 'cus_c', value: '40' },
    })
    expect([await usageOf(id, 'cus_c'), await usageOf(next.id, 'cus_c')]).toEqual([40, 40])
    const cancel = () =>
      stripe.billing.meterEventAdjustments.create({ event_name, type: 'cancel', cancel: { identifier } })
    expect(await cancel()).toMatchObject({
      object: 'billing.meter_event_adjustment',
      event_name,
      type: 'cancel',
      status: 'complete',
      livemode: true,
      cancel: { identifier },
    })
    expect([await usageOf(id, 'cus_c'), await usageOf(next.id, 'cus_c')]).toEqual([0, 0])
    await cancel()
    const unknown = await refused(
      stripe.billing.meterEventAdjustments.create({ event_name, type: 'cancel', cancel: { identifier: newId() } }),
    )
    expect([unknown.statusCode, unknown.param, unknown.code]).toEqual([400, 'cancel[identifier]', 'resource_missing'])
  })
})

describe('summaries', () => {
  test('answer as our own, by hours and days of UTC, the newest first', async () => {
    const { id, event_name } = await createMeter()
    const day = Math.floor(Date.now() / 86_400_000) * 86_400
    await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        stripe.billing.meterEvents.create({
          event_name,
          timestamp: day - index * 5_000,
          payload: { stripe_customer_id: 'cus_s', value: String(index + 0.25) },
        }),
      ),
    )
    const range = { customer: 'cus_s', start_time: day - 3 * 86_400, end_time: day + 86_400 }
    for (const window of ['hour', 'day'] as const) {
      const { body } = await call(
        queryMeter,
        'GET',
        `/api/v1/meters/${id}/query?from=${new Date(range.start_time * 1_000).toISOString()}&to=${new Date(range.end_time * 1_000).toISOString()}&window=${window}&time_zone=UTC&customer=cus_s`,
        { as: acme.api_key, params: { id } },
      )
      const ours = (body.data as { value: number; window_start: string; window_end: string }[]).map((row) => ({
        object: 'billing.meter_event_summary',
        meter: id,
        livemode: true,
        aggregated_value: row.value,
        start_time: Date.parse(row.window_start) / 1_000,
        end_time: Date.parse(row.window_end) / 1_000,
      }))
      const walked = []
      for await (const { id: _id, ...row } of stripe.billing.meters.listEventSummaries(id, {
        ...range,
        value_grouping_window: window,
        limit: 7,
      }))
        walked.push(row)
      expect(walked).toEqual(ours.reverse())
    }
    const { data } = await stripe.billing.meters.listEventSummaries(id, range)
    expect(data).toMatchObject([{ aggregated_value: 790, start_time: range.start_time, end_time: range.end_time }])
    const cases: [Partial<Stripe.Billing.MeterListEventSummariesParams>, string][] = [
      [{ customer: 'nobody' }, 'customer'],
      [{ start_time: range.start_time + 1 }, 'start_time'],
      [{ value_grouping_window: 'hour', end_time: range.end_time + 60 }, 'end_time'],
      [{ value_grouping_window: 'week' }, 'value_grouping_window'],
      [{ end_time: range.start_time }, 'end_time'],
    ]
    for (const [input, param] of cases) {
      const error = await refused(stripe.billing.meters.listEventSummaries(id, { ...range, ...input }))
      expect([error.statusCode, error.param]).toEqual([400, param])
    }
  })
})

describe('who may', () => {
  test('another tenant sees nothing of it', async () => {
    const { id, event_name } = await createMeter()
    expect((await other.billing.meters.list()).data).toEqual([])
    expect((await refused(other.billing.meters.retrieve(id))).statusCode).toBe(404)
    const payload = { stripe_customer_id: 'cus_1', value: '1' }
    expect((await refused(other.billing.meterEvents.create({ event_name, payload }))).param).toBe('event_name')
  })

  test('a key does what its permissions say, as a bearer or the user of a basic credential', async () => {
    expect(await refused(client('sk_test_wrong').billing.meters.list())).toBeInstanceOf(
      Stripe.errors.StripeAuthenticationError,
    )
    const { event_name } = await createMeter()
    const { key } = await createApiKey(acme, ['usage:write'])
    const writer = client(key)
    await writer.billing.meterEvents.create({ event_name, payload: { stripe_customer_id: 'cus_1', value: '1' } })
    expect(await refused(writer.billing.meters.list())).toBeInstanceOf(Stripe.errors.StripePermissionError)
    const form = `event_name=${event_name}&payload[stripe_customer_id]=cus_1&payload%5Bvalue%5D=1`
    const basic = (user: string, body: string | Buffer = form, others: Record<string, string> = {}) =>
      ingest.send({
        path: '/v1/billing/meter_events',
        headers: {
          authorization: `Basic ${Buffer.from(`${user}:`).toString('base64')}`,
          'content-type': 'application/x-www-form-urlencoded',
          ...others,
        },
        body,
      })
    expect(await basic(key)).toMatchObject({ status: 200, body: { object: 'billing.meter_event' } })
    expect(await basic('sk_test_wrong')).toMatchObject({
      status: 401,
      body: { error: { type: 'invalid_request_error', message: expect.any(String) } },
    })
    const packed = { 'content-encoding': 'gzip' }
    const keys: Record<string, string>[] = [{}, { 'idempotency-key': newId() }]
    for (const repeatable of keys) {
      expect(await basic(key, gzipSync(form), { ...packed, ...repeatable })).toMatchObject({ status: 200 })
      for (const [body, others] of [
        [Buffer.from('event_name=\xff', 'latin1'), {}],
        [Buffer.from('event_name=x'), packed],
        [Buffer.from('event_name=x'), { 'content-encoding': 'br' }],
        ['x=1'.padEnd(2_000_000, 'y'), {}],
      ] as const)
        expect(await basic(key, body, { ...others, ...repeatable })).toMatchObject({
          status: 400,
          body: { error: { type: 'invalid_request_error', message: expect.any(String) } },
        })
    }
  })

  test('hostile forms are answered in its shape', async () => {
    for (const [body, contentType] of [
      ['', 'application/x-www-form-urlencoded'],
      ['a[b][c][d][e][f][g]=1', 'application/x-www-form-urlencoded'],
      ['event_name=a&event_name=b', 'application/x-www-form-urlencoded'],
      ['[x]=1', 'application/x-www-form-urlencoded'],
      ['__proto__[x]=1&payload=5', 'application/x-www-form-urlencoded'],
      ['event_name=%00', 'application/x-www-form-urlencoded'],
      ['{"event_name":"x"}', 'application/json'],
      ['x=1'.padEnd(2_000_000, 'y'), 'application/x-www-form-urlencoded'],
    ] as const) {
      const answer = await ingest.send({
        path: '/v1/billing/meter_events',
        headers: { authorization: `Bearer ${acme.api_key}`, 'content-type': contentType },
        body,
      })
      expect([body.slice(0, 40), answer.status]).toEqual([body.slice(0, 40), 400])
      expect(answer.body.error).toMatchObject({ type: 'invalid_request_error', message: expect.any(String) })
    }
    expect(
      await ingest.send({ path: '/v1/billing/nothing', headers: { authorization: `Bearer ${acme.api_key}` } }),
    ).toMatchObject({ status: 404, body: { error: { code: 'resource_missing' } } })
  })

  test('the application answers the same, where a proxy can rewrite paths', async () => {
    const { id } = await createMeter()
    const { status, body } = await call(inApplication, 'GET', `/compat/stripe/v1/billing/meters/${id}`, {
      as: acme.api_key,
    })
    expect([status, body.id]).toEqual([200, id])
  })

  test('a suspended tenant is let in nowhere', async () => {
    await setStatus(globex, 'suspended')
    await expect.poll(async () => (await refused(other.billing.meters.list())).statusCode, whenHeard).toBe(403)
  })
})
