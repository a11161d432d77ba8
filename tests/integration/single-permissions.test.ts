// A key that holds one permission and no other can do what the reference says the permission is for: it reads what a key with all
// of them reads, and writes what it is to write. Nothing is left out of an answer without a word.
import { randomBytes } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { listOperations, readDocument } from '@/app/(platform)/docs/api/openapi-document'
import { GET as readOpenApi } from '@/app/api/openapi.json/route'
import { KEY_PERMISSIONS, type Permission } from '@/libs/auth/permissions'
import { forgetEnv } from '@/libs/env'
import { newId } from '@/libs/ids'
import { readRoutes } from '../support/routes'
import { startStripeServer } from '../support/stripe-server'
import { type Answer, asSuperuser, call, createApiKey, createWorld } from '../support/world'

const stripe = await startStripeServer()
afterAll(() => stripe.stop())
process.env.STRIPE_API_BASE = stripe.url
process.env.ENCRYPTION_KEYS = randomBytes(32).toString('base64')
forgetEnv()
const { acme } = await createWorld()
const { routes } = await readRoutes()
const document = readDocument(await (await readOpenApi(new Request('http://localhost:3000/api/openapi.json'))).json())
const operations = listOperations(document).flatMap((group) => group.operations)

/** Calls `GET /api/v1/meters/x` with the route whose pattern fits, as a key. */
async function send(key: string, name: string, body?: unknown): Promise<Answer> {
  const [method = '', address = ''] = name.split(' ')
  const parts = (address.split('?')[0] ?? '').split('/')
  const [route] = routes
    .filter(({ path, method: own }) => {
      const pattern = path.split('/')
      const fits = pattern.every((part, at) => part === parts[at] || part.startsWith('{'))
      return own === method && pattern.length === parts.length && fits
    })
    .sort((a, b) => a.parameters.length - b.parameters.length)
  if (!route) throw new Error(`${name} is no route`)
  const params = Object.fromEntries(
    route.path.split('/').flatMap((part, at) => (part.startsWith('{') ? [[part.slice(1, -1), parts[at] ?? '']] : [])),
  )
  return call(route.handler, method, address, { as: key, params, ...(body === undefined ? {} : { body }) })
}
const keys = new Map<string, string>()
async function keyWith(permission: Permission): Promise<string> {
  const key = keys.get(permission) ?? (await createApiKey(acme, [permission])).key
  keys.set(permission, key)
  return key
}
const all = async (name: string, body?: unknown) => {
  const answer = await send(acme.api_key, `${name.split(' ')[0]} /api/v1/${name.split(' ')[1]}`, body)
  expect([name, answer.status < 300, answer.body.detail]).toEqual([name, true, undefined])
  return answer.body
}
const yesterday = new Date(Date.now() - 1_000).toISOString()

beforeAll(async () => {
  await all('POST meters', { slug: 'calls', name: 'Calls' })
  await all('POST features', { key: 'sso', name: 'Sign-on' })
  await all('POST tiers', { slug: 'basic', name: 'Basic', usage_caps: { calls: 10 }, feature_entitlements: ['sso'] })
  await all('POST customers', { external_id: 'otter', tier: 'basic' })
  await all('POST customers/otter/entitlements', { kind: 'boolean', feature_key: 'sso' })
  await all('POST customers/otter/grants', { meter: 'calls', amount: 5 })
  await all('POST alerts', { name: 'Of one', meter: 'calls', customer: 'otter', kind: 'usage', threshold: 1 })
  await all('POST usage/track', { meter_id: 'calls', user_id: 'otter', event_id: 'one' })
  await all('POST usage/track', { meter_id: 'nothing', user_id: 'otter' })
  await all('POST customer-keys', { name: 'A key', external_id: 'otter' })
  await all('POST customer-logins', {
    customer_id: (await all('GET customers/otter')).id,
    email: 'otter@example.test',
  })
  await all('POST rate-limits/overrides', { namespace: 'n', identifier: 'i', limit: 1, duration: 1_000 })
  await all('POST metrics', { metric: 'transactions', value: 1 })
  await all('POST analytics-events', { event: 'opened' })
  await all('POST reconciliations', {})
  await all('POST billing-periods', { ends_at: new Date().toISOString() })
  stripe.keys.set('sk_test_keyacct_one000001', 'acct_one')
  const connected = await all('POST stripe-exports', { secret_key: 'sk_test_keyacct_one000001' })
  await all(`PUT stripe-exports/${connected.id}/meters/calls`, { event_name: 'calls' })
  await asSuperuser(
    `insert into upgrade_requests (tenant_id, id, customer_id, tier_id, status) select $1, $2, c.id, t.id, 'open'
     from customers c, tiers t where c.tenant_id = $1 and t.tenant_id = $1 and c.external_id = 'otter' and t.slug = 'basic'`,
    [acme.id, newId()],
  )
})

const GIVEN: Record<string, string> = {
  '/api/v1/customers/{id}/entitlements/{feature}/value': '/api/v1/customers/otter/entitlements/sso/value',
  '/api/v1/customers/{id}/entitlements/{feature}': '/api/v1/customers/otter/entitlements/sso',
  '/api/v1/customers/{id}/balance': '/api/v1/customers/otter/balance?meter=calls',
  '/api/v1/customers/{id}/balance/history': '/api/v1/customers/otter/balance/history?meter=calls',
  '/api/v1/meters/{id}/query': '/api/v1/meters/calls/query?group_by=customer',
  '/api/v1/usage/query': '/api/v1/usage/query?meter=calls&group_by=customer',
}
/** Of what stands in an answer what is of its own moment. */
const MOMENTS = new Set(['as_of', 'closed_at', 'request_id', 'last_used_at', 'forecast', 'share'])
const still = (body: unknown): unknown =>
  JSON.parse(JSON.stringify(body, (name, value) => (MOMENTS.has(name) ? undefined : value)))

async function addressOf(path: string): Promise<string> {
  const given = GIVEN[path]
  if (given !== undefined) return given
  if (!path.includes('{')) return path
  if (path.startsWith('/api/v1/customers/{id}')) return addressOf(path.replace('{id}', 'otter'))
  const [list = '', rest = ''] = path.split(/\/\{\w+\}(.*)/)
  const [first] = (await send(acme.api_key, `GET ${list}`)).body.data
  return `${list}/${first.id}${rest}`
}

const needed = (description: string): Permission[] =>
  [...description.matchAll(/`([a-z-]+:(?:read|write))`/g)].map(([, permission]) => permission as Permission)
const readings = operations.flatMap(({ method, path, description }) => {
  const [permission] = needed(description ?? '')
  const isOwn = permission !== undefined && KEY_PERMISSIONS.includes(permission)
  // The first steps are those the caller may see; the record grows by being read.
  const other = path.startsWith('/api/v1/tenants/{id}') || /^\/api\/v1\/(?:onboard|audit-logs)/.test(path)
  return method === 'get' && isOwn && !other ? [[path, permission] as const] : []
})

describe('reading', () => {
  test('is told of every noun', () => {
    expect(readings.length).toBeGreaterThan(50)
  })

  test.each(readings)('%s with %s alone', async (path, permission) => {
    const address = await addressOf(path)
    const whole = await send(acme.api_key, `GET ${address}`)
    expect([address, whole.status]).toEqual([address, 200])
    const one = await send(await keyWith(permission), `GET ${address}`)
    // What is counted of these very requests may come in between: then it is as it is afterwards.
    const after = await send(acme.api_key, `GET ${address}`)
    const same = isDeepStrictEqual(still(one.body), still(whole.body)) ? whole : after
    expect([one.status, still(one.body)]).toEqual([200, still(same.body)])
  })
})

describe('writing', () => {
  test.each<[Permission, string, unknown?]>([
    ['meters:write', 'POST meters', { slug: 'mine', name: 'Mine' }],
    ['meters:write', 'PATCH meters/mine', { name: 'Still mine' }],
    ['tiers:write', 'POST features', { key: 'export', name: 'Export' }],
    ['tiers:write', 'PATCH features/export', { name: 'Exports' }],
    [
      'tiers:write',
      'POST tiers',
      { slug: 'mine', name: 'Mine', usage_caps: { mine: 5 }, feature_entitlements: ['export'] },
    ],
    ['tiers:write', 'PATCH tiers/mine', { price: 5, usage_caps: { mine: 7 } }],
    ['tiers:write', 'POST tiers/basic/preview', { usage_caps: { calls: 5 } }],
    ['customers:write', 'POST customers', { external_id: 'mine', tier: 'mine' }],
    ['customers:write', 'PATCH customers/mine', { name: 'Mine' }],
    ['customers:write', 'PUT customers/mine/subscription', { tier: 'basic', anchor_day: 5 }],
    [
      'customers:write',
      'POST customers/mine/entitlements',
      { kind: 'metered', meter: 'mine', limit: 5, feature_key: 'm' },
    ],
    ['customers:write', 'POST customers/mine/grants', { meter: 'mine', amount: 5 }],
    ['customers:write', 'DELETE customers/mine/entitlements/m'],
    ['alerts:write', 'POST alerts', { name: 'Mine', meter: 'mine', customer: 'mine', kind: 'usage', threshold: 1 }],
    ['alerts:write', 'POST alerts/standard', {}],
    ['usage:write', 'POST usage/track', { meter_id: 'calls', user_id: 'mine', event_id: 'mine' }],
    ['usage:write', 'POST usage/correct', { action: 'amend', event_id: 'mine', event_value: 3 }],
    ['usage:write', 'POST usage/reserve', { meter_id: 'calls', user_id: 'mine' }],
    ['usage:write', 'POST reconciliations', {}],
    ['customer-keys:write', 'POST customer-keys', { name: 'Mine', external_id: 'mine', remaining: 5 }],
    ['rate-limits:write', 'POST rate-limits/overrides', { namespace: 'm', identifier: 'i', limit: 1, duration: 1_000 }],
    ['metrics:write', 'POST metrics', { metric: 'transactions', value: 1 }],
    ['stripe-exports:write', 'PUT stripe-exports/{id}/meters/mine', { event_name: 'mine' }],
  ])('%s alone: %s', async (permission, name, body) => {
    const [method, path] = name.split(' ')
    const answer = await send(await keyWith(permission), `${method} ${await addressOf(`/api/v1/${path}`)}`, body)
    expect([answer.status < 300, answer.body.detail]).toEqual([true, undefined])
  })

  test('closing a period asks for more, and says for what', async () => {
    const body = { ends_at: yesterday }
    expect(await send(await keyWith('billing-periods:write'), 'POST /api/v1/billing-periods', body)).toMatchObject({
      status: 403,
      body: {
        detail: 'Closing a period needs to see all of it: usage:read, customers:read, meters:read, tiers:read.',
        required_permission: ['usage:read', 'customers:read', 'meters:read', 'tiers:read'],
      },
    })
  })
})
