import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { afterAll } from 'vitest'
import { createKey, hashKey } from '@/libs/auth/api-key'
import { KEY_PERMISSIONS, type MemberRole, type Permission, type Role } from '@/libs/auth/permissions'
import { stopNotifications } from '@/libs/db/notifications'
import { closePools, serverPool } from '@/libs/db/pools'
import { tenantQuery } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'
import { log } from '@/libs/log'
import { runInTenant, systemActor } from '@/libs/tenancy/tenant-context'
import type { TestUser } from './tokens'
import { requireVariable } from './variables'

export { type Answer, call, type RequestOptions, read, request } from './requests'
export { sessionCookieFor, type TestUser, tokenFor } from './tokens'

export type TestTenant = {
  id: string
  slug: string
  name: string
  /** One person in each role; the customer is signed in to the portal as `customer`. */
  users: Record<Role, TestUser>
  /** The tenant's own customer; its external id is the same in every tenant, so that leaks show. */
  customer: { id: string; external_id: string }
  /** A live key with every permission a key may hold, made by the owner. */
  api_key: string
  api_key_id: string
}

export type World = {
  acme: TestTenant
  globex: TestTenant
  operators: { super_admin: TestUser; support: TestUser }
  /** Signed in, and nothing to anybody. */
  stranger: TestUser
}

const MEMBER_ROLES: readonly MemberRole[] = ['owner', 'admin', 'member', 'compliance']

/** A person of the auth server; the address is theirs alone. */
export function newUser(name: string): TestUser {
  const id = randomUUID()
  return { id, email: `${name}-${id.slice(0, 8)}@example.test` }
}

/**
 * Two active tenants with the same people, names and external ids, operators and a stranger, in the database of this
 * test file. Call it once, at the top:
 *
 *     const { acme, globex, operators, stranger } = await createWorld()
 *
 *     test('a member of another tenant learns nothing', async () => {
 *       const answer = await call(GET, 'GET', '/api/v1/meters', { as: globex.users.owner, tenant: acme })
 *       expect(answer.status).toBe(404)
 *     })
 *
 * `call(handler, method, path, { as, tenant, body, host, headers, cookie, params })` sends a Request to a route handler;
 * `request(…)` only builds it; `tokenFor(user)` and `sessionCookieFor(user)` sign people in; `createTenant(slug)` makes
 * one more tenant, `createApiKey(tenant, permissions)` one more key, `asSystem(tenant, work)` arranges with all rights of
 * that tenant and `asSuperuser(sql, values)` looks where nobody else may. Connections are closed after the file.
 */
export async function createWorld(): Promise<World> {
  log.level = process.env.LOG_LEVEL ?? 'error'
  afterAll(async () => {
    await stopNotifications()
    await closePools()
  })
  const acme = await createTenant('acme', { plan: 'premium' })
  const globex = await createTenant('globex', { plan: 'basic' })
  const operators = { super_admin: newUser('super-admin'), support: newUser('support') }
  for (const [role, user] of Object.entries(operators)) {
    await asSuperuser('insert into operators (user_id, email, role) values ($1, $2, $3)', [user.id, user.email, role])
  }
  return { acme, globex, operators, stranger: newUser('stranger') }
}

export type TenantOptions = { name?: string; plan?: string; time_zone?: string; active?: boolean }

/** A tenant with one person in each role, a customer and a key; active unless asked otherwise. */
export async function createTenant(slug: string, options: TenantOptions = {}): Promise<TestTenant> {
  const { name = 'A Company', plan = 'premium', time_zone = 'UTC', active = true } = options
  const id = newId()
  const users: Record<Role, TestUser> = {
    owner: newUser('owner'),
    admin: newUser('admin'),
    member: newUser('member'),
    compliance: newUser('compliance'),
    customer: newUser('customer'),
  }
  const actor = { id: users.owner.id, kind: 'user', permissions: [], label: users.owner.email }
  await serverPool().query('select app.register_tenant($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)', [
    id,
    slug,
    name,
    '',
    plan,
    time_zone,
    {},
    users.owner.id,
    users.owner.email,
    'Owner',
    null,
    actor,
  ])
  const customer = { id: newId(), external_id: 'customer-1' }
  await runInTenant(id, systemActor(), async () => {
    if (active) await tenantQuery('select app.activate_pending_tenant()')
    for (const role of MEMBER_ROLES) {
      if (role === 'owner') continue
      await tenantQuery('insert into memberships (id, user_id, email, name, role) values ($1, $2, $3, $4, $5)', [
        newId(),
        users[role].id,
        users[role].email,
        `The ${role}`,
        role,
      ])
    }
    await tenantQuery('insert into customers (id, external_id, name) values ($1, $2, $3)', [
      customer.id,
      customer.external_id,
      'Customer One',
    ])
    await tenantQuery(
      'insert into customer_logins (id, customer_id, email, user_id, accepted_at) values ($1, $2, $3, $4, now())',
      [newId(), customer.id, users.customer.email, users.customer.id],
    )
  })
  const tenant = { id, slug, name, users, customer, api_key: '', api_key_id: '' }
  const { key, id: keyId } = await createApiKey(tenant, KEY_PERMISSIONS)
  return { ...tenant, api_key: key, api_key_id: keyId }
}

/** A live key of a tenant, made by its owner unless by somebody else. */
export async function createApiKey(
  tenant: Pick<TestTenant, 'id' | 'users'>,
  permissions: readonly Permission[],
  createdBy: TestUser = tenant.users.owner,
): Promise<{ id: string; key: string }> {
  const id = newId()
  const key = createKey('live')
  await asSystem(tenant, () =>
    tenantQuery(
      `insert into api_keys (id, name, prefix, last_four, key_hash, permissions, created_by)
       values ($1, $2, $3, $4, $5, $6, $7)`,
      [id, 'Test key', key.slice(0, 12), key.slice(-4), hashKey(key), permissions, createdBy.id],
    ),
  )
  return { id, key }
}

/** Runs `work` in one transaction of a tenant with every permission there; services and tenantQuery work inside. */
export function asSystem<T>(tenant: { id: string }, work: () => Promise<T>): Promise<T> {
  return runInTenant(tenant.id, systemActor(), work)
}

/** One statement past all row security, to arrange what no service can, or to see what is really there. */
export async function asSuperuser<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
  const client = new pg.Client({ connectionString: requireVariable('SUPERUSER_DATABASE_URL') })
  await client.connect()
  try {
    return (await client.query<Row>(text, values)).rows
  } finally {
    await client.end()
  }
}

/** Sets the status of a tenant, as an operator would. */
export async function setStatus(tenant: { id: string }, status: string): Promise<void> {
  await asSuperuser('update tenants set status = $2 where id = $1', [tenant.id, status])
}
