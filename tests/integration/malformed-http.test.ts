// What is hardly HTTP, byte by byte to the ingest process: a problem document for all of it, never silence, never a 5xx.
import { createServer, type Server } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { POST as postMeter } from '@/app/api/v1/meters/route'
import { refuseMalformed } from '@/libs/net/refuse-malformed'
import { findFreePort } from '../../processes/dev-stack/ports'
import { type IngestProcess, startIngestProcess } from '../support/ingest-process'
import { type RawAnswer, sendRaw } from '../support/raw-http'
import { asSuperuser, call, createWorld } from '../support/world'

const { acme, globex } = await createWorld()
let ingest: IngestProcess
const question = JSON.stringify({ meter_id: 'calls', user_id: 'customer-1', amount: 0 })
const auth = `authorization: Bearer ${acme.api_key}\r\ncontent-type: application/json\r\n`
const length = `content-length: ${question.length}\r\n`
const check = '/api/v1/usage/check'
const ask = (head: string, body = question, line = `POST ${check} HTTP/1.1`) => `${line}\r\n${head}${auth}\r\n${body}`
const host = 'host: localhost:3000\r\n'

beforeAll(async () => {
  for (const tenant of [acme, globex])
    await call(postMeter, 'POST', '/api/v1/meters', { as: tenant.api_key, body: { name: 'Calls', slug: 'calls' } })
  ingest = await startIngestProcess()
})
afterAll(() => ingest?.end())
// Whatever was thrown at it, it lives.
afterEach(async () => {
  expect((await sendRaw(ingest.port, ask(`${host}${length}connection: close\r\n`))).statuses).toEqual([200])
})

function expectProblem(answer: RawAnswer, status: number, code: string): void {
  expect(answer.statuses.at(-1)).toBe(status)
  expect(answer.headers['content-type']).toBe('application/problem+json')
  expect(answer.headers['content-length']).toBe(String(Buffer.byteLength(answer.body)))
  expect(answer.headers['x-request-id']).toBe(JSON.parse(answer.body).request_id)
  expect(JSON.parse(answer.body)).toMatchObject({ status, code, title: expect.any(String), detail: expect.any(String) })
}

describe('what the parser does not take', () => {
  test.each([
    ['a method of nobody', 400, 'bad_request', 'FOO / HTTP/1.1\r\nhost: a\r\n\r\n'],
    ['a version of nobody', 400, 'bad_request', 'GET / HTTP/9.9\r\nhost: a\r\n\r\n'],
    ['no Host', 400, 'bad_request', `GET ${check} HTTP/1.1\r\nconnection: close\r\n\r\n`],
    ['a space in the path', 400, 'bad_request', 'GET /a b HTTP/1.1\r\nhost: a\r\n\r\n'],
    ['bytes that are no ASCII in the path', 400, 'bad_request', 'GET /m\xe9ters HTTP/1.1\r\nhost: a\r\n\r\n'],
    ['NUL in a header', 400, 'bad_request', 'GET / HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n'],
    ['a folded header', 400, 'bad_request', 'GET / HTTP/1.1\r\nhost: a\r\nx: a\r\n b\r\n\r\n'],
    ['line feeds alone', 400, 'bad_request', 'GET / HTTP/1.1\nhost: a\n\n'],
    ['TLS', 400, 'bad_request', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ['HTTP/2', 400, 'bad_request', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['two lengths', 400, 'bad_request', ask(`${host}${length}content-length: 3\r\n`)],
    ['a length and chunks', 400, 'bad_request', ask(`${host}${length}transfer-encoding: chunked\r\n`, '0\r\n\r\n')],
    ['a chunk of no size', 400, 'bad_request', ask(`${host}transfer-encoding: chunked\r\n`, 'zz\r\n{}\r\n0\r\n\r\n')],
    ['a header of 60,000', 431, 'headers_too_large', `GET / HTTP/1.1\r\nhost: a\r\nx: ${'x'.repeat(60_000)}\r\n\r\n`],
    ['a query of 60,000', 431, 'headers_too_large', `GET /?${'x'.repeat(60_000)} HTTP/1.1\r\nhost: a\r\n\r\n`],
    ['a tunnel', 405, 'method_not_allowed', 'CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n'],
  ])('%s: %i %s, and the connection ends', async (_what, status, code, bytes) => {
    const answer = await sendRaw(ingest.port, bytes)
    expectProblem(answer, status, code)
    expect(answer.statuses).toHaveLength(1)
    expect(answer.headers.connection).toBe('close')
    expect(answer.ended).toBe(true)
  })

  test('the answer arrives although more is coming', async () => {
    const flood = Array.from({ length: 50 }, () => 'x'.repeat(65_536))
    expectProblem(await sendRaw(ingest.port, ['GET / HTTP/9.9\r\n\r\n', ...flood]), 400, 'bad_request')
  })

  test('behind two good requests: those are answered first, in order', async () => {
    const good = ask(`${host}${length}`)
    const answer = await sendRaw(ingest.port, `${good}${good}NONSENSE\r\n\r\n`)
    expect(answer.statuses).toEqual([200, 200, 400])
    expectProblem(answer, 400, 'bad_request')
    expect(answer.ended).toBe(true)
  })

  test('connections that are cut at any byte leave nothing behind and nothing half done', async () => {
    const body = JSON.stringify(Array.from({ length: 50 }, () => ({ meter_id: 'calls', user_id: 'cut' })))
    const whole = ask(`${host}content-length: ${body.length}\r\n`, body, 'POST /api/v1/usage/track HTTP/1.1')
    for (let at = 1; at < whole.length; at += 97) await sendRaw(ingest.port, whole.slice(0, at), { quiet: 5 })
    await sleep(200)
    const events = await asSuperuser<{ n: number }>(
      `select count(*)::int as n from usage_events e join customers c on c.tenant_id = e.tenant_id and c.id = e.customer_id
       where c.external_id = 'cut'`,
    )
    expect(events).toEqual([{ n: 0 }])
  })
})

describe('a request that does not arrive in time', () => {
  let server: Server
  let port: number
  beforeAll(async () => {
    port = await findFreePort()
    server = createServer(
      { requestTimeout: 600, headersTimeout: 300, connectionsCheckingInterval: 50 },
      (request, response) => {
        request.resume()
        request.on('end', () => response.end('done'))
      },
    )
    refuseMalformed(server)
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  })
  afterAll(() => {
    server.close()
    server.closeAllConnections()
  })

  test.each([
    ['its head', 'GET / HTTP/1.1\r\nhost'],
    ['its body', 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc'],
    ['its chunks', 'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nab'],
  ])('%s: 408', async (_what, bytes) => {
    const answer = await sendRaw(port, bytes)
    expectProblem(answer, 408, 'request_timeout')
    expect(answer.ended).toBe(true)
  })
  test('one byte at a time', async () => {
    const trickle = [...'POST / HTTP/1.1\r\nhost: a\r\n\r\n'.slice(0, 20)]
    expectProblem(await sendRaw(port, trickle, { pause: 40 }), 408, 'request_timeout')
  })
})

describe('what is unusual and right', () => {
  test.each([
    ['HTTP/1.0 without a Host', ask(length, question, `POST ${check} HTTP/1.0`)],
    [
      'chunks',
      ask(
        `${host}transfer-encoding: chunked\r\n`,
        `5\r\n${question.slice(0, 5)}\r\n${(question.length - 5).toString(16)}\r\n${question.slice(5)}\r\n0\r\n\r\n`,
      ),
    ],
    [
      'trailers',
      ask(
        `${host}transfer-encoding: chunked\r\n`,
        `${question.length.toString(16)}\r\n${question}\r\n0\r\nauthorization: x\r\n\r\n`,
      ),
    ],
    ['Expect: 100-continue', ask(`${host}${length}expect: 100-continue\r\n`)],
    ['another expectation', ask(`${host}${length}expect: magic\r\n`)],
    [
      'an offer of HTTP/2',
      ask(`${host}${length}connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n`),
    ],
    ['the whole URL as its target', ask(`${host}${length}`, question, `POST http://localhost:3000${check} HTTP/1.1`)],
    ['an address of IPv6 as host', ask(`host: [::1]:3000\r\n${length}`)],
  ])('%s is answered', async (_what, bytes) => {
    const answer = await sendRaw(ingest.port, bytes, { answers: bytes.includes('100-continue') ? 2 : 1 })
    expect(answer.statuses.at(-1)).toBe(200)
    expect(JSON.parse(answer.body)).toMatchObject({ allowed: true })
  })
  test('a slow body is waited for', async () => {
    const answer = await sendRaw(ingest.port, [ask(`${host}${length}`, ''), ...question], { pause: 20, answers: 1 })
    expect(answer.statuses).toEqual([200])
  })
  test('a slash at the end of an address says nothing, an empty part in it leads nowhere', async () => {
    for (const path of [`${check}/`, `${check}/?x=1`, `/api/v1/tenants/acme/usage/check/`]) {
      const answer = await sendRaw(ingest.port, ask(`${host}${length}`, question, `POST ${path} HTTP/1.1`), {
        answers: 1,
      })
      expect([path, answer.statuses]).toEqual([path, [200]])
    }
    for (const path of [`${check}//`, '/api/v1//usage/check', '/api//', '/api/v1/usage/'])
      expectProblem(
        await sendRaw(ingest.port, ask(`${host}${length}`, question, `POST ${path} HTTP/1.1`), { answers: 1 }),
        404,
        'not_found',
      )
  })

  test('the host of a whole URL counts, and the header does not', async () => {
    const target = `POST http://${globex.slug}.localhost:3000${check} HTTP/1.1`
    const answer = await sendRaw(ingest.port, ask(`${host}${length}`, question, target), { answers: 1 })
    expectProblem(answer, 403, 'tenant_mismatch')
  })
})

describe('a Host header that names nobody', () => {
  const HOSTS = [
    'a b',
    'a.0',
    '999.999.999.999',
    '[:::]',
    '[::1',
    'a:b:c',
    'localhost:99999',
    'a..b',
    'a@b',
    'a/b',
    '%61',
    '',
  ]
  const PATHS = [
    check,
    '/api/v1/usage/track?strict=true',
    '/api/v1/usage/reserve',
    '/compat/unkey/v2/keys.verifyKey',
    '/v1/billing/meter_events',
  ]
  test.each(HOSTS)('%j is answered by every route, below 500', async (name) => {
    for (const path of PATHS)
      for (const key of ['', 'idempotency-key: a\r\n']) {
        const bytes = ask(`host: ${name}\r\n${length}${key}connection: close\r\n`, question, `POST ${path} HTTP/1.1`)
        const answer = await sendRaw(ingest.port, bytes)
        expect([path, answer.statuses.length, answer.body === '']).toEqual([path, 1, false])
        expect(answer.statuses[0]).toBeLessThan(500)
      }
  })
})

test('a body that is too large is refused in words, also to who goes on sending it', async () => {
  const head = ask(`${host}content-length: 30000000\r\n`, '', 'POST /api/v1/usage/track HTTP/1.1')
  const answer = await sendRaw(ingest.port, [head, ...Array.from({ length: 400 }, () => 'x'.repeat(65_536))])
  expectProblem(answer, 413, 'payload_too_large')
  expect(answer.ended).toBe(true)
})

describe('gzip', () => {
  const send = (bytes: Buffer, more: Record<string, string> = {}) =>
    ingest.send({
      path: '/api/v1/usage/track',
      headers: { authorization: `Bearer ${acme.api_key}`, 'content-encoding': 'gzip', ...more },
      body: bytes,
    })
  const one = JSON.stringify({ meter_id: 'calls', user_id: 'zipped' })
  test('in several members is one body; with bytes behind it is none', async () => {
    const members = Buffer.concat([gzipSync(one.slice(0, 10)), gzipSync(one.slice(10))])
    expect(await send(members)).toMatchObject({ status: 200, body: { inserted: 1 } })
    expect(await send(Buffer.concat([gzipSync(one), Buffer.from('{"more":1}')]))).toMatchObject({ status: 400 })
    expect(await send(gzipSync(one).subarray(0, -4))).toMatchObject({ status: 400, body: { code: 'bad_request' } })
    expect(await send(gzipSync(gzipSync(one)))).toMatchObject({ status: 400 })
  })
  test('packed anew it is the same request to an Idempotency-Key', async () => {
    for (const [path, body] of [
      ['/api/v1/usage/track', one],
      ['/api/v1/usage/reserve', JSON.stringify({ meter_id: 'calls', user_id: 'zipped', amount: 1 })],
    ] as const) {
      const again = (level: number) =>
        ingest.send({
          path,
          headers: {
            authorization: `Bearer ${acme.api_key}`,
            'content-encoding': 'gzip',
            'idempotency-key': `zip-${path}`,
          },
          body: gzipSync(body, { level }),
        })
      const [first, second] = [await again(9), await again(0)]
      expect(first.status).toBeLessThan(300)
      expect(second).toMatchObject({
        status: first.status,
        body: first.body,
        headers: { 'idempotent-replayed': 'true' },
      })
    }
  })
})
