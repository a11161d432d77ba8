import { readCaller } from '@/libs/auth/credentials'
import { findOperatorRole, findStanding } from '@/libs/auth/standing'
import { isUuid } from '@/libs/ids'
import { PATH_TENANT_HEADER } from '@/libs/tenancy/host'
import { findTenantRouting } from '@/libs/tenancy/resolve-tenant'
import { type RouteHandler, readParams } from './route-handler'
import { isSafeMethod } from './same-origin'

const NAME = /^[a-z0-9-]{1,63}$/i
/** What no tenant is called: stands for whatever in a path cannot be a slug or an id, so that it is answered 404. */
const NOBODY = '-'

/** Hands `{id}` of `/tenants/{id}` to a route as the tenant the path names. */
function addressTenant(handler: RouteHandler): RouteHandler {
  return async (request, route) => {
    const { id } = await readParams(route)
    const headers = new Headers(request.headers)
    if (id) headers.set(PATH_TENANT_HEADER, NAME.test(id) ? id : NOBODY)
    const { url, method, body, signal } = request
    // Not made of the request itself: Next's own kind cannot be copied.
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
    const isStaff = await ask(request, async (userId) => {
      if (id === 'current' || !NAME.test(id)) return false
      const routing = await findTenantRouting(isUuid(id) ? { id: id.toLowerCase() } : { slug: id.toLowerCase() })
      const { role, operator_role } = await findStanding(userId, routing?.id ?? null)
      if (operator_role === null) return false
      return operator_role === 'super_admin' || role === null || isSafeMethod(request.method)
    })
    return isStaff ? staff(request, route) : addressed(request, route)
  }
}

/** One path that is a wide one to the platform's staff and a narrow one to every other user. */
export function forStaffOrUser(staff: RouteHandler, user: RouteHandler): RouteHandler {
  return async (request, route) => {
    const isStaff = await ask(request, async (userId) => (await findOperatorRole(userId)) !== null)
    return isStaff ? staff(request, route) : user(request, route)
  }
}

/** Whatever goes wrong here is said by the other route, which asks the same again. */
async function ask(request: Request, isStaff: (userId: string) => Promise<boolean>): Promise<boolean> {
  try {
    const caller = await readCaller(request, { cached: false })
    return caller?.kind === 'user' && caller.portal_of === null && (await isStaff(caller.user.id))
  } catch {
    return false
  }
}
