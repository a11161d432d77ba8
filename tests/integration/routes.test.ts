// Every route file, read from the tree: wrapped, documented, deaf to strangers, and calm whatever is sent to it.
import { beforeAll, describe, expect, test } from 'vitest'
import { GET as readDocument } from '@/app/api/openapi.json/route'
import { PERMISSIONS, type Permission, ROLE_PERMISSIONS } from '@/libs/auth/permissions'
import { newId } from '@/libs/ids'
import { log } from '@/libs/log'
import { type Method, type Route, readRoutes } from '../support/routes'
import {
  type Answer,
  call,
  createApiKey,
  createTenant,
  createWorld,
  type RequestOptions,
  setStatus,
} from '../support/world'

const { acme, globex, operators, stranger } = await createWorld()
const { routes, others } = await readRoutes()

type Parameter = { name: string; description?: string; schema?: { description?: string; type?: string; $ref?: string } }
type Operation = {
  security?: Record<string, string[]>[]
  description?: string
  requestBody?: unknown
  parameters?: Parameter[]
}
const document = (await (await readDocument(new Request('http://localhost:3000/api/openapi.json'))).json()) as {
  openapi: string
  paths: Record<string, Record<string, Operation>>
}
const operationOf = ({ path, method }: Route): Operation | undefined => document.paths[path]?.[method.toLowerCase()]

/** Who may call a route without being known, and why. Everything else asks for a credential first. */
const PUBLIC: Record<string, string> = {
  'GET /healthz': 'a probe',
  'GET /readyz': 'a probe',
  'GET /api/openapi.json': 'the reference',
  'GET /api/{path}': 'says that there is nothing',
  'POST /api/{path}': 'says that there is nothing',
  'PUT /api/{path}': 'says that there is nothing',
  'PATCH /api/{path}': 'says that there is nothing',
  'DELETE /api/{path}': 'says that there is nothing',
  'GET /compat/{path}': 'says that there is nothing',
  'POST /compat/{path}': 'says that there is nothing',
  'PUT /compat/{path}': 'says that there is nothing',
  'PATCH /compat/{path}': 'says that there is nothing',
  'DELETE /compat/{path}': 'says that there is nothing',
  'GET /auth/confirm': 'the target of links in mails',
  'HEAD /auth/confirm': 'the target of links in mails',
  'POST /api/auth/sign-in': 'how one becomes known',
  'POST /api/auth/sign-up': 'how one becomes known',
  'POST /api/auth/sign-out': 'ends whatever is there',
  'POST /api/auth/forgot-password': 'how one becomes known again',
  'POST /api/auth/reset-password': 'how one becomes known again',
}
/** Routes of a user, which are about no tenant or name theirs in the path, and why. */
const OF_USERS: Record<string, string> = {
  'GET /api/v1/me': 'who am I',
  'GET /api/v1/tenants': 'my tenants; all, for operators',
  'POST /api/v1/tenants': 'a new tenant',
  'POST /api/v1/tenants/create': 'a new tenant',
  'GET /api/v1/tenant/explain': 'explains what the wrapper refuses',
  'POST /api/v1/customer-logins/accept': 'a token from a mail, of somebody who is no customer yet',
}
const isProtected = (route: Route) => !(route.name in PUBLIC)
const inPath = (route: Route) => route.path.startsWith('/api/v1/tenants/') && route.parameters.includes('id')
const isOperators = (route: Route) => route.path === '/api/v1/tenants/stats'
/** Ways in for the clients of other products: they answer in the shape those expect. */
const isCompat = (route: Route) => isProtected(route) && route.path.startsWith('/compat/')
const ofTenant = routes.filter(
  (route) =>
    isProtected(route) && !(route.name in OF_USERS) && !inPath(route) && !isOperators(route) && !isCompat(route),
)

const SAME_ID = { 'x-request-id': 'the-same-request' }
const parametersOf = (route: Route, value = newId()) =>
  Object.fromEntries(route.parameters.map((name) => [name, value]))
const addressOf = (route: Route) => route.path.replaceAll(/\{\w+\}/g, newId())
const isUnsafe = (method: Method) => !['GET', 'HEAD', 'OPTIONS'].includes(method)

function send(route: Route, options: RequestOptions): Promise<Answer> {
  return call(route.handler, route.method, addressOf(route), {
    params: parametersOf(route),
    ...(isUnsafe(route.method) && options.body === undefined ? { body: {} } : {}),
    ...options,
    headers: { ...SAME_ID, ...options.headers },
  })
}

const isProblem = ({ headers, body, status }: Answer): boolean =>
  headers.get('content-type') === 'application/problem+json' && body.status === status && typeof body.code === 'string'
/** What is wrong, as the client of that route is told: our problem document, or an object with `error` for clients of others. */
const isRefusal = (route: Route, answer: Answer): boolean =>
  isProblem(answer) ||
  (isCompat(route) && /json/.test(answer.headers.get('content-type') ?? '') && typeof answer.body.error === 'object')

beforeAll(() => {
  expect(routes.length).toBeGreaterThan(40)
})

describe('the route table', () => {
  test('route files export their methods and nothing else', () => expect(others).toEqual([]))

  test('every exception made here is of a route that exists', () => {
    const names = new Set(routes.map(({ name }) => name))
    expect([...Object.keys(PUBLIC), ...Object.keys(OF_USERS)].filter((name) => !names.has(name))).toEqual([])
  })

  test('every route of the API is in the OpenAPI document, and the other way round', () => {
    const api = routes.filter(({ path, method }) => path.startsWith('/api/v1/') && method !== 'OPTIONS')
    expect(api.filter((route) => !operationOf(route)).map(({ name }) => name)).toEqual([])
    const written = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.keys(item)
        .filter((key) => ['get', 'put', 'post', 'patch', 'delete'].includes(key))
        .map((method) => `${method.toUpperCase()} ${path}`),
    )
    const names = new Set(routes.map(({ name }) => name))
    expect(written.filter((name) => !names.has(name))).toEqual([])
    expect(document.openapi).toMatch(/^3\.1/)
  })

  test('the document says of every parameter what it is', () => {
    const untold = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.values(item).flatMap(({ parameters = [] }) =>
        parameters.filter((one) => !one.description && !one.schema?.description).map(({ name }) => `${path} ${name}`),
      ),
    )
    expect(untold).toEqual([])
  })

  test('no parameter is an object, which every client would write in its own way', () => {
    const objects = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.values(item).flatMap(({ parameters = [] }) =>
        parameters
          .filter(({ schema }) => schema?.$ref || schema?.type === 'object')
          .map(({ name }) => `${path} ${name}`),
      ),
    )
    expect(objects).toEqual([])
  })

  test('the document asks for a credential exactly where the route does', () => {
    const wrong = routes.filter((route) => {
      const operation = operationOf(route)
      return operation && (operation.security?.length === 0) !== route.name in PUBLIC
    })
    expect(wrong.map(({ name }) => name)).toEqual([])
  })
})

const each = (list: Route[]) => list.map((route) => [route.name, route] as const)

describe('a stranger', () => {
  test.each(each(routes.filter(isProtected)))('%s: bare is 401', async (_, route) => {
    for (const options of [
      {},
      { tenant: acme },
      { host: 'acme.localhost:3000' },
      { headers: { authorization: 'Bearer x' } },
    ]) {
      const answer = await send(route, options)
      expect(answer.status).toBe(401)
      if (route.method !== 'HEAD') expect(isRefusal(route, answer)).toBe(true)
    }
  })

  test.each(each(ofTenant))('%s: a tenant of others and none at all are the same bytes', async (_, route) => {
    const texts = new Set<string>()
    for (const as of [stranger, globex.users.owner, globex.users.customer, operators.super_admin])
      for (const tenant of [acme.id, acme.slug, newId(), 'never-was']) {
        const answer = await send(route, { as, tenant })
        expect(answer.status).toBe(404)
        texts.add(answer.text)
      }
    expect(texts.size).toBe(1)
  })

  test.each(each(routes.filter(isCompat)))('%s: another product’s client learns as little', async (_, route) => {
    const texts = new Set<string>()
    for (const as of [stranger, globex.users.owner, operators.super_admin])
      for (const tenant of [acme.id, acme.slug, newId()]) {
        const answer = await send(route, { as, tenant })
        expect(answer.status).toBe(404)
        texts.add(answer.text)
      }
    expect(texts.size).toBe(1)
    const mismatch = await send(route, { as: globex.api_key, tenant: acme })
    expect([mismatch.status, isRefusal(route, mismatch)]).toEqual([403, true])
  })

  test.each(each(ofTenant))('%s: a key of another tenant is a mismatch', async (_, route) => {
    const answer = await send(route, { as: globex.api_key, tenant: acme })
    expect([answer.status, answer.body.code]).toEqual([403, 'tenant_mismatch'])
  })

  test.each(each(routes.filter(inPath)))(
    '%s: the id of a tenant of others and of none are the same bytes',
    async (_, route) => {
      const texts = new Set<string>()
      for (const as of [stranger, globex.users.owner])
        for (const id of [acme.id, newId()]) {
          const answer = await send(route, { as, params: { id } })
          expect(answer.status).toBe(404)
          texts.add(answer.text)
        }
      expect(texts.size).toBe(1)
    },
  )
})

describe('permissions', () => {
  const roles = ['owner', 'admin', 'member', 'compliance', 'customer'] as const
  const asked = new Map<string, Permission[] | null>()

  beforeAll(async () => {
    // A key that holds one permission is refused, with the name of the one it lacks, by every route but those that ask for it.
    const keys = [await createApiKey(acme, ['branding:read']), await createApiKey(acme, ['connectors:read'])]
    for (const route of ofTenant) {
      const answers = await Promise.all(keys.map(({ key }) => send(route, { as: key })))
      const refusal = answers.find(({ status, body }) => status === 403 && body.required_permission)
      const required: Permission | Permission[] | undefined = refusal?.body.required_permission
      asked.set(route.name, required === undefined ? null : [required].flat())
    }
  })

  test.each(each(ofTenant))('%s asks for a permission that exists, and says so in the reference', (name, route) => {
    const permissions = asked.get(name)
    if (!permissions) return expect(operationOf(route)?.description ?? '').not.toMatch(/Needs the permission/)
    for (const permission of permissions) expect(PERMISSIONS).toContain(permission)
    if (operationOf(route)) expect(operationOf(route)?.description).toContain(permissions[0])
  })

  test('every route that writes asks for the right to write', () => {
    const without = ofTenant.filter(({ name, method }) => {
      const permissions = asked.get(name)
      return isUnsafe(method) && !permissions?.some((permission) => permission.endsWith(':write'))
    })
    const reasons: Record<string, string> = {
      'POST /api/v1/usage/check': 'asking changes nothing',
      'POST /api/v1/audit-logs/export': 'a read, and recorded as one',
      'POST /api/v1/portal/upgrade-requests': 'a customer asks for itself; row security allows it nothing else',
      'DELETE /api/v1/portal/upgrade-requests/{id}': 'a customer takes back what it asked for itself',
      'DELETE /api/v1/members/{id}': 'everybody may leave; the service says who may remove others',
    }
    expect(without.map(({ name }) => name).filter((name) => !(name in reasons))).toEqual([])
  })

  test.each(each(ofTenant))('%s lets in exactly the roles that hold it', async (name, route) => {
    const permissions = asked.get(name)
    for (const role of roles) {
      const holds = permissions
        ? permissions.some((permission) => ROLE_PERMISSIONS[role].includes(permission))
        : role !== 'customer'
      const answer = await send(route, { as: acme.users[role], tenant: acme })
      if (!holds) expect([role, answer.status]).toEqual([role, 403])
      else expect([role, answer.body?.required_permission]).toEqual([role, undefined])
      expect(answer.status).toBeLessThan(500)
    }
  })

  test.each(each(routes.filter((route) => isOperators(route))))(
    '%s is not there for whoever is no operator',
    async (_, route) => {
      for (const as of [stranger, acme.users.owner]) expect((await send(route, { as })).status).toBe(404)
      expect((await send(route, { as: operators.support })).status).toBe(200)
    },
  )
})

describe('a suspended tenant', () => {
  test.each(each(ofTenant))('%s is 423, whatever else is wrong', async (_, route) => {
    const tenant = await suspended
    const statuses: number[] = []
    const body = route.method === 'GET' ? {} : { body: { unknown_field: 1 } }
    const headers = { 'idempotency-key': 'not a key' }
    for (const as of [...Object.values(tenant.users), tenant.api_key]) {
      const options = { as, tenant, params: parametersOf(route), headers, ...body }
      statuses.push((await call(route.handler, route.method, addressOf(route), options)).status)
    }
    // Whoever lacks the permission is told so first; nobody gets further than that.
    expect(new Set(statuses).difference(new Set([403, 423]))).toEqual(new Set())
    expect(statuses).toContain(423)
  })
})
const suspended = createTenant('asleep').then(async (tenant) => {
  await setStatus(tenant, 'suspended')
  return tenant
})

describe('hostile input', () => {
  const deep = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`
  const BODIES: Record<string, string | Uint8Array<ArrayBuffer>> = {
    nothing: '',
    'white space': ' \n\t ',
    'half an object': '{"name":',
    'a comma too many': '{"name":"x",}',
    'a number': '1',
    'a huge number': '1e400',
    'a string': '"text"',
    null: 'null',
    true: 'true',
    'an empty list': '[]',
    'a list of lists': '[[],[[]]]',
    '1,500 objects': `[${Array.from({ length: 1_500 }, () => '{}').join(',')}]`,
    'wrong types':
      '{"name":{},"id":[],"slug":1,"meter_id":[],"user_id":{},"event_value":{},"email":1,"role":[],"permissions":{},"price":"x"}',
    'huge numbers': '{"event_value":1e308,"price":1e308,"amount":-1e308,"limit":99999999999999999999999999}',
    'unknown fields': '{"unknown_field":1,"tenant_id":"x","__proto__":{"role":"owner"},"constructor":1}',
    'long texts': JSON.stringify({ name: 'x'.repeat(200_000), slug: 'y'.repeat(100_000) }),
    'a NUL': '{"name":"a\\u0000b","slug":"\\u0000"}',
    'a lone surrogate': '{"name":"\\ud800","slug":"\\udfff"}',
    'right-to-left and zero width': '{"name":"\\u202e\\u200b\\ufeff","slug":"\\u202eabc"}',
    SQL: JSON.stringify({ name: "'; drop table tenants; --", slug: "x' or '1'='1", email: "a'@b.test" }),
    '33 levels': deep(33),
    '100,000 levels': deep(100_000),
    'not UTF-8': Uint8Array.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]),
    'two mebibytes': `{"name":"${'x'.repeat(2_097_152)}"}`,
  }
  const PARAMETERS = [
    '',
    ' ',
    '\0',
    '%00',
    '..',
    '../../x',
    "' or 1=1 --",
    '💥',
    '\ud800',
    'x'.repeat(5_000),
    'null',
    '-1',
    '1e9',
    newId().slice(1),
  ]
  const QUERIES = [
    'limit=-1',
    'limit=1e400',
    'limit=abc',
    'cursor=%00',
    'cursor=%FF%FE',
    'cursor=W10',
    `cursor=${'x'.repeat(5_000)}`,
    'from=9999999-99-99&to=x',
    'from=2026-01-01T00:00:00Z&to=1970-01-01T00:00:00Z',
    'timeRange=1000000d',
    'time_range=30d&timeRange=7d',
    'unknown=1',
    'q=%00',
    "search='%3B--",
    'limit=1&limit=2',
    '__proto__=1',
    'group_by=;drop',
    'action=%25&outcome=%5C',
    'format=exe',
  ]

  test.each(each(routes.filter((route) => isUnsafe(route.method) && /^\/(?:api|compat)\//.test(route.path))))(
    '%s: every body is answered with a 4xx problem',
    async (_, route) => {
      log.level = 'error'
      for (const [kind, body] of Object.entries(BODIES)) {
        const isPublic = route.name in PUBLIC
        const answer = await send(route, {
          body,
          ...(isPublic ? { headers: { 'sec-fetch-site': 'same-origin' } } : { as: acme.users.owner, tenant: acme }),
          ...(isOperators(route) || inPath(route) ? { as: operators.super_admin, tenant: undefined } : {}),
        })
        expect([kind, answer.status], answer.text.slice(0, 300)).toEqual([kind, expect.any(Number)])
        expect(answer.status, `${kind}: ${answer.text.slice(0, 300)}`).toBeLessThan(500)
        if (answer.status >= 400) expect([kind, isRefusal(route, answer)]).toEqual([kind, true])
        if (!operationOf(route)?.requestBody) continue
        // A batch is answered event by event: what is wrong with one of them does not refuse the call.
        if (route.name === 'POST /api/v1/usage/track' && answer.status === 200) expect(answer.body.inserted).toBe(0)
        else if (route.name === 'POST /api/v1/usage/correct' && answer.status === 200)
          expect(answer.body.corrected).toBe(0)
        else expect(answer.status, kind).toBeGreaterThanOrEqual(400)
        expect(answer.text).not.toMatch(/node_modules|\.ts:\d|violates|SQLSTATE|syntax error at/)
      }
    },
  )

  test.each(each(routes.filter(({ parameters }) => parameters.length > 0)))(
    '%s: every parameter is answered calmly',
    async (_, route) => {
      for (const value of PARAMETERS) {
        const as = inPath(route) ? operators.super_admin : acme.users.owner
        const answer = await send(route, {
          as,
          ...(inPath(route) ? {} : { tenant: acme }),
          params: parametersOf(route, value),
        })
        expect(answer.status, `${JSON.stringify(value).slice(0, 40)}: ${answer.text}`).toBeGreaterThanOrEqual(400)
        expect(answer.status, `${JSON.stringify(value).slice(0, 40)}: ${answer.text}`).toBeLessThan(500)
        expect(isRefusal(route, answer)).toBe(true)
      }
    },
  )

  test.each(each(routes.filter(({ method, path }) => method === 'GET' && path.startsWith('/api/v1/'))))(
    '%s: every query is answered calmly',
    async (_, route) => {
      for (const query of QUERIES) {
        const answer = await call(route.handler, 'GET', `${addressOf(route)}?${query}`, {
          as: isOperators(route) || inPath(route) ? operators.super_admin : acme.users.owner,
          ...(isOperators(route) || inPath(route) ? {} : { tenant: acme }),
          params: parametersOf(route, inPath(route) ? acme.id : newId()),
        })
        expect(answer.status, `${query}: ${answer.text}`).toBeLessThan(500)
        if (answer.status >= 400) expect([query, isProblem(answer)]).toEqual([query, true])
      }
    },
  )
})
