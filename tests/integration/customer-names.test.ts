// How a customer is named is one rule for every way in: blanks around a name are no part of it, an id comes before an external
// id that looks like it, characters are counted as the database counts them, and a comma is part of a name.
import { OpenMeter } from '@openmeter/sdk'
import { Unkey } from '@unkey/api'
import Stripe from 'stripe'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type IngestProcess, startIngestProcess } from '../support/ingest-process'
import { readRoutes } from '../support/routes'
import { type Answer, asSuperuser, call, createTenant, createWorld } from '../support/world'

const { acme } = await createWorld()
const { routes } = await readRoutes()
let ingest: IngestProcess
beforeAll(async () => {
  ingest = await startIngestProcess()
})
afterAll(() => ingest.end())

/** Calls a route by its name, `GET /usage?customer=x`; `{name}` in it are parameters. */
async function send(name: string, body?: unknown, params: Record<string, string> = {}, tenant = acme): Promise<Answer> {
  const [method = '', address = ''] = name.split(/ (.*)/)
  const path = `/api/v1${address.split('?')[0]}`
  const route = routes.find((one) => one.name === `${method} ${path}`)
  if (!route) throw new Error(`${name} is no route`)
  const whole = `/api/v1${address}`.replaceAll(/\{(\w+)\}/g, (_, one: string) => encodeURIComponent(params[one] ?? ''))
  return call(route.handler, method, whole, { as: tenant.api_key, params, ...(body === undefined ? {} : { body }) })
}
async function ok(name: string, body?: unknown, params?: Record<string, string>, tenant = acme) {
  const answer = await send(name, body, params, tenant)
  expect([name, answer.status, answer.body.detail]).toEqual([
    name,
    expect.toSatisfy((status) => status < 300),
    undefined,
  ])
  return answer.body
}
const names = async (tenant = acme): Promise<string[]> =>
  (
    await asSuperuser<{ external_id: string }>('select external_id from customers where tenant_id = $1 order by 1', [
      tenant.id,
    ])
  ).map(({ external_id }) => external_id)

beforeAll(async () => {
  await ok('POST /meters', { slug: 'calls', name: 'Calls' })
})

describe('blanks around a name', () => {
  test('are no part of it, whichever way it comes in', async () => {
    const tenant = await createTenant('blanks')
    const padded = ' \u00a0padded\t'
    const api = (name: string, body?: unknown) => ok(name, body, {}, tenant)
    await api('POST /meters', { slug: 'calls', name: 'Calls', event_type: 'call' })
    await api('POST /tiers', { slug: 'all', name: 'All', is_default: true, usage_caps: { calls: 100 } })
    expect(await api('POST /customers', { external_id: padded })).toMatchObject({ external_id: 'padded' })
    const event = { meter_id: 'calls', user_id: padded, event_id: 'one', source: 'x' }
    expect(await api('POST /usage/track', event)).toMatchObject({
      inserted: 1,
      usage: [{ user_id: 'padded', used: 1 }],
    })
    expect(await api('POST /usage/track', { ...event, user_id: 'padded' })).toMatchObject({ duplicates: 1 })
    expect(await api('POST /usage/check', { meter_id: 'calls', user_id: padded })).toMatchObject({ used: 1 })
    const held = await api('POST /usage/reserve', { meter_id: 'calls', user_id: padded, amount: 2 })
    expect(held).toMatchObject({ user_id: 'padded', remaining: 97 })
    await api('POST /usage/settle', { reservation_id: held.reservation.id })
    expect(await api('POST /customer-keys', { name: 'a key', external_id: padded })).toMatchObject({
      external_id: 'padded',
      customer_id: expect.any(String),
    })
    expect((await api(`GET /customer-keys?external_id=${encodeURIComponent(padded)}`)).data).toHaveLength(1)
    expect((await api(`GET /usage?customer=${encodeURIComponent(padded)}`)).data).toMatchObject([{ used: 3 }])

    const openmeter = new OpenMeter({ baseUrl: `${ingest.url}/compat/openmeter`, apiKey: tenant.api_key })
    await openmeter.events.ingest({ type: 'call', subject: padded, id: 'om', source: 'om', data: { value: 4 } })
    const told = await openmeter.meters.query('calls', { subject: [padded] })
    expect(told?.data).toMatchObject([{ subject: 'padded', value: 7 }])
    expect(await openmeter.events.list({ subject: padded })).toHaveLength(3)
    expect(await openmeter.subjects.upsert([{ key: padded }])).toMatchObject([{ key: 'padded' }])
    const made = await openmeter.customers.create({
      key: ' firm ',
      name: 'A firm',
      usageAttribution: { subjectKeys: ['\tfirm-1 '] },
    })
    expect(made).toMatchObject({ key: 'firm', usageAttribution: { subjectKeys: ['firm-1'] } })

    const { port } = ingest
    const stripe = new Stripe(tenant.api_key, { host: '127.0.0.1', port, protocol: 'http', telemetry: false })
    await stripe.billing.meterEvents.create({
      event_name: 'call',
      payload: { stripe_customer_id: padded, value: '5' },
    })
    const unkey = new Unkey({ serverURL: `${ingest.url}/compat/unkey`, rootKey: tenant.api_key })
    await unkey.keys.createKey({ apiId: 'api', externalId: padded })
    expect((await unkey.identities.getIdentity({ identity: padded })).data.externalId).toBe('padded')
    await expect(unkey.identities.createIdentity({ externalId: padded })).rejects.toThrow('exists already')

    expect(await names(tenant)).toEqual([tenant.customer.external_id, 'firm', 'padded'].sort())
    expect((await api('GET /usage?customer=padded')).data).toMatchObject([{ used: 12 }])
  })

  test('alone are no name', async () => {
    for (const body of [{ meter_id: 'calls', user_id: ' \u2003' }])
      expect((await send('POST /usage/track', body)).body).toMatchObject({ rejected: [{ code: 'invalid_user_id' }] })
    expect((await send('POST /usage/check', { meter_id: 'calls', user_id: '  ' })).status).toBe(422)
    expect((await send('POST /customers', { external_id: '  ' })).status).toBe(422)
  })
})

describe('an external id that is the id of another customer', () => {
  test('never stands before it, in any list, filter or path', async () => {
    const first = await ok('POST /customers', { external_id: 'first' })
    const second = await ok('POST /customers', { external_id: first.id })
    expect(second.id).not.toBe(first.id)
    const { id } = first
    await ok('POST /usage/track', [
      { meter_id: 'calls', user_id: 'first', event_value: 1 },
      { meter_id: 'calls', user_id: id, event_value: 10 },
    ])
    const rule = { meter: 'calls', kind: 'usage', threshold: 1 }
    expect(await ok('POST /alerts', { name: 'Of the first', customer: id, ...rule })).toMatchObject({
      customer: { id },
    })
    expect(await ok('POST /alerts', { name: 'Of the second', customer: second.id, ...rule })).toMatchObject({
      customer: { id: second.id },
    })
    expect((await ok(`GET /alerts?customer=${id}`)).data).toMatchObject([{ name: 'Of the first' }])
    for (const path of ['/customers/{id}/subscription', '/customers/{id}/entitlements'])
      expect(await ok(`GET ${path}`, undefined, { id })).toMatchObject({ customer_id: id })
    expect(await ok('GET /customers/{id}', undefined, { id })).toMatchObject({ id })
    for (const path of ['usage', 'usage/daily', 'usage/trends', 'usage/query'])
      expect([path, JSON.stringify(await ok(`GET /${path}?meter=calls&customer=${id}`))]).toEqual([
        path,
        expect.not.stringMatching(/"(?:used|current|value)":1[01]\b/),
      ])
    expect((await ok(`GET /usage/events?customer=${id}`)).data).toMatchObject([{ user_id: 'first' }])
    expect(await ok(`GET /usage/reports?customer=${id}`)).toMatchObject({ customer: { id } })

    await ok('POST /tiers', { slug: 'basic', name: 'Basic', price: 1 })
    await ok('PUT /customers/{id}/subscription', { tier: 'basic' }, { id })
    await ok('PATCH /tiers/{id}', { price: 2 }, { id: 'basic' })
    expect(await ok('POST /tiers/{id}/move', { customers: [id] }, { id: 'basic' })).toMatchObject({ moved: 1 })

    await asSuperuser(
      `insert into upgrade_requests (tenant_id, id, customer_id, tier_id, status, decided_at)
       select $1, gen_random_uuid(), c, t.id, 'declined', now() from unnest($2::uuid[]) c, tiers t where t.tenant_id = $1 and t.slug = 'basic'`,
      [acme.id, [id, second.id]],
    )
    expect((await ok(`GET /upgrade-requests?customer=${id}`)).data).toMatchObject([{ customer: { id } }])
    expect((await ok('GET /upgrade-requests?customer=first')).data).toMatchObject([{ customer: { id } }])
    expect((await send('GET /upgrade-requests?customer=nobody')).body).toMatchObject({
      status: 404,
      errors: [{ pointer: '/customer', detail: 'there is no such customer' }],
    })
  })

  test('of which each has lines of its own in what is billed', async () => {
    const tenant = await createTenant('billed')
    const api = (name: string, body?: unknown, params?: Record<string, string>) => ok(name, body, params, tenant)
    await api('POST /meters', { slug: 'calls', name: 'Calls' })
    const { id } = await api('POST /customers', { external_id: 'first' })
    await api('POST /usage/track', [
      { meter_id: 'calls', user_id: 'first' },
      { meter_id: 'calls', user_id: id },
    ])
    const period = await api('POST /billing-periods', { ends_at: new Date().toISOString() })
    const lines = async (customer: string) =>
      (await api(`GET /billing-periods/{id}/lines?customer=${customer}`, undefined, { id: period.id })).data
    expect(await lines(id)).toMatchObject([{ customer_id: id, customer: 'first' }])
    expect(await lines('first')).toMatchObject([{ customer_id: id }])
  })
})

describe('a name', () => {
  const long = '🦊'.repeat(255)

  test('of 255 characters is found, however many units each of them takes', async () => {
    await ok('POST /usage/track', { meter_id: 'calls', user_id: long, event_id: long, source: long })
    const query = encodeURIComponent(long)
    for (const path of [`usage?customer=${query}`, `usage/events?customer=${query}&event_id=${query}&source=${query}`])
      expect((await ok(`GET /${path}`)).data).toHaveLength(1)
    expect((await ok(`GET /usage/query?meter=calls&customer=${query}`)).data).toHaveLength(1)
    expect((await send(`GET /usage?customer=${query}x`)).body).toMatchObject({
      status: 422,
      errors: [{ pointer: '/customer', detail: 'may have at most 255 characters' }],
    })
  })

  test('may hold a comma, where a list of customers is asked for as well', async () => {
    await ok('POST /usage/track', [
      { meter_id: 'calls', user_id: 'Otter, Ltd.', event_value: 2 },
      { meter_id: 'calls', user_id: 'otter', event_value: 3 },
    ])
    const value = async (query: string) => (await ok(`GET /usage/query?meter=calls&${query}`)).data[0].value
    expect(await value('customer=Otter, Ltd.')).toBe(2)
    expect(await value('customer="Otter, Ltd.",otter')).toBe(5)
    expect(await value('customer=otter&customer=Otter, Ltd.')).toBe(5)
    expect(await value('customer=otter, first')).toBe(4)
    const many = Array.from({ length: 101 }, (_, at) => `customer-${at}`)
    for (const [list, status, detail] of [
      ['otter,Otter', 404, 'there is no such customer: Otter'],
      [many.join(','), 422, 'may have at most 100 entries'],
    ])
      expect((await send(`GET /usage/query?meter=calls&customer=${list}`)).body).toMatchObject({
        status,
        errors: [{ pointer: '/customer', detail }],
      })
  })
})
