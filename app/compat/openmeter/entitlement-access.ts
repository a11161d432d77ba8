import type { CustomerRow } from '@/features/customers/services/customer-service'
import type { Entitlement } from '@/features/entitlements/services/entitlement-service'
import type { RouteHandler } from '@/libs/api-utils/route-handler'
import type { TenantRequestContext } from '@/libs/api-utils/tenant-api-wrapper'
import { notFound } from '@/libs/errors'
import { ensureSubject, getNamedCustomer } from './customer-names'
import { type Known, pickEntitlement, readKnown, type Version } from './entitlement-shape'
import { openMeterRoute } from './openmeter-route'

type Permission = 'customers:read' | 'customers:write'
export type CustomerHandler = (
  request: Request,
  customer: CustomerRow,
  context: TenantRequestContext,
) => Promise<Response>
export type EntitlementHandler = (
  request: Request,
  at: { entitlement: Entitlement; known: Known; version: Version },
  context: TenantRequestContext,
) => Promise<Response>

/** A route below a customer, by id, key or subject; `make` has a subject that is not there made. */
export function ofCustomer(permission: Permission, handler: CustomerHandler, make = false): RouteHandler {
  return openMeterRoute(
    async (request, context) => {
      const { customer, subject } = context.params
      const row =
        make && subject !== undefined ? await ensureSubject(subject) : await getNamedCustomer(customer ?? subject ?? '')
      return handler(request, row, context)
    },
    { permission },
  )
}

/** A route below one entitlement of a customer. */
export function ofEntitlement(permission: Permission, version: Version, handler: EntitlementHandler): RouteHandler {
  return ofCustomer(permission, async (request, customer, context) => {
    const known = await readKnown(customer, context)
    const entitlement = await pickEntitlement(known.entitlements, context.params.entitlement ?? '')
    if (!entitlement) throw notFound()
    return handler(request, { entitlement, known, version }, context)
  })
}

/** Both ways to a customer: the handlers of each version, below its own path. */
export function inBothVersions(
  method: string,
  path: string,
  handlerOf: (version: Version) => RouteHandler,
): (readonly [string, string, RouteHandler])[] {
  return [
    [method, `v1/subjects/{subject}/entitlements${path}`, handlerOf(1)],
    [method, `v2/customers/{customer}/entitlements${path}`, handlerOf(2)],
  ]
}
