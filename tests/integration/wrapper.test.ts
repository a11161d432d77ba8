// withTenantAuth and its siblings: who may enter, what they get told when they may not, and what never gets out.
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { SignJWT, UnsecuredJWT } from 'jose'
import { afterEach, describe, expect, test } from 'vitest'
import { withOperatorAuth } from '@/libs/api-utils/operator-api-wrapper'
import { ApiResponse, withTenantAuth, withTenantContext } from '@/libs/api-utils/tenant-api-wrapper'
import { withUserAuth } from '@/libs/api-utils/user-api-wrapper'
import { createKey } from '@/libs/auth/api-key'
import { operatorQuery } from '@/libs/db/operator-db'
import { serverPool } from '@/libs/db/pools'
import { tenantQuery } from '@/libs/db/tenant-db'
import { env } from '@/libs/env'
import { AppError } from '@/libs/errors'
import { newId } from '@/libs/ids'
import { log } from '@/libs/log'
import { findContext } from '@/libs/tenancy/tenant-context'
import { whenHeard } from '../support/heard'
import { requireVariable } from '../support/variables'
import {
  asSuperuser,
  asSystem,
  call,
  createApiKey,
  createTenant,
  createWorld,
  newUser,
  type RequestOptions,
  read,
  request,
  sessionCookieFor,
  setStatus,
  type TestUser,
  tokenFor,
} from '../support/world'

const { acme, globex, operators, stranger } = await createWorld()
const PATH = '/api/v1/things'
const SAME_ID = { 'x-request-id': 'the-same-request' }

const open = withTenantAuth(async (_request, context) =>
  ApiResponse.success({
    tenant: context.tenant.slug,
    tenant_id: context.tenantId,
    role: context.role,
    actor: context.actor.kind,
    permissions: context.actor.permissions,
    customer_id: context.customerId,
    user: context.user,
    params: context.params,
    request_id: context.requestId,
  }),
)
const readMeters = withTenantAuth(async () => ApiResponse.success({}), { permission: 'meters:read' })
const writeTiers = withTenantAuth(async () => ApiResponse.success({}), { permission: 'tiers:write' })
const addCustomer = withTenantAuth(
  async (_request, { params }) => {
    await tenantQuery('insert into customers (id, external_id) values ($1, $2)', [newId(), params.name])
    if (params.ending === 'throw') throw new AppError('conflict', 'No.')
    if (params.ending === 'fail') throw new Error('secret detail')
    return ApiResponse.created({ name: params.name })
  },
  { permission: 'customers:write' },
)
const hasCustomer = async (name: string) =>
  (await asSuperuser('select from customers where external_id = $1', [name])).length > 0

describe('401: one wording for every reason', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const subject = { sub: acme.users.owner.id, email: acme.users.owner.email }
  const now = Math.floor(Date.now() / 1_000)
  const bearer = (value: string): RequestOptions => ({ headers: { authorization: value } })
  /** A token signed as ours are, with other claims. */
  const claiming = async (claims: Record<string, unknown>) => {
    const token = new SignJWT({ ...subject, aud: 'authenticated', role: 'authenticated', exp: now + 60, ...claims })
    const secret = new TextEncoder().encode(requireVariable('SUPABASE_JWT_SECRET'))
    return bearer(`Bearer ${await token.setProtectedHeader({ alg: 'HS256' }).sign(secret)}`)
  }

  const reasons: Record<string, () => Promise<RequestOptions>> = {
    'nothing sent': async () => ({}),
    'an empty bearer': async () => bearer('Bearer '),
    'another scheme': async () => bearer('Basic YWNtZTphY21l'),
    'no token at all': async () => bearer('Bearer not.a.token'),
    'an expired token': async () => bearer(`Bearer ${await tokenFor(acme.users.owner, { seconds: -10 })}`),
    'a token signed with another secret': async () =>
      bearer(`Bearer ${await tokenFor(acme.users.owner, { secret: 'x'.repeat(32) })}`),
    'a token for another audience': async () =>
      bearer(
        `Bearer ${await new SignJWT(subject)
          .setProtectedHeader({ alg: 'HS256' })
          .setAudience('anon')
          .setExpirationTime(now + 60)
          .sign(new TextEncoder().encode(requireVariable('SUPABASE_JWT_SECRET')))}`,
      ),
    'a token with its payload changed': async () => bearer(`Bearer ${await forge(stranger, acme.users.owner)}`),
    'a token without signature': async () =>
      bearer(
        `Bearer ${new UnsecuredJWT(subject)
          .setAudience('authenticated')
          .setExpirationTime(now + 60)
          .encode()}`,
      ),
    'a token signed with a key of its own': async () =>
      bearer(
        `Bearer ${await new SignJWT(subject)
          .setProtectedHeader({ alg: 'ES256', jwk: createPublicKey(privateKey).export({ format: 'jwk' }) })
          .setAudience('authenticated')
          .setExpirationTime(now + 60)
          .sign(privateKey)}`,
      ),
    'a token with padding': async () => bearer(`Bearer ${await tokenFor(acme.users.owner)}=`),
    'a token that never ends': () => claiming({ exp: undefined }),
    'a token whose subject is no user': () => claiming({ sub: "x' or true --" }),
    'a token of a service': () => claiming({ role: 'service_role' }),
    'a token of a visitor': () => claiming({ role: 'anon' }),
    'a token that is not good yet': () => claiming({ nbf: now + 60 }),
    'a token without subject': async () => bearer(`Bearer ${await tokenFor({ id: '', email: 'x@y.test' })}`),
    'a key that does not exist': async () => ({ as: createKey('live') }),
    'a mistyped key': async () => ({ as: `${acme.api_key.slice(0, -1)}${acme.api_key.endsWith('A') ? 'B' : 'A'}` }),
    'a revoked key': async () => {
      const { id, key } = await createApiKey(acme, ['meters:read'])
      await asSystem(acme, () => tenantQuery('update api_keys set revoked_at = now() where id = $1', [id]))
      return { as: key }
    },
    'an expired key': async () => {
      const { id, key } = await createApiKey(acme, ['meters:read'])
      await asSystem(acme, () =>
        tenantQuery("update api_keys set expires_at = now() - interval '1 second' where id = $1", [id]),
      )
      return { as: key }
    },
    'a key whose maker has left': async () => ({
      as: (await createApiKey(acme, ['meters:read'], newUser('gone'))).key,
    }),
    'an expired session': async () => ({
      headers: { cookie: await sessionCookieFor(acme.users.owner, { seconds: -10 }) },
    }),
    'a broken session': async () => ({ headers: { cookie: 'hf-session=base64-e30; hf-session.0=x' } }),
  }

  /** A token of one user, made to name another. */
  async function forge(from: TestUser, to: TestUser): Promise<string> {
    const [header, payload, signature] = (await tokenFor(from)).split('.')
    const claims = JSON.parse(Buffer.from(payload ?? '', 'base64url').toString())
    return [header, Buffer.from(JSON.stringify({ ...claims, sub: to.id })).toString('base64url'), signature].join('.')
  }

  test('every reason gets the same bytes and headers', async () => {
    const answers = new Set<string>()
    for (const [reason, make] of Object.entries(reasons)) {
      const options = await make()
      const answer = await call(open, 'GET', PATH, {
        tenant: acme,
        ...options,
        headers: { ...options.headers, ...SAME_ID },
      })
      expect([reason, answer.status]).toEqual([reason, 401])
      expect(answer.headers.get('www-authenticate')).toBe('Bearer')
      answers.add(JSON.stringify([answer.text, [...answer.headers]]))
    }
    expect(answers.size).toBe(1)
  })

  test('a wrong bearer is refused even when a valid session comes with it', async () => {
    const headers = { cookie: await sessionCookieFor(acme.users.owner), authorization: 'Bearer wrong' }
    expect((await call(open, 'GET', PATH, { tenant: acme, headers })).status).toBe(401)
  })
})

describe('404: not there and not yours are the same bytes', () => {
  test('for a stranger, another tenant’s owner, an operator; by id, slug and host', async () => {
    const gone = await createTenant('gone')
    await setStatus(gone, 'deleted')
    const targets = [
      acme.id,
      gone.id,
      newId(),
      'acme',
      'gone',
      'never-was',
      'ACME',
      '-',
      "'; drop table tenants; --",
      '💥',
    ]
    const answers = new Set<string>()
    for (const as of [stranger, globex.users.owner, operators.super_admin])
      for (const target of targets) {
        const header = /^[\x20-\x7e]+$/.test(target) ? target : encodeURIComponent(target)
        const answer = await call(open, 'GET', PATH, { as, tenant: header, headers: SAME_ID })
        expect([target, answer.status]).toEqual([target, 404])
        answers.add(JSON.stringify([answer.text, [...answer.headers]]))
      }
    for (const host of ['acme.localhost:3000', 'never-was.localhost:3000', 'portal.unknown.test', 'a.b.localhost']) {
      const answer = await call(open, 'GET', PATH, { as: stranger, host, headers: SAME_ID })
      expect([host, answer.status]).toEqual([host, 404])
      answers.add(JSON.stringify([answer.text, [...answer.headers]]))
    }
    expect(answers.size).toBe(1)
  })

  test('a deleted tenant is gone for its own owner and its key too', async () => {
    const tenant = await createTenant('leaving')
    await setStatus(tenant, 'deleted')
    await expect
      .poll(async () => (await call(open, 'GET', PATH, { as: tenant.users.owner, tenant })).status, whenHeard)
      .toBe(404)
    expect((await call(open, 'GET', PATH, { as: tenant.api_key })).status).toBe(404)
  })
})

describe('403: known, but not allowed', () => {
  const grid: [keyof typeof acme.users, number, number][] = [
    ['owner', 200, 200],
    ['admin', 200, 200],
    ['member', 200, 403],
    ['compliance', 403, 403],
    ['customer', 403, 403],
  ]
  test.each(grid)('%s: meters:read %i, tiers:write %i', async (role, reading, writing) => {
    const as = acme.users[role]
    expect((await call(readMeters, 'GET', PATH, { as, tenant: acme })).status).toBe(reading)
    expect((await call(writeTiers, 'POST', PATH, { as, tenant: acme })).status).toBe(writing)
  })

  test('a denial names the permission that is missing and is recorded with who, what and where', async () => {
    const answer = await call(writeTiers, 'POST', PATH, {
      as: acme.users.member,
      tenant: acme,
      headers: { 'x-request-id': 'denied-request' },
    })
    expect(answer.body).toMatchObject({
      code: 'forbidden',
      status: 403,
      detail: 'You may not do this in this tenant: it needs tiers:write.',
      required_permission: 'tiers:write',
    })
    const rows = await asSuperuser(
      `select tenant_id, actor_id, outcome, action, metadata from audit_logs join audit_details using (tenant_id, id)
       where request_id = 'denied-request'`,
    )
    expect(rows).toEqual([
      {
        tenant_id: acme.id,
        actor_id: acme.users.member.id,
        outcome: 'denied',
        action: 'access.denied',
        metadata: expect.objectContaining({ method: 'POST', path: PATH }),
      },
    ])
  })

  test('any one of several permissions is enough', async () => {
    const either = withTenantAuth(async () => ApiResponse.success({}), { permission: ['tiers:write', 'meters:read'] })
    expect((await call(either, 'GET', PATH, { as: acme.users.member, tenant: acme })).status).toBe(200)
    expect((await call(either, 'GET', PATH, { as: acme.users.compliance, tenant: acme })).status).toBe(403)
  })

  test('a key reaches as far as its permissions and its maker’s role both do', async () => {
    const narrow = await createApiKey(acme, ['meters:read'])
    expect((await call(readMeters, 'GET', PATH, { as: narrow.key })).status).toBe(200)
    expect((await call(writeTiers, 'POST', PATH, { as: narrow.key })).status).toBe(403)
    const byMember = await createApiKey(acme, ['tiers:write', 'meters:read'], acme.users.member)
    expect((await call(readMeters, 'GET', PATH, { as: byMember.key })).status).toBe(200)
    expect((await call(writeTiers, 'POST', PATH, { as: byMember.key })).status).toBe(403)
  })
})

describe('success', () => {
  test('the handler is told tenant, actor, role, parameters and request id', async () => {
    const { status, body } = await call(open, 'GET', PATH, {
      as: acme.users.admin,
      tenant: acme,
      params: { id: 'x1' },
      headers: SAME_ID,
    })
    expect(status).toBe(200)
    expect(body).toMatchObject({
      tenant: 'acme',
      tenant_id: acme.id,
      role: 'admin',
      actor: 'user',
      customer_id: null,
      user: { id: acme.users.admin.id, email: acme.users.admin.email },
      params: { id: 'x1' },
      request_id: 'the-same-request',
    })
  })

  test('a key is its own actor, with an empty e-mail', async () => {
    const { body } = await call(open, 'GET', PATH, { as: acme.api_key })
    expect(body).toMatchObject({ role: 'api_key', actor: 'api_key', user: { id: acme.api_key_id, email: '' } })
    const { body: other } = await call(open, 'GET', PATH, { headers: { 'x-api-key': acme.api_key } })
    expect(other).toEqual({ ...body, request_id: expect.any(String) })
  })

  test('nothing of it may be kept by caches, and its type may not be guessed', async () => {
    const { headers } = await call(open, 'GET', PATH, { as: acme.users.admin, tenant: acme })
    expect(headers.get('cache-control')).toBe('private, no-store')
    expect(headers.get('x-content-type-options')).toBe('nosniff')
  })

  test('a usable request id is kept, any other is replaced', async () => {
    const idOf = async (given: string) =>
      (await call(open, 'GET', PATH, { as: acme.api_key, headers: { 'x-request-id': given } })).headers.get(
        'x-request-id',
      )
    expect(await idOf('abcd-1234')).toBe('abcd-1234')
    for (const bad of ['short', 'a'.repeat(65), 'has space', '<script>', "o'hara-1234"]) {
      const id = await idOf(bad)
      expect(id).not.toBe(bad)
      expect(id).toMatch(/^[0-9a-f-]{36}$/)
    }
  })

  test('customers enter what is theirs alone, and are members first only outside of the portal', async () => {
    const portal = withTenantAuth(async (_r, { role, customerId }) => ApiResponse.success({ role, customerId }), {
      permission: ['portal:read', 'customers:read'],
    })
    const both = newUser('both')
    await asSystem(acme, async () => {
      await tenantQuery("insert into memberships (id, user_id, email, role) values ($1, $2, $3, 'member')", [
        newId(),
        both.id,
        both.email,
      ])
      const id = newId()
      await tenantQuery("insert into customers (id, external_id) values ($1, 'both')", [id])
      await tenantQuery('insert into customer_logins (id, customer_id, email, user_id) values ($1, $2, $3, $4)', [
        newId(),
        id,
        both.email,
        both.id,
      ])
    })
    const host = 'acme.localhost:3000'
    expect((await call(portal, 'GET', PATH, { as: acme.users.customer, host })).body).toEqual({
      role: 'customer',
      customerId: acme.customer.id,
    })
    expect((await call(portal, 'GET', PATH, { as: both, host })).body.role).toBe('customer')
    expect((await call(portal, 'GET', PATH, { as: both, tenant: acme })).body).toEqual({
      role: 'member',
      customerId: null,
    })
    expect((await call(open, 'GET', PATH, { as: acme.users.customer, host })).status).toBe(403)
  })
})

describe('right now', () => {
  test('a removal holds from the next request', async () => {
    const person = newUser('leaver')
    const add = "insert into memberships (id, user_id, email, role) values ($1, $2, $3, 'admin')"
    await asSystem(acme, () => tenantQuery(add, [newId(), person.id, person.email]))
    const { key } = await createApiKey(acme, ['meters:read'], person)
    const ask = async () => [
      (await call(writeTiers, 'POST', PATH, { as: person, tenant: acme })).status,
      (await call(readMeters, 'GET', PATH, { as: key })).status,
    ]
    expect(await ask()).toEqual([200, 200])
    await asSystem(acme, () =>
      tenantQuery("update memberships set role = 'compliance' where user_id = $1", [person.id]),
    )
    expect(await ask()).toEqual([403, 403])
    await asSystem(acme, () => tenantQuery('delete from memberships where user_id = $1', [person.id]))
    expect(await ask()).toEqual([404, 401])
  })

  test('a revoked key is dead at once, also where keys are remembered', async () => {
    const { id, key } = await createApiKey(acme, ['meters:read'])
    const hot = withTenantAuth(async () => ApiResponse.success({}), { permission: 'meters:read', transaction: 'none' })
    expect((await call(hot, 'GET', PATH, { as: key })).status).toBe(200)
    await asSystem(acme, () => tenantQuery('update api_keys set revoked_at = now() where id = $1', [id]))
    expect((await call(readMeters, 'GET', PATH, { as: key })).status).toBe(401)
    await expect.poll(async () => (await call(hot, 'GET', PATH, { as: key })).status, whenHeard).toBe(401)
  })
})

describe('a body that is slow to come', () => {
  const echo = async (request: Request) => ApiResponse.success(await request.json())

  test.each([
    ['a tenant', withTenantAuth(echo), { as: acme.users.owner, tenant: acme }],
    ['an operator', withOperatorAuth(echo), { as: operators.super_admin }],
  ] as const)('of %s holds no connection of the database', async (_, route, options) => {
    const slow = Array.from({ length: env().DATABASE_POOL_SIZE + 2 }, async () => {
      const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
      const sender = writable.getWriter()
      void sender.write(Buffer.from('{"whole":'))
      const started = await request('POST', PATH, { ...options, body: {} })
      const answer = route(new Request(started, { body: readable, duplex: 'half' } as RequestInit))
      return {
        finish: async () => {
          await sender.write(Buffer.from('true}'))
          await sender.close()
          const response = await answer
          return [response.status, await response.json()]
        },
      }
    })
    const waiting = await Promise.all(slow)
    await expect.poll(() => serverPool().idleCount === serverPool().totalCount).toBe(true)
    expect((await call(open, 'GET', PATH, { as: globex.users.owner, tenant: globex })).status).toBe(200)
    for (const { finish } of waiting) expect(await finish()).toEqual([200, { whole: true }])
  })
})

describe('state of the tenant', () => {
  const ask = async (tenant: typeof acme) => ({
    user: (await call(readMeters, 'GET', PATH, { as: tenant.users.owner, tenant })).status,
    key: (await call(readMeters, 'GET', PATH, { as: tenant.api_key })).status,
    write: (await call(addCustomer, 'POST', PATH, { as: tenant.users.owner, tenant, params: { name: newId() } }))
      .status,
    customer: (
      await call(
        withTenantAuth(async () => ApiResponse.success({}), { permission: 'portal:read' }),
        'GET',
        PATH,
        {
          as: tenant.users.customer,
          host: `${tenant.slug}.localhost:3000`,
        },
      )
    ).status,
  })

  test.each([
    ['active', { user: 200, key: 200, write: 201, customer: 200 }],
    ['past_due', { user: 200, key: 200, write: 201, customer: 200 }],
    ['read_only', { user: 200, key: 200, write: 423, customer: 200 }],
    ['suspended', { user: 423, key: 423, write: 423, customer: 423 }],
    ['pending', { user: 200, key: 200, write: 201, customer: 404 }],
  ])('%s', async (status, expected) => {
    const tenant = await createTenant(`state-${status.replace('_', '-')}`)
    await setStatus(tenant, status)
    await expect.poll(() => ask(tenant), { timeout: 10_000 }).toEqual(expected)
  })

  test('suspending stops the very next request, activating lets it through again', async () => {
    const tenant = await createTenant('switched')
    const status = async () => (await call(readMeters, 'GET', PATH, { as: tenant.users.owner, tenant })).status
    expect(await status()).toBe(200)
    for (let round = 0; round < 3; round += 1) {
      await setStatus(tenant, 'suspended')
      expect(await status()).toBe(423)
      await setStatus(tenant, 'active')
      expect(await status()).toBe(200)
    }
  })
})

describe('a session cookie', () => {
  const post = (headers: Record<string, string>, host = 'acme.localhost:3000') =>
    sessionCookieFor(acme.users.owner).then((cookie) =>
      call(addCustomer, 'POST', PATH, { host, params: { name: newId() }, headers: { cookie, ...headers } }),
    )

  test.each([
    ['a page of the same origin, as the browser says', { 'sec-fetch-site': 'same-origin' }, 201],
    ['the same origin, by Origin', { origin: 'http://acme.localhost:3000' }, 201],
    ['a sibling tenant', { 'sec-fetch-site': 'same-site', origin: 'http://globex.localhost:3000' }, 403],
    ['a sibling tenant, by Origin alone', { origin: 'http://globex.localhost:3000' }, 403],
    ['the same host on another port', { origin: 'http://acme.localhost:9999' }, 403],
    ['another site', { 'sec-fetch-site': 'cross-site' }, 403],
    ['the address bar', { 'sec-fetch-site': 'none' }, 403],
    ['nobody knows where', {}, 403],
    ['an opaque origin', { origin: 'null' }, 403],
    [
      'the right Origin, though the browser says cross-site',
      { 'sec-fetch-site': 'cross-site', origin: 'http://acme.localhost:3000' },
      403,
    ],
  ])('writes from %s', async (_, headers, status) => {
    expect((await post(headers as Record<string, string>)).status).toBe(status)
  })

  test('over https, a page of the same host that came without encryption is another site', async () => {
    const cookie = (await sessionCookieFor(acme.users.owner)).replace('hf-session', '__Host-hf-session')
    const post = (origin: string) =>
      call(addCustomer, 'POST', PATH, {
        host: 'acme.localhost:3000',
        params: { name: newId() },
        headers: { cookie, origin, 'x-forwarded-proto': 'https' },
      })
    expect((await post('https://acme.localhost:3000')).status).toBe(201)
    expect((await post('http://acme.localhost:3000')).status).toBe(403)
  })

  test('reads need no origin', async () => {
    const cookie = await sessionCookieFor(acme.users.owner)
    expect((await call(open, 'GET', PATH, { tenant: acme, headers: { cookie } })).status).toBe(200)
  })

  test('over https the name without the __Host- prefix counts for nothing', async () => {
    const cookie = await sessionCookieFor(acme.users.owner)
    const secure = { 'x-forwarded-proto': 'https' }
    expect((await call(open, 'GET', PATH, { tenant: acme, headers: { cookie, ...secure } })).status).toBe(401)
    const named = { cookie: `__Host-${cookie}`, ...secure }
    expect((await call(open, 'GET', PATH, { tenant: acme, headers: named })).status).toBe(200)
    expect((await call(open, 'GET', PATH, { tenant: acme, headers: { cookie: `__Host-${cookie}` } })).status).toBe(401)
  })
})

describe('errors', () => {
  afterEach(() => {
    log.level = 'error'
  })

  test('what the handler throws rolls back what it did', async () => {
    for (const ending of ['throw', 'fail']) {
      log.level = 'silent'
      const name = newId()
      const { status } = await call(addCustomer, 'POST', PATH, { as: acme.api_key, params: { name, ending } })
      expect(status).toBe(ending === 'throw' ? 409 : 500)
      expect(await hasCustomer(name)).toBe(false)
    }
  })

  test('a fault of ours shows its request id and nothing else', async () => {
    log.level = 'silent'
    const { body, text, headers } = await call(addCustomer, 'POST', PATH, {
      as: acme.api_key,
      params: { name: newId(), ending: 'fail' },
      headers: SAME_ID,
    })
    expect(headers.get('content-type')).toBe('application/problem+json')
    expect(body).toMatchObject({ status: 500, code: 'internal', request_id: 'the-same-request' })
    expect(text).not.toMatch(/secret detail|at .*\.ts|node_modules/)
  })

  test.each([
    [
      'a unique violation',
      "insert into meters (id, slug, name) values (app.uuid_v7(), 'twice', 'x'), (app.uuid_v7(), 'twice', 'y')",
      409,
    ],
    [
      'a broken foreign key',
      'insert into subscriptions (id, customer_id, tier_id) values (app.uuid_v7(), app.uuid_v7(), app.uuid_v7())',
      409,
    ],
    ['a check', "insert into meters (id, slug, name) values (app.uuid_v7(), 'UPPER CASE', 'x')", 422],
    ['a missing value', 'insert into meters (id) values (app.uuid_v7())', 422],
    ['no privilege', 'delete from customers', 403],
    ['a division by zero', 'select 1 / 0', 500],
    ['a syntax error', 'selekt', 500],
    ['a canceled statement', "set local statement_timeout = '5ms'; select pg_sleep(1)", 503],
  ])('%s of the database is answered without its words', async (_, sql, status) => {
    log.level = 'silent'
    const handler = withTenantAuth(async () => {
      const client = findContext()?.client
      await client?.query(sql)
      return ApiResponse.noContent()
    })
    const answer = await call(handler, 'POST', PATH, { as: acme.users.owner, tenant: acme })
    expect(answer.status).toBe(status)
    expect(answer.body.type).toMatch(/^http:\/\/app\.localhost:3000\/docs\/errors#[a-z_]+$/)
    expect(answer.text).not.toMatch(
      /meters|subscriptions|customers_|_key|_fkey|syntax|SELECT|pg_|relation|violates|tenant_id/i,
    )
    // What took half a minute is not asked for again at once.
    if (status === 503) expect(answer.headers.get('retry-after')).toBe('10')
  })

  test('every answer that is not a success is a problem document with all its members', async () => {
    const { body, headers } = await call(open, 'GET', PATH, { headers: SAME_ID })
    expect(headers.get('content-type')).toBe('application/problem+json')
    expect(Object.keys(body).sort()).toEqual(['code', 'detail', 'request_id', 'status', 'title', 'type'])
  })

  test('further members take the place of none of these', async () => {
    const refused = withTenantAuth(async () => {
      throw new AppError('conflict', 'This is decided.', { extra: { status: 'declined', reason: 'decided' } })
    })
    const answer = await call(refused, 'POST', PATH, { as: acme.users.owner, tenant: acme })
    expect(answer).toMatchObject({ status: 409, body: { status: 409, reason: 'decided' } })
  })
})

describe('withTenantContext', () => {
  const visit = withTenantContext(async (_request, { tenant, actor }) => {
    const [row] = await tenantQuery<{ n: number }>('select count(*)::int as n from customers')
    return ApiResponse.success({ slug: tenant.slug, customers: row?.n, permissions: actor.permissions })
  })

  test('needs no sign-in, and a visitor sees no row of the tenant', async () => {
    const { body } = await call(visit, 'GET', PATH, { host: 'acme.localhost:3000' })
    expect(body).toEqual({ slug: 'acme', customers: 0, permissions: [] })
  })

  test('unknown hosts are 404, suspended tenants 423, those not open yet 404', async () => {
    expect((await call(visit, 'GET', PATH, { host: 'never-was.localhost:3000' })).status).toBe(404)
    const tenant = await createTenant('visited')
    const status = async () => (await call(visit, 'GET', PATH, { host: 'visited.localhost:3000' })).status
    await setStatus(tenant, 'suspended')
    expect(await status()).toBe(423)
    await setStatus(tenant, 'pending')
    expect(await status()).toBe(404)
  })
})

describe('withUserAuth and withOperatorAuth', () => {
  const me = withUserAuth(async (_request, { user }) => ApiResponse.success(user))
  const rename = withOperatorAuth(async (_request, { params }) => {
    const rows = await operatorQuery('update tenants set description = $2 where id = $1 returning id', [
      params.id,
      'seen',
    ])
    return ApiResponse.success(rows)
  })
  const list = withOperatorAuth(async () =>
    ApiResponse.success(await operatorQuery('select slug from tenants order by slug')),
  )

  test('a user needs no tenant; a key is no user', async () => {
    expect((await call(me, 'GET', '/api/v1/me', { as: stranger })).body).toEqual({
      id: stranger.id,
      email: stranger.email,
    })
    expect((await call(me, 'GET', '/api/v1/me', { as: acme.api_key })).status).toBe(401)
    expect((await call(me, 'GET', '/api/v1/me')).status).toBe(401)
  })

  test('the console is not there for whoever is no operator', async () => {
    expect((await call(list, 'GET', '/x')).status).toBe(401)
    for (const as of [stranger, acme.users.owner]) expect((await call(list, 'GET', '/x', { as })).status).toBe(404)
    expect((await call(list, 'GET', '/x', { as: acme.api_key })).status).toBe(401)
    for (const as of Object.values(operators)) {
      const { status, body } = await call(list, 'GET', '/x', { as })
      expect(status).toBe(200)
      expect(body.map(({ slug }: { slug: string }) => slug)).toEqual(expect.arrayContaining(['acme', 'globex']))
    }
  })

  test('support looks, and changes nothing', async () => {
    const params = { id: globex.id }
    expect((await call(rename, 'POST', '/x', { as: operators.support, params })).status).toBe(403)
    expect((await call(rename, 'POST', '/x', { as: operators.super_admin, params })).status).toBe(200)
  })

  test('a session cookie on an operator’s write needs the same origin too', async () => {
    const cookie = await sessionCookieFor(operators.super_admin)
    const answer = await read(
      await rename(await request('POST', '/x', { headers: { cookie } }), {
        params: Promise.resolve({ id: globex.id }),
      }),
    )
    expect(answer.status).toBe(403)
  })
})
