import { recordDenial } from '@/libs/audit/record-denial'
import { type Caller, readCaller } from '@/libs/auth/credentials'
import type { Permission } from '@/libs/auth/permissions'
import { AppError, readOnlyTenant, unauthenticated } from '@/libs/errors'
import type { TenantRouting } from '@/libs/tenancy/resolve-tenant'
import { type Actor, runInTenant, runWithoutTransaction } from '@/libs/tenancy/tenant-context'
import {
  chooseTenant,
  haveDifferentNames,
  readTenantSources,
  type TenantSource,
  tenantMismatch,
} from '@/libs/tenancy/tenant-sources'
import { type Access, findAccess, isAllowed } from './find-access'
import { readIdempotencyKey, runOnce } from './idempotency'
import { nameAsSent } from './name-as-sent'
import { recordMismatch } from './record-mismatch'
import { repeatUndone } from './repeat-undone'
import { type RequestFacts, traceOf } from './request-facts'
import { answer, type RequestTrace, type RouteHandler, type RouteParams, readParams } from './route-handler'
import { isSafeMethod, requireSameOrigin } from './same-origin'
import { takeWholeBody } from './whole-body'

export { ApiResponse } from './api-response'

/** What a handler knows of its request. */
export type TenantRequestContext = {
  tenantId: string
  tenant: TenantRouting
  /** The signed-in user; for an API key its id, with an empty e-mail. */
  user: { id: string; email: string }
  actor: Actor
  role: Access['role']
  customerId: string | null
  params: RouteParams
  requestId: string
}

export type TenantHandler = (request: Request, context: TenantRequestContext) => Promise<Response>

export type TenantRouteOptions = {
  /** What the caller must hold (one of them); without it any member or API key of the tenant may enter. */
  permission?: Permission | readonly Permission[]
  /**
   * `request` (default): one transaction around the handler. `none`: the handler commits by itself (hot path, streams).
   * `keyed`: one where an Idempotency-Key makes the request safe to repeat, else none.
   */
  transaction?: 'request' | 'none' | 'keyed'
}

/**
 * A route of one tenant: proves who calls, finds the one tenant the request is about, checks the permission, and runs
 * the handler in one transaction of that tenant. Everything wrong is answered as a problem document:
 * 401 without a valid credential, 404 for a tenant that is not there or not the caller's, 403 `tenant_mismatch` when the
 * request names two, 403 `forbidden` without the permission, 423 while the tenant is suspended.
 */
export function withTenantAuth(handler: TenantHandler, options: TenantRouteOptions = {}): RouteHandler {
  const { permission, transaction = 'request' } = options
  const named = nameAsSent(handler)
  return (request, route) =>
    answer(request, async (facts, trace) => {
      const caller = await readCaller(request, { cached: transaction !== 'request' })
      if (!caller) throw unauthenticated()
      if (caller.kind === 'user' && caller.by === 'cookie') requireSameOrigin(request)
      const sources = readTenantSources(request, caller)
      const tenant = await agree(request, sources, caller, facts)
      const access = await enter(caller, tenant, facts, sources)
      note(trace, tenant, access.actor)
      if (!isAllowed(access, permission)) {
        await recordDenial(tenant, access.actor, 'access.denied', {
          method: request.method,
          path: new URL(request.url).pathname,
        })
        const needed = permission === undefined ? '' : `: it needs ${[permission].flat().join(' or ')}`
        throw new AppError('forbidden', `You may not do this in this tenant${needed}.`, {
          extra: { required_permission: permission },
        })
      }
      const params = route ? await readParams(route) : {}
      return await run(request, toContext(tenant, access, facts, params), named, transaction)
    })
}

async function run(
  request: Request,
  context: TenantRequestContext,
  handler: TenantHandler,
  transaction: 'request' | 'none' | 'keyed',
): Promise<Response> {
  const { tenant, actor } = context
  // Closed comes before whatever else is wrong. What is remembered may be older than an activation: the database is asked.
  if (tenant.status === 'suspended') await runInTenant(tenant, actor, async () => undefined)
  const key = transaction === 'none' || isSafeMethod(request.method) ? null : readIdempotencyKey(request)
  if (transaction === 'none' || (transaction === 'keyed' && key === null))
    return await runWithoutTransaction(tenant.id, actor, () => handler(request, context))
  requireWritable(tenant, request.method)
  return repeatUndone(await takeWholeBody(request), (mine) =>
    runInTenant(tenant, actor, () => (key ? runOnce(mine, key, () => handler(mine, context)) : handler(mine, context))),
  )
}

function requireWritable(tenant: TenantRouting, method: string): void {
  if (tenant.status === 'read_only' && !isSafeMethod(method)) throw readOnlyTenant()
}

function toContext(
  tenant: TenantRouting,
  { user, role, customerId, actor }: Access,
  facts: RequestFacts,
  params: RouteParams,
): TenantRequestContext {
  return { tenantId: tenant.id, tenant, user, actor, role, customerId, params, requestId: facts.requestId }
}

function note(trace: RequestTrace, tenant: TenantRouting, actor: Actor): void {
  trace.tenant = tenant.id
  trace.actor = `${actor.kind}:${actor.id}`
}

/** The tenant all sources agree on; a request that names two is noted where its caller is known. */
async function agree(
  request: Request,
  sources: TenantSource[],
  caller: Caller,
  facts: RequestFacts,
): Promise<TenantRouting> {
  try {
    return await chooseTenant(sources)
  } catch (error) {
    if (error instanceof AppError && error.code === 'tenant_mismatch')
      await recordMismatch(request, sources, caller, facts)
    throw error
  }
}

/** What the caller may do there. To who is nothing to it, two names of a tenant are as different as those of two. */
async function enter(
  caller: Caller,
  tenant: TenantRouting,
  facts: RequestFacts,
  sources: TenantSource[],
): Promise<Access> {
  try {
    return await findAccess(caller, tenant, facts, sources[0]?.source === 'host')
  } catch (error) {
    if (error instanceof AppError && error.code === 'not_found' && haveDifferentNames(sources)) throw tenantMismatch()
    throw error
  }
}

export type PublicTenantContext = Pick<TenantRequestContext, 'tenantId' | 'tenant' | 'params' | 'requestId' | 'actor'>

/**
 * A route of one tenant that needs no sign-in: the tenant is found as in withTenantAuth, the handler runs as a visitor
 * who holds no permission at all, so that row security shows only what everybody may see.
 */
export function withTenantContext(
  handler: (request: Request, context: PublicTenantContext) => Promise<Response>,
): RouteHandler {
  const named = nameAsSent(handler)
  return (request, route) =>
    answer(request, async (facts, trace) => {
      const tenant = await chooseTenant(readTenantSources(request, null))
      const actor: Actor = { id: 'visitor', kind: 'customer', permissions: [], ...traceOf(facts) }
      note(trace, tenant, actor)
      requireWritable(tenant, request.method)
      const params = await readParams(route)
      const context = { tenantId: tenant.id, tenant, params, requestId: facts.requestId, actor }
      return runInTenant(tenant, actor, () => named(request, context))
    })
}
