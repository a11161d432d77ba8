import { createHash } from 'node:crypto'
import pg from 'pg'
import { createKey, findApiKey, hashKey } from '@/libs/auth/api-key'
import { KEY_PERMISSIONS } from '@/libs/auth/permissions'
import { findOperatorRole } from '@/libs/auth/standing'
import { serverPool } from '@/libs/db/pools'
import { tenantQuery } from '@/libs/db/tenant-db'
import { env } from '@/libs/env'
import { newId } from '@/libs/ids'
import { type RegistryQuery, registerTenant } from '@/libs/tenancy/register-tenant'
import { forgetTenantRouting } from '@/libs/tenancy/resolve-tenant'
import { type Actor, runInTenant, systemActor } from '@/libs/tenancy/tenant-context'
import { type Account, ensureAccount } from './accounts'
import { demoId } from './demo-id'
import { type DemoTenant, OPERATORS } from './demo-tenants'

const KEY_NAME = 'Demo key'
const onServer: RegistryQuery = async (text, values) => (await serverPool().query(text, values)).rows

/** Runs registry work with the operators' login: operators and proved domains are no tenant's to write. */
async function onRegistry<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: env().OPERATOR_DATABASE_URL })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

const INSERT_OPERATOR = 'insert into operators (user_id, email, role) values ($1, $2, $3)'

/** The platform's staff: the first of them is there before anybody could appoint them, and appoints the others. */
export async function ensureOperators(): Promise<{ super_admin: Account }> {
  const accounts = await Promise.all(OPERATORS.map(({ email }) => ensureAccount(email)))
  const staff = OPERATORS.map(({ email, role }, index) => [accounts[index]?.id, email, role])
  const [superAdmin] = accounts
  if (!superAdmin) throw new Error('The demo has no operator.')
  if ((await findOperatorRole(superAdmin.id)) === null)
    await onRegistry((client) => client.query(INSERT_OPERATOR, staff[0] ?? []))
  const actor = { id: superAdmin.id, kind: 'operator', permissions: [], label: superAdmin.email }
  await onRegistry(async (client) => {
    await client.query('begin')
    await client.query('select app.begin_operator($1)', [JSON.stringify(actor)])
    for (const values of staff) await client.query(`${INSERT_OPERATOR} on conflict (user_id) do nothing`, values)
    await client.query('commit')
  })
  return { super_admin: superAdmin }
}

/** A tenant in the registry with its owner; its id. */
export async function ensureTenant(demo: DemoTenant): Promise<{ id: string; owner: Account }> {
  const owner = await ensureAccount(demo.people.find(({ role }) => role === 'owner')?.email ?? '')
  const key = `demo ${demo.slug}`
  const { id } = await registerTenant(
    onServer,
    { ...demo, metadata: { demo: true } },
    {
      actor: { id: owner.id, kind: 'user', permissions: [], label: owner.email },
      owner,
      maxTenants: null,
      // What it is called, or says of itself, may have been changed since.
      repeatable: { key, hash: createHash('sha256').update(key).digest() },
    },
  )
  forgetTenantRouting()
  return { id, owner }
}

/** Its people, its brand, and that it is open. Runs in the tenant's context. */
export async function ensurePeople(demo: DemoTenant): Promise<void> {
  for (const { email, name, role } of demo.people) {
    const { id } = await ensureAccount(email)
    await tenantQuery(
      `insert into memberships (id, user_id, email, name, role) values ($1, $2, $3, $4, $5)
       on conflict (tenant_id, user_id) do update set name = excluded.name where memberships.name = ''`,
      [newId(), id, email, name, role],
    )
  }
  const { display_name, primary_color, accent_color, support_url } = demo.branding
  await tenantQuery(
    `update brandings set display_name = $1, primary_color = $2, accent_color = $3, support_url = $4, updated_at = now()
     where tenant_id = (select app.tenant_id()) and display_name is null`,
    [display_name, primary_color, accent_color, support_url],
  )
  await tenantQuery('select app.activate_pending_tenant()')
}

/** Proves a domain and closes a tenant, as the operator who would. */
export async function finishTenant(demo: DemoTenant, tenantId: string, operator: Account): Promise<void> {
  if (!demo.domain && !demo.suspended_because) return
  const actor = { id: operator.id, kind: 'operator', permissions: [], label: operator.email }
  await onRegistry(async (client) => {
    await client.query('begin')
    await client.query('select app.begin_operator($1)', [JSON.stringify(actor)])
    if (demo.domain)
      await client.query(
        `insert into domains (tenant_id, id, hostname, status, verified_at) values ($1, $2, $3, 'verified', now())
         on conflict (tenant_id, hostname) do nothing`,
        [tenantId, demoId(`domain ${demo.domain}`), demo.domain],
      )
    if (demo.suspended_because)
      await client.query(
        `update tenants set status = 'suspended', suspended_at = now(), suspended_reason = $2, updated_at = now()
         where id = $1 and status = 'active'`,
        [tenantId, demo.suspended_because],
      )
    await client.query('commit')
  })
}

/** The demo key whose text is at hand, or a new one in place of those whose text is lost. */
export async function ensureKey(tenantId: string, owner: Account, known: string | undefined): Promise<string> {
  const present = known ? await findApiKey(known, { cached: false }) : null
  if (known && present?.tenant_id === tenantId) return known
  const key = createKey('live')
  const actor: Actor = { ...systemActor(), label: 'demo' }
  await runInTenant(tenantId, actor, async () => {
    await tenantQuery('update api_keys set revoked_at = now() where name = $1 and revoked_at is null', [KEY_NAME])
    await tenantQuery(
      `insert into api_keys (id, name, prefix, last_four, key_hash, permissions, created_by)
       values ($1, $2, $3, $4, $5, $6, $7)`,
      [newId(), KEY_NAME, key.slice(0, 12), key.slice(-4), hashKey(key), KEY_PERMISSIONS, owner.id],
    )
  })
  return key
}
