import { readCaller } from '@/libs/auth/credentials'
import { findStanding } from '@/libs/auth/standing'
import { isUuid } from '@/libs/ids'
import { PATH_TENANT_HEADER, readTenantSegment } from '@/libs/tenancy/host'
import { findTenantRouting } from '@/libs/tenancy/resolve-tenant'
import { type RouteHandler, readParams } from './route-handler'
import { isSafeMethod } from './same-origin'

/** Hands `{id}` of `/tenants/{id}` to a route as the tenant the path names. */
export function addressTenant(handler: RouteHandler): RouteHandler {
  return async (request, route) => {
    const { id } = await readParams(route)
    const headers = new Headers(request.headers)
    if (id) headers.set(PATH_TENANT_HEADER, readTenantSegment(id))
    // From its parts: the request Next hands over is a proxy, and a Request cannot be made from one.
    const { url, method, body, signal } = request
    return handler(new Request(url, { method, headers, signal, ...(body ? { body, duplex: 'half' } : {}) }), route)
  }
}

/**
 * `/tenants/{id}` means two things: to a member, or a key, of that tenant it is their own; to the platform's staff any
 * tenant. Support may not write as staff, so where it is a member as well its writes are those of a member.
 */
export function forStaffOrTenant(staff: RouteHandler, tenant: RouteHandler): RouteHandler {
  const addressed = addressTenant(tenant)
  return async (request, route) => {
    const { id = '' } = await readParams(route)
    return (await isStaff(request, id)) ? staff(request, route) : addressed(request, route)
  }
}

/** Whatever goes wrong here is said by the tenant's route, which asks the same again. */
async function isStaff(request: Request, id: string): Promise<boolean> {
  try {
    const caller = await readCaller(request, { cached: false })
    if (caller?.kind !== 'user') return false
    const named = id === 'current' ? null : isUuid(id) ? { id: id.toLowerCase() } : { slug: id.toLowerCase() }
    const tenant = named && (await findTenantRouting(named))
    const { role, operator_role } = await findStanding(caller.user.id, tenant?.id ?? null)
    if (operator_role === null || id === 'current') return false
    return operator_role === 'super_admin' || role === null || isSafeMethod(request.method)
  } catch {
    return false
  }
}
