// Calls of the hot path that take something: with an Idempotency-Key a repeat takes nothing, whoever sends it how often.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { GET as getKey } from '@/app/api/v1/customer-keys/[id]/route'
import { POST as postKey } from '@/app/api/v1/customer-keys/route'
import { POST as verifyRoute } from '@/app/api/v1/customer-keys/verify/route'
import { POST as limitRoute } from '@/app/api/v1/rate-limits/limit/route'
import { METHODS } from '@/app/compat/unkey/methods'
import { forgetEnv } from '@/libs/env'
import { whenHeard } from '../support/heard'
import { type IngestProcess, startIngestProcess } from '../support/ingest-process'
import { call, createApiKey, createWorld, setStatus } from '../support/world'

const { acme, globex } = await createWorld()
const admin = { as: acme.users.admin, tenant: acme }
const newCustomerKey = async (body: object) =>
  (await call(postKey, 'POST', '/api/v1/customer-keys', { ...admin, body })).body as { id: string; key: string }
const remaining = async (id: string) =>
  (await call(getKey, 'GET', `/api/v1/customer-keys/${id}`, { ...admin, params: { id } })).body.remaining
const withKey = (key: string, as = acme.api_key) => ({ as, headers: { 'idempotency-key': key } })
const verify = (body: object, options: object = { as: acme.api_key }) =>
  call(verifyRoute, 'POST', '/api/v1/customer-keys/verify', { ...options, body })
const limit = (body: unknown, options: object = { as: acme.api_key }) =>
  call(limitRoute, 'POST', '/api/v1/rate-limits/limit', { ...options, body })
const ask = (identifier: string, more: object = {}) => ({
  namespace: 'n',
  identifier,
  limit: 3,
  duration: 60_000,
  ...more,
})

let ingest: IngestProcess
beforeAll(async () => {
  ingest = await startIngestProcess()
})
afterAll(() => ingest?.end())
afterEach(() => {
  delete process.env.RATE_LIMIT_STORE
  forgetEnv()
})

describe('verifying a key', () => {
  test('takes its credits once for one Idempotency-Key, and says the same again', async () => {
    const { id, key } = await newCustomerKey({ remaining: 10 })
    const answers = await Promise.all(
      Array.from({ length: 30 }, () => verify({ key, credits: { cost: 3 } }, withKey('v1'))),
    )
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1)
    expect(answers[0]?.body).toMatchObject({ valid: true, remaining: 7 })
    expect(answers.filter(({ headers }) => headers.get('idempotent-replayed') === 'true')).toHaveLength(29)
    expect(await remaining(id)).toBe(7)
    expect((await verify({ key, credits: { cost: 3 } }, withKey('v2'))).body.remaining).toBe(4)
    expect((await verify({ key, credits: { cost: 3 } })).body.remaining).toBe(1)
    expect((await verify({ key, credits: { cost: 1 } }, withKey('v1'))).body.code).toBe('idempotency_mismatch')
    expect(await remaining(id)).toBe(1)
  })
  test('a refusal is an answer, and repeated as one', async () => {
    const { id, key } = await newCustomerKey({ remaining: 1 })
    for (let turn = 0; turn < 2; turn += 1)
      expect((await verify({ key, credits: { cost: 5 } }, withKey('r1'))).body).toMatchObject({
        valid: false,
        code: 'USAGE_EXCEEDED',
        remaining: 1,
      })
    expect(await remaining(id)).toBe(1)
    expect((await verify({ key: 'nonsense' }, withKey('r2'))).body).toEqual({ valid: false, code: 'NOT_FOUND' })
    expect((await verify({ key: 5 }, withKey('r3'))).status).toBe(422)
    expect((await verify({ key }, withKey('r3'))).body.valid).toBe(true)
  })
  test('of many keys that nobody has asked for before, all at once, everybody is answered', async () => {
    const keys = await Promise.all(Array.from({ length: 40 }, () => newCustomerKey({ remaining: 2 })))
    const answers = await Promise.all(keys.map(({ key }, at) => verify({ key }, withKey(`many-${at}`))))
    expect(answers.map(({ body }) => body.remaining)).toEqual(keys.map(() => 1))
  })
  test('another caller’s key means nothing', async () => {
    const { id, key } = await newCustomerKey({ remaining: 10 })
    const other = await createApiKey(acme, ['usage:write'])
    await verify({ key }, withKey('own'))
    expect((await verify({ key }, withKey('own', other.key))).headers.get('idempotent-replayed')).toBeNull()
    expect(await remaining(id)).toBe(8)
    expect((await verify({ key }, withKey('own', globex.api_key))).body.code).toBe('NOT_FOUND')
  })
  test('on the ingest port and over the wire of Unkey as well', async () => {
    const { id, key } = await newCustomerKey({ remaining: 10 })
    const over = (path: string, keyed: string) =>
      ingest.send({
        path,
        headers: { authorization: `Bearer ${acme.api_key}`, 'idempotency-key': keyed },
        body: { key, credits: { cost: 2 } },
      })
    for (const path of ['/api/v1/customer-keys/verify', '/compat/unkey/v2/keys.verifyKey']) {
      const before = await remaining(id)
      const [first, second] = [await over(path, path), await over(path, path)]
      expect([first.status, second.status, second.headers['idempotent-replayed']]).toEqual([200, 200, 'true'])
      expect(second.body).toEqual(first.body)
      expect(await remaining(id)).toBe(before - 2)
    }
    expect(METHODS.has('keys.verifyKey')).toBe(true)
  })
})

describe.each(['memory', 'postgres'])('a call held against a rate limit, counted in %s', (store) => {
  test('counts once for one Idempotency-Key, with the headers of the first answer', async () => {
    process.env.RATE_LIMIT_STORE = store
    forgetEnv()
    const once = Array.from({ length: 10 }, () => limit(ask(`once-${store}`), withKey(`once-${store}`)))
    const answers = await Promise.all(once)
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
    expect(answers[0]?.body).toMatchObject({ success: true, remaining: 2 })
    for (const name of ['ratelimit', 'ratelimit-policy', 'x-ratelimit-remaining'])
      expect(new Set(answers.map(({ headers }) => headers.get(name))).size).toBe(1)
    expect((await limit(ask(`once-${store}`))).body.remaining).toBe(1)
    expect((await limit(ask(`once-${store}`), withKey(`two-${store}`))).body.remaining).toBe(0)
    const refused = [
      await limit(ask(`once-${store}`), withKey(`no-${store}`)),
      await limit(ask(`once-${store}`), withKey(`no-${store}`)),
    ]
    expect(refused.map(({ status, body }) => [status, body.success])).toEqual([
      [200, false],
      [200, false],
    ])
    expect(refused[1]?.headers.get('retry-after')).toBe(refused[0]?.headers.get('retry-after'))
  })
  test('several at once are all or nothing here too', async () => {
    process.env.RATE_LIMIT_STORE = store
    forgetEnv()
    const calls = [ask(`a-${store}`), ask(`b-${store}`, { limit: 0 })]
    expect((await limit(calls, withKey(`all-${store}`))).body.success).toBe(false)
    expect((await limit(ask(`a-${store}`))).body.remaining).toBe(2)
  })
})

test('a suspended tenant is answered as without a key', async () => {
  await setStatus(globex, 'suspended')
  for (const headers of [{}, { 'idempotency-key': 'asleep' }]) {
    await expect
      .poll(async () => (await verify({ key: 'x' }, { as: globex.api_key, headers })).status, whenHeard)
      .toBe(423)
    expect((await limit(ask('x'), { as: globex.api_key, headers })).status).toBe(423)
  }
  await setStatus(globex, 'active')
})
