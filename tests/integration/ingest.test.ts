// The ingest process itself: the same answers as through Next, hostile input included, and nothing lost when it is told to end.
import { once } from 'node:events'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { POST as postCustomer } from '@/app/api/v1/customers/route'
import { POST as postMeter } from '@/app/api/v1/meters/route'
import { POST as postTier } from '@/app/api/v1/tiers/route'
import * as trackRoute from '@/app/api/v1/usage/track/route'
import * as openMeterRoute from '@/app/compat/openmeter/api/[...path]/route'
import * as stripeRoute from '@/app/compat/stripe/[...path]/route'
import * as unkeyRoute from '@/app/compat/unkey/v2/[method]/route'
import { newId } from '@/libs/ids'
import { whenHeard } from '../support/heard'
import { type IngestProcess, startIngestProcess } from '../support/ingest-process'
import { asSuperuser, call, createWorld, tokenFor } from '../support/world'

const { acme, globex } = await createWorld()
let ingest: IngestProcess
let second: IngestProcess
const bearer = (key: string) => ({ authorization: `Bearer ${key}` })
const track = (body: unknown, headers: Record<string, string> = bearer(acme.api_key), process = ingest) =>
  process.send({ path: '/api/v1/usage/track', headers, body })
const event = (user: string, extra: object = {}) => ({ meter_id: 'api_calls', user_id: user, ...extra })

beforeAll(async () => {
  for (const tenant of [acme, globex])
    await call(postMeter, 'POST', '/api/v1/meters', {
      as: tenant.api_key,
      body: { name: 'API calls', slug: 'api_calls' },
    })
  await call(postTier, 'POST', '/api/v1/tiers', {
    as: acme.api_key,
    body: { name: 'Small', usage_caps: { api_calls: 100 } },
  })
  ;[ingest, second] = await Promise.all([startIngestProcess(), startIngestProcess()])
})
afterAll(async () => {
  await Promise.all([ingest.end(), second.end()])
})

describe('routes', () => {
  test('track and check answer, and so do the probes', async () => {
    expect(await track(event('a', { event_value: 3 }))).toMatchObject({ status: 200, body: { inserted: 1 } })
    const asked = await ingest.send({
      path: '/api/v1/usage/check',
      headers: bearer(acme.api_key),
      body: { meter_id: 'api_calls', user_id: 'a', amount: 0 },
    })
    expect(asked).toMatchObject({ status: 200, body: { allowed: true, used: 3 } })
    expect(asked.headers).toMatchObject({ 'cache-control': 'private, no-store', 'x-request-id': expect.any(String) })
    const careful = { 'cache-control': 'private, no-store', 'x-content-type-options': 'nosniff' }
    expect(await ingest.send({ path: '/healthz', method: 'GET' })).toMatchObject({ status: 200, headers: careful })
    const elsewhere = { code: 'not_found', detail: expect.stringContaining(' is at app.') }
    expect(await ingest.send({ path: '/api/v1/meters', method: 'GET' })).toMatchObject({
      status: 404,
      headers: careful,
      body: elsewhere,
    })
    expect(await ingest.send({ path: '/readyz', method: 'GET' })).toMatchObject({
      status: 200,
      body: { status: 'ready' },
    })
  })

  test('HEAD of a path of another product is answered as GET is, without a body', async () => {
    for (const [path, status] of [
      ['/compat/openmeter/api/v1/meters', 200],
      ['/v1/customers', 200],
      ['/v1/customers/cus_nobody', 404],
      ['/v2/billing', 404],
    ] as const)
      expect(await ingest.send({ path, method: 'HEAD', headers: bearer(acme.api_key) })).toMatchObject({
        status,
        body: '',
      })
  })

  test('OPTIONS tells the methods that Next tells of the same, and so does what is refused', async () => {
    for (const [path, route] of [
      ['/api/v1/usage/track', trackRoute],
      ['/api/v1/tenants/acme/usage/check', trackRoute],
      ['/compat/unkey/v2/keys.verifyKey', unkeyRoute],
      ['/compat/openmeter/api/v1/events', openMeterRoute],
      ['/v1/billing/meters', stripeRoute],
    ] as const) {
      const methods = [...Object.keys(route), 'OPTIONS', ...('GET' in route ? ['HEAD'] : [])].sort().join(', ')
      const answer = await ingest.send({ path, method: 'OPTIONS' })
      expect([path, answer.status, answer.headers.allow, answer.body]).toEqual([path, 204, methods, ''])
      expect(answer.headers).not.toHaveProperty('content-length')
    }
    expect(await ingest.send({ path: '/api/v1/usage/track', method: 'GET' })).toMatchObject({
      status: 405,
      headers: { allow: 'OPTIONS, POST' },
      body: { detail: 'This address takes OPTIONS, POST.' },
    })
    expect((await ingest.send({ path: '/api/v1/meters', method: 'OPTIONS' })).status).toBe(404)
  })

  test('an Idempotency-Key makes holding an amount safe to repeat, here as elsewhere', async () => {
    const body = { meter_id: 'api_calls', user_id: 'holder', amount: 2 }
    const reserve = (more: object = {}) =>
      ingest.send({
        path: '/api/v1/usage/reserve',
        headers: { ...bearer(acme.api_key), 'idempotency-key': 'hold-once' },
        body: { ...body, ...more },
      })
    const first = await reserve()
    expect(first.status).toBeLessThan(300)
    const again = await reserve()
    expect(again.body).toEqual(first.body)
    expect(await reserve({ amount: 3 })).toMatchObject({ status: 422, body: { code: 'idempotency_mismatch' } })
    const held = await asSuperuser<{ n: number }>('select count(*)::int as n from reservations where tenant_id = $1', [
      acme.id,
    ])
    expect(held).toEqual([{ n: 1 }])
  })
  test('the tenant may be in the path, by id, slug or current', async () => {
    for (const name of [acme.id, acme.slug, 'current']) {
      const answer = await ingest.send({
        path: `/api/v1/tenants/${name}/usage/track`,
        headers: bearer(acme.api_key),
        body: event('path'),
      })
      expect(answer).toMatchObject({ status: 200, body: { inserted: 1 } })
    }
    const mismatch = await ingest.send({
      path: `/api/v1/tenants/${globex.id}/usage/track`,
      headers: bearer(acme.api_key),
      body: event('path'),
    })
    expect(mismatch).toMatchObject({ status: 403, body: { code: 'tenant_mismatch' } })
  })
  test('a user with a token of the auth server is known as well', async () => {
    const headers = { authorization: `Bearer ${await tokenFor(acme.users.admin)}`, 'x-tenant-id': acme.id }
    expect(await track(event('token'), headers)).toMatchObject({ status: 200, body: { inserted: 1 } })
  })
  test.each([
    ['GET', '/api/v1/usage/track', 405],
    ['POST', '/api/v1/usage', 404],
    ['POST', '/api/v1/meters', 404],
    ['POST', '/api/v1/tenants/acme/meters', 404],
    ['POST', '/', 404],
    ['POST', '/api/v1/usage/track//', 404],
    ['POST', '/api/v1/usage/%74rack', 404],
  ])('%s %s: %i', async (method, path, status) => {
    const answer = await ingest.send({
      path,
      method,
      headers: bearer(acme.api_key),
      ...(method === 'POST' ? { body: event('x') } : {}),
    })
    expect(answer.status).toBe(status)
    expect(answer.headers['content-type']).toBe('application/problem+json')
  })
  test('a slash at the end says nothing', async () => {
    const answer = await ingest.send({
      path: '/api/v1/usage/track/',
      method: 'POST',
      headers: bearer(acme.api_key),
      body: event('slash'),
    })
    expect(answer).toMatchObject({ status: 200, body: { inserted: 1 } })
  })
  test('nobody is let in by a header that is ours', async () => {
    for (const headers of [
      { 'x-internal-tenant-path': acme.id },
      { 'x-tenant': acme.id },
      { 'x-middleware-rewrite': '/api/v1/usage/track' },
      bearer(`${acme.api_key.slice(0, -1)}x`),
      { authorization: 'Basic x' },
    ] as Record<string, string>[])
      expect((await track(event('x'), headers)).status).toBe(401)
    const spoofed = await track(event('x'), { ...bearer(acme.api_key), 'x-internal-tenant-path': globex.id })
    expect(spoofed).toMatchObject({ status: 200, body: { inserted: 1 } })
  })
})

describe('hostile input', () => {
  test.each([
    ['no JSON', '{', {}, 400],
    ['no body', '', {}, 400],
    ['another type', 'a=b', { 'content-type': 'application/x-www-form-urlencoded' }, 415],
    ['broken gzip', 'x', { 'content-encoding': 'gzip' }, 400],
    ['a gzip bomb', gzipSync(Buffer.alloc(64_000_000, 32)), { 'content-encoding': 'gzip' }, 413],
    ['deep nesting, which is one entry that is refused', '['.repeat(5_000) + ']'.repeat(5_000), {}, 200],
  ] as [string, string | Buffer, Record<string, string>, number][])(
    '%s: answered, and the next request too',
    async (_name, body, headers, status) => {
      expect((await track(body, { ...bearer(acme.api_key), ...headers })).status).toBe(status)
      expect((await track(event('after'))).status).toBe(200)
    },
  )
  test.each([
    ['two Authorization headers', `authorization: Bearer ${globex.api_key}`],
    ['an X-API-Key that differs', `x-api-key: ${globex.api_key}`],
  ])('%s: neither is believed', async (_what, header) => {
    const body = JSON.stringify({ meter_id: 'calls', user_id: 'customer-1' })
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect({ port: ingest.port, host: '127.0.0.1' })
      let text = ''
      socket.on('data', (chunk) => {
        text += String(chunk)
      })
      socket.on('close', () => resolve(text))
      socket.on('error', reject)
      socket.write(
        `POST /api/v1/usage/check HTTP/1.1\r\nhost: localhost:3000\r\nauthorization: Bearer ${acme.api_key}\r\n${header}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      )
    })
    expect(answer).toMatch(/^HTTP\/1\.1 401 /)
  })
  test('a body without end is cut off', async () => {
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect({ port: ingest.port, host: '127.0.0.1' })
      let text = ''
      const more = () => {
        while (!socket.destroyed && socket.write('10000\r\n'.concat('x'.repeat(65_536), '\r\n')));
      }
      socket.on('data', (chunk) => {
        text += String(chunk)
      })
      socket.on('close', () => resolve(text))
      socket.on('error', () => resolve(text))
      socket.setTimeout(10_000, () => reject(new Error('never answered')))
      socket.on('drain', more)
      socket.write(
        `POST /api/v1/usage/track HTTP/1.1\r\nhost: localhost:3000\r\nauthorization: Bearer ${acme.api_key}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`,
      )
      more()
    })
    // The answer may be lost when the connection is cut under what is still coming.
    expect(answer === '' || answer.startsWith('HTTP/1.1 413')).toBe(true)
    expect((await track(event('after'))).status).toBe(200)
  })
})

test('two processes, one cap: not one unit too many, not one too few', async () => {
  await call(postCustomer, 'POST', '/api/v1/customers', {
    as: acme.api_key,
    body: { external_id: 'capped', tier: 'small' },
  })
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, turn) =>
      track(
        [event('capped', { event_value: 1 + (turn % 3) }), event('other')],
        bearer(acme.api_key),
        turn % 2 ? ingest : second,
      ),
    ),
  )
  expect(answers.every(({ status }) => status === 200)).toBe(true)
  const [row] = await asSuperuser<{ counter: string; events: string }>(
    `select (select used from usage_counters k where k.tenant_id = c.tenant_id and k.customer_id = c.id and period = 'month') as counter,
       (select sum(value) from usage_events e where e.tenant_id = c.tenant_id and e.customer_id = c.id) as events
     from customers c where tenant_id = $1 and external_id = 'capped'`,
    [acme.id],
  )
  expect(row).toEqual({ counter: '100', events: '100' })
})

test('a key that is revoked stops working at once', async () => {
  const { createApiKey } = await import('../support/world')
  const { id, key } = await createApiKey(acme, ['usage:write'])
  expect((await track(event('key'), bearer(key))).status).toBe(200)
  await asSuperuser('update api_keys set revoked_at = now() where id = $1', [id])
  await expect.poll(async () => (await track(event('key'), bearer(key))).status, whenHeard).toBe(401)
})

test('a key that is disabled stops working at once on every wire, and works again when it is enabled', async () => {
  const { createApiKey } = await import('../support/world')
  const { id, key } = await createApiKey(acme, ['usage:write'])
  const calls = [
    { path: '/api/v1/usage/track', body: event('switched') },
    { path: '/compat/unkey/v2/keys.verifyKey', body: { key: 'nobody' } },
    {
      path: '/compat/openmeter/api/v1/events',
      body: { specversion: '1.0', id: newId(), source: 'test', type: 'api_calls', subject: 'switched' },
    },
    { path: '/v1/billing/meter_events', body: 'event_name=api_calls' },
  ]
  const refusals = async () => {
    const answers = await Promise.all(
      [ingest, second].flatMap((process) => calls.map((one) => process.send({ ...one, headers: bearer(key) }))),
    )
    return answers.filter(({ status, body }) => status === 403 && JSON.stringify(body).includes('key_disabled')).length
  }
  expect(await refusals()).toBe(0)
  await asSuperuser('update api_keys set disabled_at = now() where id = $1', [id])
  await expect.poll(refusals, whenHeard).toBe(2 * calls.length)
  await asSuperuser('update api_keys set disabled_at = null where id = $1', [id])
  await expect.poll(refusals, whenHeard).toBe(0)
  expect((await track(event('switched'), bearer(key))).status).toBe(200)
})

test('SIGTERM does not wait for who sends and sends', async () => {
  const other = await startIngestProcess()
  const socket = connect(other.port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write('POST /api/v1/usage/track HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n[')
  await expect.poll(() => socket.bytesWritten).toBeGreaterThan(0)
  await other.send({ path: '/healthz', method: 'GET' })
  // It hangs up on that one without a word, before the request would be too old for any server, and is the one to do so.
  let answer = ''
  socket.on('data', (chunk) => {
    answer += String(chunk)
  })
  const closed = once(socket, 'close')
  expect(await other.end('SIGTERM')).toBe(0)
  await closed
  expect(answer).toBe('')
})

test('SIGTERM answers what was accepted, and ends cleanly', async () => {
  const third = await startIngestProcess()
  const user = 'last-words'
  let acknowledged = 0
  let stopped = false
  const senders = Array.from({ length: 16 }, async () => {
    while (!stopped) {
      const answer = await track(event(user), bearer(acme.api_key), third).catch(() => null)
      if (!answer) return
      if (answer.status === 200) acknowledged += answer.body.inserted
    }
  })
  await expect.poll(() => acknowledged, { timeout: 20_000 }).toBeGreaterThan(50)
  const code = await third.end('SIGTERM')
  stopped = true
  await Promise.all(senders)
  expect(code).toBe(0)
  const [row] = await asSuperuser<{ n: number }>(
    'select count(*)::int as n from usage_events e join customers c on c.tenant_id = e.tenant_id and c.id = e.customer_id where c.tenant_id = $1 and c.external_id = $2',
    [acme.id, user],
  )
  expect(acknowledged).toBeGreaterThan(0)
  // What was committed and could not be told any more is there as well; nothing that was told is missing.
  expect(row?.n).toBeGreaterThanOrEqual(acknowledged)
  expect((row?.n ?? 0) - acknowledged).toBeLessThanOrEqual(16)
})
