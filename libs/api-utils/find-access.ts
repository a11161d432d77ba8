import type { ApiKey } from '@/libs/auth/api-key'
import type { Caller } from '@/libs/auth/credentials'
import { keyPermissions, type MemberRole, type Permission, ROLE_PERMISSIONS } from '@/libs/auth/permissions'
import { findStanding } from '@/libs/auth/standing'
import { notFound } from '@/libs/errors'
import type { TenantRouting } from '@/libs/tenancy/resolve-tenant'
import type { Actor } from '@/libs/tenancy/tenant-context'
import { type RequestFacts, traceOf } from './request-facts'

/** What a caller is to a tenant. */
export type Access = {
  user: { id: string; email: string }
  role: MemberRole | 'customer' | 'api_key'
  customerId: string | null
  actor: Actor
}

const grants = new WeakMap<ApiKey, Permission[]>()

/** What a key may do, worked out once for each time it is read. */
function permissionsOf(key: ApiKey): Permission[] {
  const known = grants.get(key)
  if (known) return known
  const permissions = keyPermissions(key.permissions, key.creator_role)
  grants.set(key, permissions)
  return permissions
}

/**
 * What a caller may do in a tenant at this moment; read anew for every session request, so that a removal or a change of
 * role holds from the next one. On a portal's own host a customer comes before a member, elsewhere the other way round.
 * @throws AppError not_found when the caller is nothing to the tenant: the same answer as for a tenant that is not there.
 */
export async function findAccess(
  caller: Caller,
  tenant: TenantRouting,
  facts: RequestFacts,
  onPortal: boolean,
): Promise<Access> {
  const trace = traceOf(facts)
  if (caller.kind === 'api_key') {
    const { key } = caller
    const permissions = permissionsOf(key)
    return {
      user: { id: key.id, email: '' },
      role: 'api_key',
      customerId: null,
      actor: { id: key.id, kind: 'api_key', permissions, label: key.name, ...trace },
    }
  }
  const { role, customer_id } = await findStanding(caller.user.id, tenant.id)
  const base = { id: caller.user.id, label: caller.user.email, ...trace }
  if (role && !(onPortal && customer_id)) {
    return {
      user: caller.user,
      role,
      customerId: null,
      actor: { ...base, kind: 'user', permissions: ROLE_PERMISSIONS[role] },
    }
  }
  if (customer_id) {
    return {
      user: caller.user,
      role: 'customer',
      customerId: customer_id,
      actor: { ...base, kind: 'customer', permissions: ROLE_PERMISSIONS.customer, customer_id },
    }
  }
  throw notFound()
}

/** Whether an actor holds one of the permissions a route asks for; without any, whoever works for the tenant may enter. */
export function isAllowed(access: Access, asked: Permission | readonly Permission[] | undefined): boolean {
  if (asked === undefined) return access.role !== 'customer'
  const list = typeof asked === 'string' ? [asked] : asked
  return list.some((permission) => access.actor.permissions.includes(permission))
}
