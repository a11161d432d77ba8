// APIs, permissions, roles and identities as the package of Unkey has them, and the odd ways of its limiter, against the ingest process.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Unkey } from '@unkey/api'
import { UnkeyError } from '@unkey/api/models/errors'
import { type Duration, NoopRatelimit, Overrides, Ratelimit } from '@unkey/ratelimit'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { POST as callMethod } from '@/app/compat/unkey/v2/[method]/route'
import { newId } from '@/libs/ids'
import { whenHeard } from '../support/heard'
import { type IngestProcess, startIngestProcess } from '../support/ingest-process'
import { call, createApiKey, createWorld } from '../support/world'

const { acme, globex } = await createWorld()
let ingest: IngestProcess
let second: IngestProcess
let unkey: Unkey
let elsewhere: Unkey
let other: Unkey
const address = (process: IngestProcess) => `${process.url}/compat/unkey`
const client = (key: string, process = ingest) => new Unkey({ rootKey: key, serverURL: address(process) })
beforeAll(async () => {
  ;[ingest, second] = await Promise.all([startIngestProcess(), startIngestProcess()])
  unkey = client(acme.api_key)
  elsewhere = client(acme.api_key, second)
  other = client(globex.api_key)
})
afterAll(async () => {
  await Promise.all([ingest.end(), second.end()])
})

const statusOf = async (work: Promise<unknown>): Promise<number> => {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  // The limiter brings a copy of the other package along.
  const { statusCode } = (error ?? {}) as { statusCode?: unknown }
  if (typeof statusCode !== 'number') throw new Error(`not refused: ${String(error)}`)
  return statusCode
}
const create = async (options: Omit<Parameters<Unkey['keys']['createKey']>[0], 'apiId'> & { apiId?: string } = {}) =>
  (await unkey.keys.createKey({ apiId: 'api_test', ...options })).data
const isValid = async (key: string, permissions: string, from = unkey) =>
  (await from.keys.verifyKey({ key, permissions })).data.valid
type Listed = {
  data: { keyId: string; name?: string | undefined }[]
  pagination?: { cursor?: string; hasMore: boolean }
}
/** Lists are given as pages that can be walked. */
const pageOf = <T>(answer: T | { result: T }): T =>
  typeof answer === 'object' && answer !== null && 'result' in answer ? answer.result : (answer as T)

describe('apis', () => {
  test('are made, named, list their keys page by page, and take them along when they end', async () => {
    const { apiId } = (await unkey.apis.createApi({ name: 'payments' })).data
    expect(apiId).toMatch(/^api_/)
    expect((await unkey.apis.getApi({ apiId })).data).toEqual({ id: apiId, name: 'payments' })
    const keys: { keyId: string; key: string }[] = []
    for (const name of ['a', 'b', 'c']) keys.push(await create({ apiId, name, externalId: `owner-${name}` }))
    await create({ name: 'of another' })
    const listed: string[] = []
    let cursor: string | undefined
    do {
      const page: Listed = pageOf(await unkey.apis.listKeys({ apiId, limit: 2, ...(cursor ? { cursor } : {}) }))
      listed.push(...page.data.map(({ name }) => name ?? ''))
      cursor = page.pagination?.hasMore ? page.pagination.cursor : undefined
    } while (cursor)
    expect(listed).toEqual(['c', 'b', 'a'])
    const walked: string[] = []
    for await (const page of await unkey.apis.listKeys({ apiId, limit: 1 })) {
      const { result } = page as unknown as { result: Listed }
      walked.push(...result.data.map(({ name }) => name ?? ''))
    }
    expect(walked).toEqual(['c', 'b', 'a'])
    const one: Listed = pageOf(await unkey.apis.listKeys({ apiId, externalId: 'owner-b' }))
    expect(one.data).toMatchObject([{ keyId: keys[1]?.keyId, name: 'b', identity: { externalId: 'owner-b' } }])
    expect(await statusOf(other.apis.getApi({ apiId }))).toBe(404)
    expect(await statusOf(unkey.apis.getApi({ apiId: 'api_never_made' }))).toBe(404)
    expect(await statusOf(unkey.apis.listKeys({ apiId: 'api_never_made' }))).toBe(404)
    await unkey.apis.deleteApi({ apiId })
    await expect
      .poll(async () => (await elsewhere.keys.verifyKey({ key: keys[0]?.key ?? '' })).data.code, whenHeard)
      .toBe('NOT_FOUND')
    expect(await statusOf(unkey.apis.getApi({ apiId }))).toBe(404)
    expect(await statusOf(create({ apiId }))).toBe(404)
  })
})

describe('permissions and roles', () => {
  test('of a key are added, taken and replaced, known to every process at once', async () => {
    const { keyId, key } = await create({ permissions: ['docs.read'], roles: ['reader'] })
    expect((await unkey.keys.addPermissions({ keyId, permissions: ['docs.write', 'docs.read'] })).data).toEqual([
      { id: 'docs.read', name: 'docs.read', slug: 'docs.read' },
      { id: 'docs.write', name: 'docs.write', slug: 'docs.write' },
    ])
    await expect.poll(() => isValid(key, 'docs.write', elsewhere), whenHeard).toBe(true)
    expect((await unkey.keys.removePermissions({ keyId, permissions: ['docs.read', 'never'] })).data).toMatchObject([
      { slug: 'docs.write' },
    ])
    expect((await unkey.keys.setPermissions({ keyId, permissions: ['x', 'y'] })).data.map(({ slug }) => slug)).toEqual([
      'x',
      'y',
    ])
    await expect.poll(() => isValid(key, 'docs.write', elsewhere), whenHeard).toBe(false)
    expect((await unkey.keys.addRoles({ keyId, roles: ['writer'] })).data.map(({ name }) => name)).toEqual([
      'reader',
      'writer',
    ])
    expect((await unkey.keys.removeRoles({ keyId, roles: ['reader'] })).data).toEqual([
      { id: 'writer', name: 'writer' },
    ])
    expect((await unkey.keys.setRoles({ keyId, roles: [] })).data).toEqual([])
    expect((await unkey.keys.getKey({ keyId })).data).toMatchObject({ permissions: ['x', 'y'], roles: [] })
    // Many at once lose nothing.
    const added = Array.from({ length: 10 }, (_, index) => `many.${index}`)
    await Promise.all(added.map((word) => unkey.keys.addPermissions({ keyId, permissions: [word] })))
    expect((await unkey.keys.getKey({ keyId })).data.permissions).toHaveLength(12)
    expect(await statusOf(unkey.keys.addPermissions({ keyId, permissions: ['with space'] }))).toBe(400)
    expect(await statusOf(unkey.keys.addPermissions({ keyId: newId(), permissions: ['x'] }))).toBe(404)
    expect(await statusOf(other.keys.addPermissions({ keyId, permissions: ['x'] }))).toBe(404)
    const reader = client((await createApiKey(acme, ['customer-keys:read'])).key)
    expect(await statusOf(reader.keys.setRoles({ keyId, roles: ['admin'] }))).toBe(403)
  })

  test('that are written down: what a role permits, every key that has it holds', async () => {
    const { permissions } = unkey
    const name = `billing-${newId()}`
    const slug = `invoices.${newId()}`
    expect((await permissions.createPermission({ name: 'Read invoices', slug, description: 'All' })).data).toEqual({
      permissionId: expect.any(String),
    })
    expect(await statusOf(permissions.createPermission({ name: 'x', slug }))).toBe(409)
    const raced = `raced.${newId()}`
    const racing = Array.from({ length: 8 }, () =>
      permissions.createPermission({ name: 'x', slug: raced }).then(
        () => 200,
        ({ statusCode }) => statusCode,
      ),
    )
    expect((await Promise.all(racing)).sort()).toEqual([200, ...Array(7).fill(409)])
    expect((await permissions.getPermission({ permission: slug })).data).toEqual({
      id: slug,
      name: 'Read invoices',
      slug,
      description: 'All',
    })
    const { roleId } = (await permissions.createRole({ name, description: 'Money', permissions: [slug] })).data
    expect(await statusOf(permissions.createRole({ name }))).toBe(409)
    const role = {
      id: roleId,
      name,
      description: 'Money',
      permissions: [{ id: slug, name: 'Read invoices', slug, description: 'All' }],
    }
    expect((await permissions.getRole({ role: name })).data).toEqual(role)
    expect((await permissions.getRole({ role: roleId })).data).toEqual(role)
    const { keyId, key } = await create({ roles: [name], permissions: ['own'] })
    expect((await unkey.keys.verifyKey({ key, permissions: `${slug} AND own` })).data).toMatchObject({
      valid: true,
      permissions: [slug, 'own'].sort(),
      roles: [name],
    })
    expect(await isValid(key, slug, elsewhere)).toBe(true)
    expect((await permissions.setRolePermissions({ roleId, permissions: ['refunds'] })).data).toMatchObject([
      { slug: 'refunds' },
    ])
    await expect.poll(() => isValid(key, slug, elsewhere), whenHeard).toBe(false)
    expect(await isValid(key, 'refunds', elsewhere)).toBe(true)
    const roles = pageOf(await permissions.listRoles({ limit: 100, search: name }))
    expect(roles).toMatchObject({ data: [{ id: roleId }], pagination: { hasMore: false } })
    const listed = pageOf(await permissions.listPermissions({ search: slug }))
    expect(listed).toMatchObject({ data: [{ slug }], pagination: { hasMore: false } })
    await permissions.deleteRole({ role: roleId })
    await expect.poll(() => isValid(key, 'refunds', elsewhere), whenHeard).toBe(false)
    expect((await unkey.keys.getKey({ keyId })).data.roles).toEqual([])
    await permissions.deletePermission({ permission: slug })
    expect(await statusOf(permissions.getPermission({ permission: slug }))).toBe(404)
    expect(await statusOf(permissions.getRole({ role: name }))).toBe(404)
    expect(await statusOf(other.permissions.getRole({ role: roleId }))).toBe(404)
  })

  test('roles are listed by as many questions as one, with what each permits', async () => {
    const prefix = `many-${newId()}`
    const made = ['a', 'b', 'c'].map((letter) => ({ name: `${prefix}-${letter}`, permissions: [letter, 'shared'] }))
    for (const role of made) await unkey.permissions.createRole(role)
    const list = async (search: string) => {
      const asked = vi.spyOn(pg.Client.prototype, 'query')
      const { body } = await call(callMethod, 'POST', '/compat/unkey/v2/permissions.listRoles', {
        as: acme.api_key,
        params: { method: 'permissions.listRoles' },
        body: { search },
      })
      const { length } = asked.mock.calls
      asked.mockRestore()
      type Role = { name: string; permissions: { slug: string }[] }
      const roles = (body.data as Role[]).map(({ name, permissions }) => ({
        name,
        permissions: permissions.map(({ slug }) => slug),
      }))
      return { length, roles }
    }
    await list(prefix)
    const [one, all] = [await list(`${prefix}-a`), await list(prefix)]
    expect([one.roles, all.roles]).toEqual([made.slice(0, 1), made])
    expect(all.length).toBe(one.length)
  })
})

describe('identities', () => {
  test('are customers', async () => {
    const { identities } = unkey
    const externalId = `id-${newId()}`
    const { identityId } = (await identities.createIdentity({ externalId, meta: { planName: 'pro' } })).data
    const identity = { id: identityId, externalId, meta: { planName: 'pro' } }
    expect((await identities.getIdentity({ identity: externalId })).data).toEqual(identity)
    expect((await identities.getIdentity({ identity: identityId })).data).toEqual(identity)
    expect(await statusOf(identities.createIdentity({ externalId }))).toBe(409)
    expect((await identities.updateIdentity({ identity: externalId, meta: { a: 1 } })).data.meta).toEqual({ a: 1 })
    const listed = pageOf(await identities.listIdentities({ limit: 10, search: externalId }))
    expect(listed).toMatchObject({ data: [{ id: identityId }], pagination: { hasMore: false } })
    const { key } = await create({ externalId })
    expect((await unkey.keys.verifyKey({ key })).data.identity).toEqual({ id: identityId, externalId })
    expect(
      await statusOf(
        identities.createIdentity({
          externalId: 'x',
          ratelimits: [{ name: 'a', limit: 1, duration: 1_000, autoApply: false }],
        }),
      ),
    ).toBe(400)
    await identities.deleteIdentity({ identity: externalId })
    expect(await statusOf(identities.getIdentity({ identity: externalId }))).toBe(404)
    await expect.poll(async () => (await unkey.keys.verifyKey({ key })).data.code, whenHeard).toBe('FORBIDDEN')
    // Made anew it is the same customer, with what is said of it now.
    expect((await identities.createIdentity({ externalId, meta: { b: 2 } })).data).toEqual({ identityId })
    expect((await identities.getIdentity({ identity: externalId })).data).toEqual({ ...identity, meta: { b: 2 } })
    await expect.poll(async () => (await unkey.keys.verifyKey({ key })).data.code, whenHeard).toBe('VALID')
  })
})

describe('what is not here', () => {
  test('is said in the shape of the package', async () => {
    const error = await unkey.keys.migrateKeys({ migrationId: 'm', apiId: 'a', keys: [{ hash: 'x' }] }).then(
      () => null,
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(UnkeyError)
    expect(error).toMatchObject({
      statusCode: 404,
      error: { detail: 'keys.migrateKeys is not supported here.', status: 404 },
    })
    expect(await statusOf(unkey.analytics.getVerifications({ query: 'select 1' }))).toBe(404)
    expect(await statusOf(client('hf_live_wrong').keys.migrateKeys({ migrationId: 'm', apiId: 'a', keys: [] }))).toBe(
      401,
    )
  })
})

describe('the limiter', () => {
  const limiter = (options: Partial<ConstructorParameters<typeof Ratelimit>[0]> = {}) =>
    new Ratelimit({
      baseUrl: address(ingest),
      rootKey: acme.api_key,
      namespace: newId(),
      limit: 3,
      duration: '60s',
      ...options,
    })

  test('takes every way to write a span, and a cost of nothing looks', async () => {
    for (const duration of ['500 ms', '30s', '5 m', '2h', '1d'] satisfies Duration[]) {
      const one = limiter({ duration })
      expect(await one.limit('x', { cost: 0 })).toMatchObject({ success: true, limit: 3, remaining: 3 })
      expect(await one.limit('x')).toMatchObject({ success: true, remaining: 2 })
      expect(await one.limit('x', { cost: 0 })).toMatchObject({ success: true, remaining: 2 })
    }
    const other = limiter()
    expect(await other.limit('x', { limit: { limit: 10, duration: '10s' }, cost: 4 })).toMatchObject({
      limit: 10,
      remaining: 6,
    })
    expect(await new NoopRatelimit().limit('x')).toMatchObject({ success: true })
  })

  test('falls back when nothing answers in time, and tells of what fails', async () => {
    const silent = createServer(() => undefined)
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const baseUrl = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
    const fallback = { success: true, limit: 0, remaining: 0, reset: 0 }
    expect(await limiter({ baseUrl, timeout: { ms: 50, fallback } }).limit('x')).toEqual(fallback)
    silent.closeAllConnections()
    silent.close()
    expect(await limiter({ timeout: { ms: 5_000, fallback } }).limit('x')).toMatchObject({ success: true, limit: 3 })
    const seen: string[] = []
    const wrong = limiter({
      rootKey: 'hf_live_wrong',
      onError: (error) => {
        seen.push(error.message)
        return fallback
      },
    })
    expect(await wrong.limit('x')).toEqual(fallback)
    expect(seen).toHaveLength(1)
    expect(await statusOf(limiter({ rootKey: 'hf_live_wrong' }).limit('x'))).toBe(401)
    expect(await statusOf(limiter().limit(''))).toBe(400)
    expect(await statusOf(limiter({ limit: -1 }).limit('x'))).toBe(400)
  })

  test('overrides are changed in place and walked page by page', async () => {
    const overrides = new Overrides({ baseUrl: address(ingest), rootKey: acme.api_key })
    const namespace = newId()
    for (const limit of [1, 2]) await overrides.setOverride({ namespace, identifier: 'a', limit, duration: 1_000 })
    await overrides.setOverride({ namespace, identifier: 'b', limit: 5, duration: 1_000 })
    const walked: unknown[] = []
    let cursor: string | undefined
    do {
      const page = pageOf(await overrides.listOverrides({ namespace, limit: 1, ...(cursor ? { cursor } : {}) }))
      walked.push(...page.data)
      cursor = page.pagination?.cursor
    } while (cursor)
    expect(walked).toMatchObject([
      { identifier: 'a', limit: 2 },
      { identifier: 'b', limit: 5 },
    ])
    expect(await statusOf(overrides.deleteOverride({ namespace, identifier: 'c' }))).toBe(404)
    expect(await statusOf(overrides.setOverride({ namespace, identifier: '', limit: 1, duration: 1 }))).toBe(400)
  })
})
