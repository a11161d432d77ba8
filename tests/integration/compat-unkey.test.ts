// The packages of Unkey, as npm has them, against the ingest process: only the address of the server is another.
import { Unkey } from '@unkey/api'
import { UnkeyError } from '@unkey/api/models/errors'
import { Overrides, Ratelimit } from '@unkey/ratelimit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DELETE as archiveCustomer } from '@/app/api/v1/customers/[id]/route'
import { POST as postCustomer } from '@/app/api/v1/customers/route'
import { newId } from '@/libs/ids'
import { whenHeard } from '../support/heard'
import { type IngestProcess, startIngestProcess } from '../support/ingest-process'
import { asSuperuser, call, createApiKey, createTenant, createWorld, setStatus } from '../support/world'

const { acme, globex } = await createWorld()
let ingest: IngestProcess
let second: IngestProcess
let unkey: Unkey
let other: Unkey
const address = (process: IngestProcess) => `${process.url}/compat/unkey`
const client = (key: string, process = ingest) => new Unkey({ rootKey: key, serverURL: address(process) })

beforeAll(async () => {
  ;[ingest, second] = await Promise.all([startIngestProcess(), startIngestProcess()])
  unkey = client(acme.api_key)
  other = client(acme.api_key, second)
})
afterAll(async () => {
  await Promise.all([ingest.end(), second.end()])
})

const create = async (options: Omit<Parameters<Unkey['keys']['createKey']>[0], 'apiId'> = {}) =>
  (await unkey.keys.createKey({ apiId: 'api_test', ...options })).data
const verify = async (
  key: string,
  options: Omit<Parameters<Unkey['keys']['verifyKey']>[0], 'key'> = {},
  from: Unkey = unkey,
) => (await from.keys.verifyKey({ key, ...options })).data
const refused = async (work: Promise<unknown>) => {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(UnkeyError)
  return error as UnkeyError & { error?: { title: string; detail: string; status: number; errors?: unknown[] } }
}

describe('keys', () => {
  test('a key is made, and found good by every process', async () => {
    const { keyId, key } = await create({
      prefix: 'acme',
      name: 'Production',
      externalId: acme.customer.external_id,
      meta: { planName: 'pro', nested: { camelCase: true } },
      expires: Date.now() + 60_000,
    })
    expect(key).toMatch(/^acme_[0-9A-Za-z]{49}$/)
    for (const from of [unkey, other]) {
      expect(await verify(key, { tags: ['path=/v1'] }, from)).toMatchObject({
        valid: true,
        code: 'VALID',
        keyId,
        name: 'Production',
        enabled: true,
        meta: { planName: 'pro', nested: { camelCase: true } },
        identity: { id: acme.customer.id, externalId: acme.customer.external_id },
        expires: expect.any(Number),
      })
    }
    const shown = (await unkey.keys.getKey({ keyId })).data
    expect(shown).toMatchObject({ keyId, name: 'Production', enabled: true, meta: { planName: 'pro' } })
    expect(key.startsWith(shown.start)).toBe(true)
    expect((await unkey.keys.whoami({ key })).data.keyId).toBe(keyId)
    await expect
      .poll(async () => (await unkey.keys.getKey({ keyId })).data.lastUsedAt, { timeout: 10_000 })
      .toBeGreaterThan(0)
  })

  test('what is no key, a mistyped one and one of another tenant are not found', async () => {
    const { key } = await create()
    const wrong = `${key.slice(0, -1)}${key.endsWith('A') ? 'B' : 'A'}`
    for (const text of ['nonsense', wrong, acme.api_key]) {
      expect(await verify(text)).toEqual({ valid: false, code: 'NOT_FOUND' })
    }
    expect(await verify(key, {}, client(globex.api_key))).toEqual({ valid: false, code: 'NOT_FOUND' })
    expect(await verify(key)).toMatchObject({ valid: true })
  })

  test('an expired and a disabled key are told apart', async () => {
    const expires = Date.now() + 2_000
    const { keyId, key } = await create({ expires })
    const { code } = await verify(key)
    expect(code === 'VALID' || Date.now() >= expires).toBe(true)
    // Sooner than what is remembered of it would be looked up again.
    await expect.poll(async () => (await verify(key)).code, { timeout: 4_500 }).toBe('EXPIRED')
    await unkey.keys.updateKey({ keyId, expires: null })
    await expect.poll(async () => (await verify(key)).code, whenHeard).toBe('VALID')
    await unkey.keys.updateKey({ keyId, enabled: false })
    for (const from of [unkey, other]) {
      await expect.poll(async () => (await verify(key, {}, from)).code, whenHeard).toBe('DISABLED')
    }
    expect((await verify((await create({ enabled: false })).key)).code).toBe('DISABLED')
  })

  test('a deleted key is dead in every process as soon as it hears of it', async () => {
    const { keyId: deleted, key } = await create()
    for (const from of [unkey, other]) expect((await verify(key, {}, from)).code).toBe('VALID')
    await unkey.keys.deleteKey({ keyId: deleted })
    await Promise.all(
      [unkey, other].map((from) =>
        expect.poll(async () => (await verify(key, {}, from)).code, whenHeard).toBe('NOT_FOUND'),
      ),
    )
    expect((await refused(unkey.keys.getKey({ keyId: deleted }))).statusCode).toBe(404)
    expect((await refused(unkey.keys.deleteKey({ keyId: deleted }))).statusCode).toBe(404)
  })

  test('the key of a customer who was archived is forbidden', async () => {
    const external = `archived-${newId()}`
    const { body } = await call(postCustomer, 'POST', '/api/v1/customers', {
      as: acme.api_key,
      body: { external_id: external },
    })
    const { key } = await create({ externalId: external })
    expect((await verify(key)).code).toBe('VALID')
    await call(archiveCustomer, 'DELETE', `/api/v1/customers/${body.id}`, {
      as: acme.api_key,
      params: { id: body.id },
    })
    await expect.poll(async () => (await verify(key)).code, whenHeard).toBe('FORBIDDEN')
  })

  test('permissions are asked with AND, OR and parentheses', async () => {
    const { key } = await create({ permissions: ['docs.read', 'files.*'], roles: ['editor'] })
    const asked: [string, boolean][] = [
      ['docs.read', true],
      ['docs.write', false],
      ['docs.read AND files.write', true],
      ['docs.write OR files.a.b', true],
      ['docs.read AND (docs.write OR admin)', false],
      ['(docs.read OR docs.write) AND files.x', true],
      ['admin OR docs.read AND docs.write', false],
    ]
    for (const [permissions, valid] of asked) {
      const answer = await verify(key, { permissions })
      expect([permissions, answer.valid, answer.code]).toEqual([
        permissions,
        valid,
        valid ? 'VALID' : 'INSUFFICIENT_PERMISSIONS',
      ])
      expect(answer).toMatchObject({ permissions: ['docs.read', 'files.*'], roles: ['editor'] })
    }
    const error = await refused(verify(key, { permissions: 'docs.read AND (' }))
    expect(error.statusCode).toBe(400)
    expect(error.error?.errors).toEqual([{ location: 'body.permissions', message: expect.any(String) }])
  })
})

describe('credits', () => {
  test('are used up exactly, however many ask at once in however many processes', async () => {
    const { keyId, key } = await create({ credits: { remaining: 20 } })
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) => verify(key, {}, index % 2 === 0 ? unkey : other)),
    )
    const valid = answers.filter((answer) => answer.valid)
    expect(valid).toHaveLength(20)
    expect(valid.map((answer) => answer.credits).sort((a = 0, b = 0) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, n) => n),
    )
    for (const answer of answers)
      if (!answer.valid) expect(answer).toMatchObject({ code: 'USAGE_EXCEEDED', credits: 0, keyId })
    expect((await unkey.keys.getKey({ keyId })).data.credits).toEqual({ remaining: 0 })
  })

  test('a cost is taken whole or not at all, and nothing is taken by what fails before', async () => {
    const { keyId, key } = await create({ credits: { remaining: 10 } })
    expect(await verify(key, { credits: { cost: 7 } })).toMatchObject({ valid: true, credits: 3 })
    expect(await verify(key, { credits: { cost: 4 } })).toMatchObject({ code: 'USAGE_EXCEEDED', credits: 3 })
    expect(await verify(key, { credits: { cost: 0 } })).toMatchObject({ valid: true, credits: 3 })
    expect(await verify(key, { permissions: 'admin' })).toMatchObject({ code: 'INSUFFICIENT_PERMISSIONS' })
    expect((await unkey.keys.getKey({ keyId })).data.credits?.remaining).toBe(3)
  })

  test('are set, added to, taken from and lifted', async () => {
    const { keyId, key } = await create({
      credits: { remaining: 5, refill: { interval: 'monthly', amount: 9, refillDay: 31 } },
    })
    const change = async (operation: 'set' | 'increment' | 'decrement', value: number | null) =>
      (await unkey.keys.updateCredits({ keyId, operation, value })).data.remaining
    expect(await change('increment', 10)).toBe(15)
    expect(await change('decrement', 100)).toBe(0)
    expect(await verify(key)).toMatchObject({ code: 'USAGE_EXCEEDED' })
    expect(await change('set', 2)).toBe(2)
    expect((await unkey.keys.getKey({ keyId })).data.credits).toEqual({
      remaining: 2,
      refill: { interval: 'monthly', amount: 9, refillDay: 31 },
    })
    expect(await change('set', null)).toBeNull()
    await expect.poll(async () => (await verify(key)).credits, whenHeard).toBeUndefined()
    expect((await refused(unkey.keys.updateCredits({ keyId, operation: 'increment', value: 1 }))).statusCode).toBe(400)
  })

  test('a refill that is due comes with the next verification, once', async () => {
    const { keyId, key } = await create({ credits: { remaining: 1, refill: { interval: 'daily', amount: 3 } } })
    expect(await verify(key)).toMatchObject({ valid: true, credits: 0 })
    expect(await verify(key)).toMatchObject({ code: 'USAGE_EXCEEDED' })
    await asSuperuser('update customer_keys set refilled_on = refilled_on - 1 where id = $1', [keyId])
    const answers = await Promise.all(Array.from({ length: 6 }, () => verify(key)))
    expect(answers.filter(({ valid }) => valid)).toHaveLength(3)
  })

  test('a key that is rotated shares its credits with its successor while it lives', async () => {
    const old = await create({ prefix: 'rot', credits: { remaining: 4 }, meta: { plan: 'pro' } })
    expect((await verify(old.key)).credits).toBe(3)
    const fresh = (await unkey.keys.rerollKey({ keyId: old.keyId, expiration: 60_000 })).data
    expect(fresh.keyId).not.toBe(old.keyId)
    expect(fresh.key).toMatch(/^rot_/)
    expect(await verify(fresh.key)).toMatchObject({ valid: true, credits: 2, meta: { plan: 'pro' } })
    await expect
      .poll(async () => (await verify(old.key, { credits: { cost: 0 } })).expires, whenHeard)
      .toBeGreaterThan(Date.now())
    const answers = await Promise.all([old.key, fresh.key, old.key, fresh.key, old.key].map((key) => verify(key)))
    expect(answers.filter(({ valid }) => valid)).toHaveLength(2)
    const last = (await unkey.keys.rerollKey({ keyId: fresh.keyId, expiration: 0 })).data
    await expect.poll(async () => (await verify(fresh.key)).code, whenHeard).toBe('NOT_FOUND')
    expect((await verify(last.key)).code).toBe('USAGE_EXCEEDED')
  })
})

describe('limits of keys', () => {
  test('apply by themselves or by name, all or nothing', async () => {
    const { key } = await create({
      ratelimits: [
        { name: 'requests', limit: 3, duration: 60_000, autoApply: true },
        { name: 'exports', limit: 1, duration: 60_000 },
      ],
    })
    const first = await verify(key, { ratelimits: [{ name: 'exports' }] })
    expect(first.ratelimits).toMatchObject([
      { name: 'requests', limit: 3, remaining: 2, duration: 60_000, exceeded: false, autoApply: true },
      { name: 'exports', limit: 1, remaining: 0, exceeded: false, autoApply: false },
    ])
    const second = await verify(key, { ratelimits: [{ name: 'exports' }] })
    expect(second).toMatchObject({ valid: false, code: 'RATE_LIMITED' })
    expect(second.ratelimits).toMatchObject([{ exceeded: false, remaining: 2 }, { exceeded: true }])
    const more = []
    for (let call = 0; call < 3; call += 1) more.push((await verify(key)).code)
    expect(more).toEqual(['VALID', 'VALID', 'RATE_LIMITED'])
    expect((await refused(verify(key, { ratelimits: [{ name: 'unknown' }] }))).statusCode).toBe(400)
    expect((await verify(key, { ratelimits: [{ name: 'requests', limit: 100, duration: 1_000 }] })).valid).toBe(true)
  })
})

describe('@unkey/ratelimit', () => {
  const limiter = (namespace: string, limit = 5) =>
    new Ratelimit({ baseUrl: address(ingest), rootKey: acme.api_key, namespace, limit, duration: '60s' })

  test('lets through as many as the limit says, and no more', async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, () => limiter('burst').limit('user-1')))
    expect(answers.filter(({ success }) => success)).toHaveLength(5)
    for (const { limit, reset } of answers) {
      expect(limit).toBe(5)
      expect(reset).toBeGreaterThan(Date.now())
    }
    expect(await limiter('burst').limit('user-2', { cost: 4 })).toMatchObject({ success: true, remaining: 1 })
    expect(await limiter('burst').limit('user-2', { cost: 2 })).toMatchObject({ success: false, remaining: 1 })
    expect(await limiter('elsewhere').limit('user-1')).toMatchObject({ success: true, remaining: 4 })
  })

  test('a refused call may come again when it was told', async () => {
    const short = () =>
      new Ratelimit({ baseUrl: address(ingest), rootKey: acme.api_key, namespace: 'short', limit: 2, duration: 1_000 })
    const first = await Promise.all([0, 1, 2].map(() => short().limit('x')))
    expect(first.filter(({ success }) => success)).toHaveLength(2)
    const reset = first.find(({ success }) => !success)?.reset ?? 0
    await new Promise((resolve) => setTimeout(resolve, reset - Date.now() + 5))
    expect((await short().limit('x')).success).toBe(true)
  })

  test('overrides: the exact one before a pattern, a pattern before the limit of the call', async () => {
    const overrides = new Overrides({ baseUrl: address(ingest), rootKey: acme.api_key })
    const namespace = 'with-overrides'
    const seen = async (identifier: string) => {
      const { limit } = await limiter(namespace).limit(identifier)
      return limit
    }
    expect(await seen('premium_1')).toBe(5)
    const wide = await overrides.setOverride({ namespace, identifier: 'premium_*', limit: 50, duration: 60_000 })
    await overrides.setOverride({ namespace, identifier: 'premium_2', limit: 500, duration: 60_000 })
    await overrides.setOverride({ namespace, identifier: '*_banned', limit: 0, duration: 60_000 })
    await expect.poll(() => seen('premium_1'), whenHeard).toBe(50)
    await expect.poll(() => seen('premium_2'), whenHeard).toBe(500)
    expect(await limiter(namespace).limit('x_banned')).toMatchObject({ success: false, limit: 0 })
    expect(
      (await unkey.ratelimit.limit({ namespace, identifier: 'premium_9', limit: 5, duration: 1 })).data,
    ).toMatchObject({
      overrideId: wide.data.overrideId,
    })
    expect((await overrides.getOverride({ namespace, identifier: 'premium_*' })).data).toEqual({
      overrideId: wide.data.overrideId,
      identifier: 'premium_*',
      limit: 50,
      duration: 60_000,
    })
    const page = await overrides.listOverrides({ namespace, limit: 2 })
    const listed = 'result' in page ? page.result : page
    expect(listed).toMatchObject({ pagination: { hasMore: true, cursor: expect.any(String) } })
    await overrides.deleteOverride({ namespace, identifier: 'premium_*' })
    await expect.poll(() => seen('premium_1'), whenHeard).toBe(5)
    expect((await refused(unkey.ratelimit.getOverride({ namespace, identifier: 'premium_*' }))).statusCode).toBe(404)
  })

  test('several limits at once are all or nothing', async () => {
    const calls = (limit: number) => [
      { namespace: 'multi', identifier: 'a', limit: 10, duration: 60_000 },
      { namespace: 'multi', identifier: 'b', limit, duration: 60_000 },
    ]
    expect((await unkey.ratelimit.multiLimit(calls(1))).data).toMatchObject({ passed: true })
    const second = (await unkey.ratelimit.multiLimit(calls(1))).data
    expect(second).toMatchObject({ passed: false, limits: [{ passed: true, remaining: 9 }, { passed: false }] })
  })
})

describe('who may', () => {
  test('without a root key, or with a wrong one, it is 401', async () => {
    const error = await refused(client('hf_live_wrong').keys.verifyKey({ key: 'x' }))
    expect([error.statusCode, error.error?.status, error.error?.title]).toEqual([401, 401, expect.any(String)])
    const bare = await ingest.send({ path: '/compat/unkey/v2/keys.verifyKey', body: { key: 'x' } })
    expect(bare).toMatchObject({
      status: 401,
      body: { meta: { requestId: expect.any(String) }, error: { status: 401 } },
    })
  })
  test('a method is called by POST alone, and one below it is not supported', async () => {
    const headers = { authorization: `Bearer ${acme.api_key}` }
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE']) {
      const answer = await ingest.send({ path: '/compat/unkey/v2/keys.verifyKey', method, headers })
      expect([answer.status, answer.headers.allow]).toEqual([405, 'OPTIONS, POST'])
    }
    const below = await ingest.send({ path: '/compat/unkey/v2/keys.verifyKey/more', headers, body: {} })
    expect(below).toMatchObject({ status: 404, body: { meta: {}, error: { status: 404 } } })
  })
  test('a root key does what its permissions say', async () => {
    const verifier = client((await createApiKey(acme, ['usage:write'])).key)
    const { key } = await create()
    expect((await verify(key, {}, verifier)).valid).toBe(true)
    expect((await refused(verifier.keys.createKey({ apiId: 'x' }))).statusCode).toBe(403)
    expect(
      (await refused(verifier.ratelimit.setOverride({ namespace: 'n', identifier: 'i', limit: 1, duration: 1 })))
        .statusCode,
    ).toBe(403)
    const reader = client((await createApiKey(acme, ['customer-keys:read'])).key)
    expect((await refused(verify(key, {}, reader))).statusCode).toBe(403)
  })
  test.each([
    ['/compat/unkey/v2/keys.createKey', '{"name":"x","constructor":1}'],
    ['/compat/openmeter/api/v1/meters', '{"slug":"x","aggregation":"COUNT","eventType":"x","constructor":1}'],
  ])('%s names a field as it was sent, also one that every object has', async (path, body) => {
    const answer = await ingest.send({
      method: 'POST',
      path,
      headers: { authorization: `Bearer ${acme.api_key}`, 'content-type': 'application/json' },
      body,
    })
    expect([answer.status, JSON.stringify(answer.body)]).toEqual([
      400,
      expect.stringContaining('constructor: is not a'),
    ])
  })

  test('what is wrong with a body is said where it is', async () => {
    const error = await refused(unkey.keys.createKey({ apiId: '', prefix: 'has space', expires: -1 }))
    expect(error.statusCode).toBe(400)
    expect(error.error).toMatchObject({
      status: 400,
      title: expect.any(String),
      detail: expect.any(String),
      type: expect.any(String),
    })
    expect(JSON.stringify(error.error?.errors)).toMatch(/body\.apiId/)
    const { keyId } = await create({ credits: { remaining: 1 } })
    for (const [change, location] of [
      [() => unkey.keys.updateCredits({ keyId, operation: 'increment' }), 'body.value'],
      [() => unkey.keys.updateKey({ keyId, name: 'n'.repeat(10_000) }), 'body.name'],
    ] as const)
      expect((await refused(change())).error?.errors).toEqual([{ location, message: expect.any(String) }])
    expect((await refused(unkey.keys.createKey({ apiId: 'x', recoverable: true }))).statusCode).toBe(400)
    expect((await refused(unkey.keys.createKey({ apiId: 'x', prefix: 'hf_live' }))).statusCode).toBe(400)
    for (const body of ['', '{', '[]', '{"key":1}', '{"key":"\\u0000"}'])
      expect(
        await ingest.send({
          path: '/compat/unkey/v2/keys.verifyKey',
          headers: { authorization: `Bearer ${acme.api_key}` },
          body,
        }),
      ).toMatchObject({ status: 400, body: { error: { status: 400, errors: expect.any(Array) } } })
    const unknown = await ingest.send({
      path: '/compat/unkey/v2/keys.doSomething',
      headers: { authorization: `Bearer ${acme.api_key}` },
      body: {},
    })
    expect(unknown).toMatchObject({ status: 404, body: { error: { status: 404 } } })
  })
  test('a write with an Idempotency-Key is done once', async () => {
    const send = () =>
      ingest.send({
        path: '/compat/unkey/v2/keys.createKey',
        headers: { authorization: `Bearer ${acme.api_key}`, 'idempotency-key': 'once' },
        body: { apiId: 'x' },
      })
    const [first, again] = [await send(), await send()]
    expect(first.status).toBe(200)
    expect(again.body).toEqual(first.body)
  })
  test('a suspended tenant verifies nothing, what is remembered included', async () => {
    const tenant = await createTenant('asleep-soon')
    const root = client(tenant.api_key)
    const { key } = (await root.keys.createKey({ apiId: 'x' })).data
    expect((await verify(key, {}, root)).valid).toBe(true)
    await setStatus(tenant, 'suspended')
    await expect
      .poll(
        () =>
          verify(key, {}, root).then(
            () => 200,
            (error: UnkeyError) => error.statusCode,
          ),
        whenHeard,
      )
      .toBe(403)
  })
})
