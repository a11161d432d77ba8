// Every write is safe to repeat: the same key gives the same answer and one effect, however many arrive at once.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'
import { nameOfKey, openFor, sealFor } from '@/libs/crypto/keyed-box'
import { tenantQuery } from '@/libs/db/tenant-db'
import { AppError } from '@/libs/errors'
import { newId } from '@/libs/ids'
import { asSuperuser, call, createApiKey, createWorld } from '../support/world'

const { acme, globex } = await createWorld()
const PATH = '/api/v1/customers'
const input = z.strictObject({ name: z.string(), fail: z.boolean().optional() })

let runs = 0
const POST = withTenantAuth(
  async (request) => {
    runs += 1
    const { name, fail } = await readJson(request, input)
    const id = newId()
    await tenantQuery('insert into customers (id, external_id, name) values ($1, $2, $3)', [id, id, name])
    if (fail) throw new AppError('conflict', 'Not now.')
    return ApiResponse.created({ id, name })
  },
  { permission: 'customers:write' },
)
const DELETE = withTenantAuth(async () => ApiResponse.noContent(), { permission: 'customers:write' })

const named = async (name: string) =>
  (await asSuperuser<{ tenant_id: string }>('select tenant_id from customers where name = $1', [name])).length
const post = (name: string, key: string, more: { as?: string; path?: string; fail?: boolean } = {}) =>
  call(POST, 'POST', more.path ?? PATH, {
    as: more.as ?? acme.api_key,
    body: { name, ...(more.fail ? { fail: true } : {}) },
    headers: { 'idempotency-key': key },
  })

test('a repeat gets the first answer, marked as one, and does nothing', async () => {
  const first = await post('once', 'key-1')
  const before = runs
  const second = await post('once', 'key-1')
  expect([first.status, second.status]).toEqual([201, 201])
  expect(second.text).toBe(first.text)
  expect(first.headers.get('idempotent-replayed')).toBeNull()
  expect(second.headers.get('idempotent-replayed')).toBe('true')
  expect(runs).toBe(before)
  expect(await named('once')).toBe(1)
})

test('an answer without a body is repeated without one', async () => {
  const remove = () => call(DELETE, 'DELETE', PATH, { as: acme.api_key, headers: { 'idempotency-key': 'gone' } })
  expect([(await remove()).status, (await remove()).status]).toEqual([204, 204])
})

test('the same key with another body, path, query or method is an error, and does nothing', async () => {
  await post('first', 'key-2')
  for (const answer of [
    await post('other', 'key-2'),
    await post('first', 'key-2', { path: '/api/v1/other' }),
    await post('first', 'key-2', { path: `${PATH}?strict=true` }),
    await call(DELETE, 'DELETE', PATH, {
      as: acme.api_key,
      body: { name: 'first' },
      headers: { 'idempotency-key': 'key-2' },
    }),
  ]) {
    expect(answer.status).toBe(422)
    expect(answer.body.code).toBe('idempotency_mismatch')
  }
  expect(await named('other')).toBe(0)
  expect(await named('first')).toBe(1)
})

test('a failure is not kept: the same key may try again, and nothing of the failure stays', async () => {
  expect((await post('retried', 'key-3', { fail: true })).status).toBe(409)
  expect(await named('retried')).toBe(0)
  expect((await post('retried', 'key-3')).status).toBe(201)
  expect(await named('retried')).toBe(1)
})

test('nor is a refusal that is answered without an error', async () => {
  let calls = 0
  const later = withTenantAuth(
    async () => {
      calls += 1
      return calls === 1 ? new Response('{}', { status: 409 }) : ApiResponse.created({ calls })
    },
    { permission: 'customers:write' },
  )
  const send = () =>
    call(later, 'POST', PATH, { as: acme.api_key, body: {}, headers: { 'idempotency-key': 'key-later' } })
  expect([(await send()).status, (await send()).status, (await send()).status]).toEqual([409, 201, 201])
  expect(calls).toBe(2)
})

test('an answer too long to be kept does not make its effect happen twice', async () => {
  const long = withTenantAuth(
    async () => {
      const id = newId()
      await tenantQuery("insert into customers (id, external_id, name) values ($1, $2, 'long')", [id, id])
      return ApiResponse.created({ id, text: 'x'.repeat(300_000) })
    },
    { permission: 'customers:write' },
  )
  const send = () =>
    call(long, 'POST', PATH, { as: acme.api_key, body: {}, headers: { 'idempotency-key': 'key-long' } })
  expect((await send()).status).toBe(201)
  expect((await send()).status).toBeLessThan(500)
  expect(await named('long')).toBe(1)
})

test('an answer is repeated with its headers, but for those of the one sending', async () => {
  const headers = {
    'content-type': 'text/csv; charset=utf-8',
    etag: '"1"',
    location: '/api/v1/x?a=b: c',
    'set-cookie': 'a=b',
  }
  const made = withTenantAuth(async () => new Response('location: a\r\n\r\nb', { status: 202, headers }), {
    permission: 'customers:write',
  })
  const send = () => call(made, 'POST', PATH, { as: acme.api_key, body: {}, headers: { 'idempotency-key': 'headed' } })
  const [first, again] = [await send(), await send()]
  expect([again.status, again.text]).toEqual([202, first.text])
  for (const name of ['content-type', 'etag', 'location', 'cache-control', 'x-content-type-options'])
    expect([name, again.headers.get(name)]).toEqual([name, first.headers.get(name)])
  expect([again.headers.get('set-cookie'), again.headers.get('idempotent-replayed')]).toEqual([null, 'true'])
  expect(again.headers.get('x-request-id')).not.toBe(first.headers.get('x-request-id'))
})

test('after a day a key is as good as new, whether or not it was swept', async () => {
  const first = await post('daily', 'key-day')
  const age = (hours: number) =>
    asSuperuser('update idempotency_keys set created_at = now() - make_interval(hours => $1) where key = $2', [
      hours,
      nameOfKey('key-day'),
    ])
  await age(23)
  expect((await post('daily', 'key-day')).text).toBe(first.text)
  await age(25)
  const answers = await Promise.all(Array.from({ length: 10 }, () => post('next day', 'key-day')))
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 201))
  expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
  expect([await named('daily'), await named('next day')]).toEqual([1, 1])
})

test('an answer that is kept can be read by nobody but who repeats the request', async () => {
  const secret = 'hf_live_shown_once_and_never_again'
  const made = withTenantAuth(async () => ApiResponse.created({ key: secret }, '/api/v1/somewhere/secret'), {
    permission: 'customers:write',
  })
  const send = () =>
    call(made, 'POST', PATH, { as: acme.api_key, body: {}, headers: { 'idempotency-key': 'key-of-secret' } })
  expect([(await send()).body.key, (await send()).body.key]).toEqual([secret, secret])
  const rows = await asSuperuser<{ text: string; body: string }>('select i::text as text, body from idempotency_keys i')
  const all = rows.map(({ text }) => text).join('\n')
  for (const word of [secret, 'key-of-secret', '/somewhere']) expect(all.includes(word)).toBe(false)
  const sealed = sealFor('a', 'here', 'text')
  expect(openFor('a', 'here', sealed)).toBe('text')
  const changed = Buffer.from(sealed, 'base64').map((byte, at) => (at === 14 ? byte ^ 1 : byte))
  for (const open of [
    () => openFor('b', 'here', sealed),
    () => openFor('a', 'there', sealed),
    () => openFor('a', 'here', Buffer.from(changed).toString('base64')),
    () => openFor('a', 'here', ''),
  ])
    expect(open).toThrow()
})

test('keys are one’s own: of another actor or tenant they mean nothing', async () => {
  const other = await createApiKey(acme, ['customers:write', 'customers:read'])
  const answers = [
    await post('shared', 'key-4'),
    await post('shared', 'key-4', { as: other.key }),
    await post('shared', 'key-4', { as: globex.api_key }),
  ]
  expect(answers.map(({ status }) => status)).toEqual([201, 201, 201])
  expect(new Set(answers.map(({ body }) => body.id)).size).toBe(3)
  expect(await named('shared')).toBe(3)
})

test('without a key every request is its own', async () => {
  const send = () => call(POST, 'POST', PATH, { as: acme.api_key, body: { name: 'twice' } })
  await Promise.all([send(), send()])
  expect(await named('twice')).toBe(2)
})

test('a malformed key is a bad request', async () => {
  for (const key of ['', 'has space', 'x'.repeat(256), 'tab\there'])
    expect([key, (await post('malformed', key)).status]).toEqual([key, 400])
  expect(await named('malformed')).toBe(0)
  expect((await post('longest', 'x'.repeat(255))).status).toBe(201)
})

test('reading takes no notice of a key', async () => {
  const GET = withTenantAuth(async () => ApiResponse.success({ n: runs }), { permission: 'customers:read' })
  const get = () => call(GET, 'GET', PATH, { as: acme.api_key, headers: { 'idempotency-key': 'key-read' } })
  expect([(await get()).status, (await get()).headers.get('idempotent-replayed')]).toEqual([200, null])
})

describe('under concurrency', () => {
  test('100 at once with one key: one effect, one answer', async () => {
    const answers = await Promise.all(Array.from({ length: 100 }, () => post('stampede', 'key-5')))
    for (const { status } of answers) expect([201, 409]).toContain(status)
    const bodies = new Set(answers.filter(({ status }) => status === 201).map(({ text }) => text))
    expect(bodies.size).toBe(1)
    expect(await named('stampede')).toBe(1)
  })

  test('any mixture of keys, bodies and failures: one effect for each key that succeeded', async () => {
    const step = fc.record({
      key: fc.integer({ min: 0, max: 4 }),
      body: fc.integer({ min: 0, max: 1 }),
      fail: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 24 }), async (steps) => {
        const round = newId()
        const name = (key: number, body: number) => `${round}-${key}-${body}`
        const answers = await Promise.all(
          steps.map(async ({ key, body, fail }) => ({
            key,
            body,
            ...(await post(name(key, body), `${round}-${key}`, { fail }).then(({ status, text }) => ({
              status,
              text,
            }))),
          })),
        )
        for (let key = 0; key <= 4; key += 1) {
          const done = answers.filter((answer) => answer.key === key && answer.status === 201)
          expect(new Set(done.map(({ text }) => text)).size).toBeLessThanOrEqual(1)
          const effects = (await named(name(key, 0))) + (await named(name(key, 1)))
          expect(effects).toBe(done.length > 0 ? 1 : 0)
        }
      }),
      { numRuns: 25 },
    )
  })
})
