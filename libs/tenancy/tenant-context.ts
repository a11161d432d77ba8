import { AsyncLocalStorage } from 'node:async_hooks'
import pg from 'pg'
import { PERMISSIONS } from '@/libs/auth/permissions'
import { isStaleRouting } from '@/libs/db/errors'
import { serverPool } from '@/libs/db/pools'
import { inTurn } from '@/libs/db/tenant-turns'
import { runTransaction } from '@/libs/db/transaction'
import { AppError, readOnlyTenant } from '@/libs/errors'
import { isUuid } from '@/libs/ids'
import { forgetTenantRouting, routeTenant, type TenantRouting } from './resolve-tenant'

const INSUFFICIENT_PRIVILEGE = '42501'

/** Who acts. It travels to the database with every transaction; policies and the audit log read it there. */
export type Actor = {
  id: string
  kind: 'user' | 'customer' | 'api_key' | 'operator' | 'job' | 'system'
  permissions: readonly string[]
  label?: string
  request_id?: string
  ip?: string
  user_agent?: string
  customer_id?: string
  on_behalf_of?: string
}

/** What the code of a request or job runs in: one tenant, one actor and, within a transaction, its connection. */
export type TenantContext = {
  tenantId: string
  actor: Actor
  /** The connection of the open transaction; undefined where each statement is a transaction of its own. */
  client?: pg.PoolClient
  /** True after commit or rollback: the handle is dead then. */
  finished: boolean
}

const storage = new AsyncLocalStorage<TenantContext>()

/** The context of the running code, or null outside of one. */
export function findContext(): TenantContext | null {
  return storage.getStore() ?? null
}

/** The context of the running code. @throws Error outside of one: a service was called without a tenant. */
export function currentContext(): TenantContext {
  const context = storage.getStore()
  if (!context)
    throw new Error('No tenant context: call this within withTenantAuth, runInTenant or after setTenantContext.')
  if (context.finished) throw new Error('This tenant context has ended with its transaction.')
  return context
}

/** The actor of a job: it may do everything within one tenant, and is named in the audit log. */
export function jobActor(name: string): Actor {
  return { id: name, kind: 'job', permissions: PERMISSIONS, label: name }
}

/** The platform itself, where no person or job is behind an act. */
export function systemActor(): Actor {
  return { id: 'system', kind: 'system', permissions: PERMISSIONS, label: 'system' }
}

/** The statement that makes a transaction one of a tenant: the kernel's checks. Sent with `begin` as one message. */
function enterStatement(routing: TenantRouting, actor: Actor): string {
  if (!isUuid(routing.id)) throw new TypeError('a tenant id is a UUID')
  const epoch = BigInt(routing.epoch)
  return `select app.begin_tenant('${routing.id}', ${epoch}, ${pg.escapeLiteral(JSON.stringify(actor))}::jsonb)`
}

async function routingOf(tenant: string | TenantRouting): Promise<TenantRouting> {
  return typeof tenant === 'string' ? routeTenant(tenant) : tenant
}

/** `frozen`: every statement of the transaction sees the database at the same moment. */
type TransactionOptions = { frozen?: boolean }

/**
 * Runs `work` in one transaction of one tenant: commits when it returns, rolls back when it throws.
 * A call for the same tenant within such a transaction joins it; one for another tenant is an error.
 * Stale routing is re-read once. @throws whatever `work` throws, and the kernel's errors.
 */
export async function runInTenant<T>(
  tenant: string | TenantRouting,
  actor: Actor,
  work: (context: TenantContext) => Promise<T>,
  options: TransactionOptions = {},
): Promise<T> {
  const outer = findContext()
  const tenantId = typeof tenant === 'string' ? tenant : tenant.id
  if (outer && outer.tenantId !== tenantId)
    throw new Error('One transaction, one tenant: this context belongs to another.')
  if (outer?.client && !outer.finished) return work(outer)
  const routing = await routingOf(tenant)
  try {
    return await transact(routing, actor, work, options)
  } catch (error) {
    if (!isStaleRouting(error)) throw await nameRefusal(error, routing.id)
    forgetTenantRouting(routing.id)
    return transact(await routingOf(routing.id), actor, work, options)
  }
}

/** A refusal by row security where the tenant has become read-only since its routing was read. */
async function nameRefusal(error: unknown, tenantId: string): Promise<unknown> {
  if (!(error instanceof pg.DatabaseError && error.code === INSUFFICIENT_PRIVILEGE)) return error
  forgetTenantRouting(tenantId)
  const { status } = await routeTenant(tenantId)
  if (status !== 'read_only') return error
  return readOnlyTenant(error)
}

function transact<T>(
  routing: TenantRouting,
  actor: Actor,
  work: (context: TenantContext) => Promise<T>,
  { frozen = false }: TransactionOptions,
): Promise<T> {
  const begin = frozen ? 'begin isolation level repeatable read' : 'begin'
  const open = async (client: pg.PoolClient) => {
    await client.query(`${begin}; ${enterStatement(routing, actor)}`)
    return { routing, actor }
  }
  return inTurn(routing.id, () => transactAs(open, work))
}

/** The tenant of a transaction and who acts in it, once it is open. */
type Opened = { routing: TenantRouting; actor: Actor }

function transactAs<O extends Opened, T>(
  open: (client: pg.PoolClient) => Promise<O>,
  work: (context: TenantContext, opened: O) => Promise<T>,
): Promise<T> {
  return runTransaction(serverPool(), async (client) => {
    const opened = await open(client)
    const context: TenantContext = { tenantId: opened.routing.id, actor: opened.actor, client, finished: false }
    try {
      return await storage.run(context, () => work(context, opened))
    } finally {
      context.finished = true
    }
  })
}

/**
 * Runs `register`, which makes a tenant or finds one, and then `work` within that tenant, as one transaction: all of it
 * is there afterwards, or nothing. @throws whatever they throw, and the kernel's errors.
 */
export function runInNewTenant<O extends Opened, T>(
  register: (client: pg.PoolClient) => Promise<O>,
  work: (opened: O) => Promise<T>,
): Promise<T> {
  const open = async (client: pg.PoolClient) => {
    await client.query('begin')
    const opened = await register(client)
    await client.query(enterStatement(opened.routing, opened.actor))
    return opened
  }
  // One after the other, whoever asks: waiting for that they must not hold the connections of all tenants there are.
  return inTurn('new tenants', () => transactAs(open, (_context, opened) => work(opened)))
}

/** Runs `work` in a context without a transaction of its own: each statement becomes one. For handlers that commit by themselves. */
export function runWithoutTransaction<T>(tenantId: string, actor: Actor, work: () => Promise<T>): Promise<T> {
  return storage.run({ tenantId, actor, finished: false }, work)
}

/** Runs `work` outside of any context. */
export function runOutsideTenant<T>(work: () => T): T {
  return storage.exit(work)
}

/**
 * Sets the tenant for the rest of the calling async flow, acting as the system: for scripts, jobs and tests.
 * Each statement is then a transaction of its own that opens with app.begin_tenant.
 * Within a request it only confirms the request's own tenant.
 * @throws AppError not_found when there is no such tenant, forbidden within a request of another tenant.
 */
export function setTenantContext(tenantId: string): Promise<void> {
  const outer = findContext()
  if (outer && !outer.finished && (outer.client || outer.actor.kind !== 'system')) {
    if (outer.tenantId === tenantId) return Promise.resolve()
    return Promise.reject(new AppError('forbidden', 'A request stays with its tenant.'))
  }
  // Entered before the first await, so that the caller's own flow carries it.
  storage.enterWith({ tenantId, actor: systemActor(), finished: false })
  return routingOf(tenantId).then(() => undefined)
}

/** Id of the tenant the running code acts for, null outside of a context. */
export function getTenantContext(): Promise<string | null> {
  return Promise.resolve(findContext()?.tenantId ?? null)
}
