// Which tenant is a request about? Six places may say so; they agree, or the request is refused.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import fc from 'fast-check'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { GET as explain } from '@/app/api/v1/tenant/explain/route'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'
import { isListening, onNotification } from '@/libs/db/notifications'
import { serverPool } from '@/libs/db/pools'
import { forgetEnv } from '@/libs/env'
import { newId } from '@/libs/ids'
import { PATH_TENANT_HEADER } from '@/libs/tenancy/host'
import { findTenantRouting, forgetTenantRouting } from '@/libs/tenancy/resolve-tenant'
import { inRepository } from '@/processes/dev-stack/repository'
import { whenHeard } from '../support/heard'
import {
  type Answer,
  asSuperuser,
  call,
  createTenant,
  createWorld,
  type RequestOptions,
  setStatus,
  tokenFor,
} from '../support/world'

const { acme, globex, stranger } = await createWorld()
await asSuperuser(
  `insert into domains (tenant_id, id, hostname, status, verified_at) values
     ($1, gen_random_uuid(), 'portal.acme.test', 'verified', now()), ($1, gen_random_uuid(), 'xn--bcher-kva.test', 'verified', now()),
     ($2, gen_random_uuid(), 'pending.globex.test', 'pending', null), ($2, gen_random_uuid(), 'left.globex.test', 'quarantined', now())`,
  [acme.id, globex.id],
)
const PATH = '/api/v1/things'
const GET = withTenantAuth(async (_request, { tenant }) => ApiResponse.success({ slug: tenant.slug }), {
  permission: ['meters:read', 'portal:read'],
})
const ask = (options: RequestOptions, path = PATH) => call(GET, 'GET', path, options)

function setEnvironment(values: Record<string, string | undefined>): void {
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
  forgetEnv()
}
afterEach(() =>
  setEnvironment({
    TENANT_PARAMETER_ROUTING: undefined,
    TENANT_HEADER_NAME: undefined,
    TENANT_SUBDOMAIN_ENABLED: undefined,
    DEFAULT_TENANT_SLUG: undefined,
  }),
)

/** Each place that can name a tenant, as a request that names it there and nowhere else. */
const SOURCES = {
  host: async (tenant: typeof acme): Promise<RequestOptions> => ({ host: `${tenant.slug}.localhost:3000` }),
  header: async (tenant: typeof acme) => ({ headers: { 'x-tenant-id': tenant.id } }),
  slug: async (tenant: typeof acme) => ({ headers: { 'x-tenant-slug': tenant.slug } }),
  path: async (tenant: typeof acme) => ({ headers: { [PATH_TENANT_HEADER]: tenant.slug } }),
  jwt: async (tenant: typeof acme) => ({
    as: await tokenFor(acme.users.owner, { claims: { app_metadata: { tenant_id: tenant.id } } }),
  }),
}
type Source = keyof typeof SOURCES

describe('one source', () => {
  test.each(Object.keys(SOURCES) as Source[])('%s', async (source) => {
    const { body } = await ask({ as: acme.users.owner, ...(await SOURCES[source](acme)) })
    expect(body).toEqual({ slug: 'acme' })
  })

  test('an API key', async () => expect((await ask({ as: globex.api_key })).body).toEqual({ slug: 'globex' }))

  test('a header takes id or slug, in any case', async () => {
    for (const value of [acme.id, acme.id.toUpperCase(), 'acme', 'ACME', ' acme '])
      expect((await ask({ as: acme.users.owner, headers: { 'x-tenant-id': value } })).body).toEqual({ slug: 'acme' })
  })

  test('a claim of the token, however it is called, is only a name: it gives no right', async () => {
    for (const claims of [
      { tenant_id: acme.id },
      { tenantId: acme.id },
      { tenant_slug: 'acme' },
      { tenantSlug: 'acme' },
    ]) {
      expect((await ask({ as: await tokenFor(acme.users.owner, { claims }) })).body).toEqual({ slug: 'acme' })
      expect((await ask({ as: await tokenFor(stranger, { claims }) })).status).toBe(404)
    }
  })

  test('?tenant= counts only where it is switched on', async () => {
    const path = `${PATH}?tenant=acme`
    expect((await ask({ as: acme.users.owner }, path)).status).toBe(400)
    setEnvironment({ TENANT_PARAMETER_ROUTING: 'true' })
    expect((await ask({ as: acme.users.owner }, path)).body).toEqual({ slug: 'acme' })
  })

  test('the header’s name can be configured', async () => {
    setEnvironment({ TENANT_HEADER_NAME: 'X-Organisation' })
    expect((await ask({ as: acme.users.owner, headers: { 'x-organisation': 'acme' } })).body).toEqual({ slug: 'acme' })
  })

  test('a verified custom domain, in any spelling; one that is pending or given up is nobody’s', async () => {
    for (const host of ['portal.acme.test', 'PORTAL.Acme.test.:3000', 'xn--bcher-kva.test:443', 'XN--BCHER-KVA.test.'])
      expect([host, (await ask({ as: acme.users.owner, host })).status]).toEqual([host, 200])
    for (const host of ['pending.globex.test', 'left.globex.test', 'x.portal.acme.test', 'portal.acme.test.evil.test'])
      expect([host, (await ask({ as: globex.users.owner, host })).status]).toEqual([host, 404])
  })

  test('subdomains switched off are nobody’s', async () => {
    setEnvironment({ TENANT_SUBDOMAIN_ENABLED: 'false' })
    expect((await ask({ as: acme.users.owner, host: 'acme.localhost:3000' })).status).toBe(404)
  })

  test('none at all: 400, unless a former single-tenant product has a default tenant', async () => {
    expect((await ask({ as: acme.users.owner })).status).toBe(400)
    setEnvironment({ DEFAULT_TENANT_SLUG: 'acme' })
    expect((await ask({ as: acme.users.owner })).body).toEqual({ slug: 'acme' })
    expect((await ask({ as: stranger })).status).toBe(404)
    expect((await ask({ as: globex.users.owner, tenant: globex })).body).toEqual({ slug: 'globex' })
    expect((await ask({ as: acme.users.owner, host: 'unknown.test' })).status).toBe(404)
    setEnvironment({ DEFAULT_TENANT_SLUG: 'not-there' })
    expect((await ask({ as: acme.users.owner })).status).toBe(400)
  })
})

describe('several sources', () => {
  const names = Object.keys(SOURCES) as Source[]
  const merge = (all: RequestOptions[]): RequestOptions => ({
    as: acme.users.owner,
    ...Object.assign({}, ...all),
    headers: Object.assign({}, ...all.map(({ headers }) => headers)),
  })

  test('any set of them that agrees is one tenant', async () => {
    await fc.assert(
      fc.asyncProperty(fc.subarray(names, { minLength: 1 }), async (sources) => {
        const options = merge(await Promise.all(sources.map((source) => SOURCES[source](acme))))
        expect((await ask(options)).body).toEqual({ slug: 'acme' })
      }),
      { numRuns: 31 },
    )
  })

  test('any two that disagree are refused, in either order', async () => {
    for (const one of names)
      for (const other of names) {
        if (one === other) continue
        const answer = await ask(merge([await SOURCES[one](acme), await SOURCES[other](globex)]))
        expect([one, other, answer.status, answer.body.code]).toEqual([one, other, 403, 'tenant_mismatch'])
      }
  })

  test('the refusal tells nothing of the other tenant, not even whether it exists', async () => {
    const texts = new Set<string>()
    for (const other of [globex.id, newId(), 'globex', 'never-was'])
      for (const as of [acme.users.owner, stranger, acme.api_key]) {
        const answer = await ask({
          as,
          host: 'acme.localhost:3000',
          tenant: other,
          headers: { 'x-request-id': 'same-request' },
        })
        expect(answer.status).toBe(403)
        texts.add(answer.text)
      }
    expect(texts.size).toBe(1)
  })

  test('that two names are those of one tenant is known to its people alone', async () => {
    const twice = (as: RequestOptions['as'], host: string, tenant: string) =>
      ask({ as, host, tenant, headers: { 'x-request-id': 'same-request' } })
    for (const host of ['acme.localhost:3000', 'portal.acme.test']) {
      expect((await twice(acme.users.owner, host, acme.id)).status).toBe(200)
      const answers = await Promise.all([acme.id, newId()].map((id) => twice(stranger, host, id)))
      expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
      expect(answers[0]?.status).toBe(403)
    }
  })

  test('a key used against another tenant is refused and recorded in its own tenant', async () => {
    const { status } = await ask({ as: acme.api_key, tenant: globex, headers: { 'x-request-id': 'mismatch-key' } })
    expect(status).toBe(403)
    const rows = await asSuperuser(
      "select tenant_id, action, outcome, actor_kind, actor_id from audit_logs where request_id = 'mismatch-key'",
    )
    expect(rows).toEqual([
      {
        tenant_id: acme.id,
        action: 'access.mismatch',
        outcome: 'denied',
        actor_kind: 'api_key',
        actor_id: acme.api_key_id,
      },
    ])
  })

  test('a member who names two tenants is recorded in the tenant that is theirs, and in no other', async () => {
    await ask({
      as: acme.users.admin,
      host: 'acme.localhost:3000',
      tenant: globex,
      headers: { 'x-request-id': 'mismatch-user' },
    })
    const rows = await asSuperuser(
      "select tenant_id, action, actor_id from audit_logs where request_id = 'mismatch-user'",
    )
    expect(rows).toEqual([{ tenant_id: acme.id, action: 'access.mismatch', actor_id: acme.users.admin.id }])
  })
})

describe('GET /api/v1/tenant/explain', () => {
  const explained = (options: RequestOptions): Promise<Answer> =>
    call(explain, 'GET', '/api/v1/tenant/explain', options)

  test('shows each source, its value, and which one won', async () => {
    const { body } = await explained({
      as: acme.users.owner,
      host: 'acme.localhost:3000',
      headers: { 'x-tenant-id': acme.id },
    })
    expect(body.sources).toEqual([
      { source: 'host', value: 'acme', resolved: true, won: true },
      { source: 'header', value: acme.id, resolved: true, won: false },
    ])
    expect(body).toMatchObject({ tenant: { slug: 'acme' }, code: null })
  })

  test('shows a disagreement instead of only refusing it', async () => {
    const { status, body } = await explained({ as: acme.users.owner, host: 'acme.localhost:3000', tenant: globex })
    expect(status).toBe(200)
    expect(body).toMatchObject({ tenant: null, code: 'tenant_mismatch' })
  })

  test('a tenant of others looks like none', async () => {
    const foreign = await explained({ as: acme.users.owner, tenant: globex })
    const unknown = await explained({ as: acme.users.owner, tenant: newId() })
    expect(foreign.body.sources.map(({ resolved }: { resolved: boolean }) => resolved)).toEqual([false])
    const blank = ({ body }: Answer) => ({
      ...body,
      sources: body.sources.map((source: object) => ({ ...source, value: '' })),
    })
    expect(blank(foreign)).toEqual(blank(unknown))
  })

  test('tells what the very request is answered with', async () => {
    const sleeper = await createTenant('sleeper')
    await setStatus(sleeper, 'suspended')
    const named = (...tenants: string[]): RequestOptions => ({
      headers: Object.fromEntries(tenants.map((name, at) => [['x-tenant-id', 'x-tenant-slug'][at] ?? '', name])),
    })
    const requests: RequestOptions[] = [
      ...[named(acme.id, 'acme'), named(globex.id, 'globex'), named('globex', 'globex'), named(newId(), 'globex'), {}],
      ...[named('acme', 'globex'), { host: 'acme.localhost:3000', ...named('never-was') }],
    ].map((options) => ({ as: acme.users.owner, ...options }))
    requests.push({ as: sleeper.users.owner, tenant: sleeper }, { as: sleeper.api_key })
    for (const fallback of [undefined, 'acme', 'globex', 'never-was']) {
      setEnvironment({ DEFAULT_TENANT_SLUG: fallback })
      for (const options of requests) {
        const told = (await explained(options)).body
        const { body } = await ask(options)
        expect([fallback, options.headers, told.code ?? told.tenant.slug]).toEqual([
          fallback,
          options.headers,
          body.code ?? body.slug,
        ])
      }
    }
  })

  test('needs a credential', async () => expect((await explained({ tenant: acme })).status).toBe(401))
})

describe('the cache', () => {
  /** Statements that look up a tenant, counted while `work` runs. */
  async function lookups(work: () => Promise<unknown>): Promise<number> {
    const pool = serverPool()
    const original = pool.query.bind(pool)
    let count = 0
    pool.query = ((...args: Parameters<typeof original>) => {
      const [query] = args as unknown as [{ text: string }]
      if (query.text.includes('app.route_tenant')) count += 1
      return original(...args)
    }) as typeof pool.query
    try {
      await work()
    } finally {
      pool.query = original as typeof pool.query
    }
    return count
  }
  beforeEach(async () => {
    await findTenantRouting({ slug: 'acme' })
    await expect.poll(isListening, { timeout: 10_000 }).toBe(true)
    forgetTenantRouting()
  })

  test('a thousand askers at once are one look-up, and later ones none', async () => {
    const count = await lookups(async () => {
      const found = await Promise.all(Array.from({ length: 1_000 }, () => findTenantRouting({ slug: 'acme' })))
      expect(new Set(found.map((routing) => routing?.id))).toEqual(new Set([acme.id]))
      await findTenantRouting({ slug: 'acme' })
    })
    expect(count).toBe(1)
  })

  test('unknown names are remembered too, but a flood of them does not push out the known ones', async () => {
    await findTenantRouting({ slug: 'acme' })
    const count = await lookups(async () => {
      for (let index = 0; index < 50; index += 1) await findTenantRouting({ slug: 'never-was' })
    })
    expect(count).toBe(1)
    await Promise.all(Array.from({ length: 500 }, (_, index) => findTenantRouting({ slug: `flood-${index}` })))
    expect(await lookups(() => findTenantRouting({ slug: 'acme' }))).toBe(0)
  })

  test('a look-up that fails is not remembered', async () => {
    const pool = serverPool()
    const original = pool.query
    pool.query = (() => Promise.reject(new Error('away'))) as unknown as typeof pool.query
    await expect(findTenantRouting({ slug: 'acme' })).rejects.toThrow('away')
    pool.query = original
    expect((await findTenantRouting({ slug: 'acme' }))?.id).toBe(acme.id)
  })

  test('an answer that was on its way while the tenant changed is not kept', async () => {
    const tenant = await createTenant('racing')
    const pool = serverPool()
    const original = pool.query.bind(pool)
    const gate = Promise.withResolvers<void>()
    const read = Promise.withResolvers<void>()
    pool.query = (async (...args: Parameters<typeof original>) => {
      const answer = await (original(...args) as unknown as Promise<unknown>)
      read.resolve()
      await gate.promise
      return answer
    }) as unknown as typeof pool.query
    const heard = Promise.withResolvers<void>()
    const stop = onNotification('registry', (message) => {
      if (message?.tenant_id === tenant.id) heard.resolve()
    })
    const flying = findTenantRouting({ slug: 'racing' })
    await read.promise
    await asSuperuser("update tenants set name = 'Renamed' where id = $1", [tenant.id])
    await heard.promise
    gate.resolve()
    expect((await flying)?.name).toBe('A Company')
    pool.query = original as typeof pool.query
    stop()
    expect((await findTenantRouting({ slug: 'racing' }))?.name).toBe('Renamed')
  })

  test('a new tenant is found although its name was asked for, in vain, a moment before', async () => {
    expect(await findTenantRouting({ slug: 'newcomer' })).toBeNull()
    await createTenant('newcomer')
    await expect.poll(async () => (await findTenantRouting({ slug: 'newcomer' }))?.slug, whenHeard).toBe('newcomer')
  })

  test('a domain that is verified or given up takes effect long before it would be looked up again', async () => {
    const hostname = 'soon.globex.test'
    expect(await findTenantRouting({ hostname })).toBeNull()
    await asSuperuser(
      "insert into domains (tenant_id, id, hostname, status) values ($1, gen_random_uuid(), $2, 'verified')",
      [globex.id, hostname],
    )
    const found = async () => (await findTenantRouting({ hostname }))?.id ?? null
    await expect.poll(found, whenHeard).toBe(globex.id)
    await asSuperuser("update domains set status = 'quarantined' where hostname = $1", [hostname])
    await expect.poll(found, whenHeard).toBeNull()
  })
})

describe('two processes', () => {
  const child = spawn(process.execPath, ['--import', 'tsx', inRepository('tests', 'support', 'resolver-process.ts')], {
    cwd: inRepository(),
    env: process.env,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })
  const askOther = async (slug: string): Promise<string> => {
    const answered = once(lines, 'line')
    child.stdin.write(`${slug}\n`)
    return String((await answered)[0])
  }
  afterAll(async () => {
    child.stdin.end()
    if (child.exitCode === null) await once(child, 'exit')
  })

  test('a change made through one is soon seen by the other, and until then does no harm', async () => {
    const tenant = await createTenant('elsewhere')
    expect(await askOther('elsewhere')).toBe('active A Company')
    // The other process has its answer in memory now.
    await asSuperuser("update tenants set name = 'Elsewhere Ltd' where id = $1", [tenant.id])
    await expect.poll(() => askOther('elsewhere'), whenHeard).toBe('active Elsewhere Ltd')
    await setStatus(tenant, 'suspended')
    await expect.poll(() => askOther('elsewhere'), whenHeard).toBe('suspended Elsewhere Ltd')
    await setStatus(tenant, 'deleted')
    await expect.poll(() => askOther('elsewhere'), whenHeard).toBe('none')
  })
})
