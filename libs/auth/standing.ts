import { serverQuery } from '@/libs/db/server-query'
import type { TenantStatus } from '@/libs/tenancy/tenant-status'
import type { MemberRole } from './permissions'

export type OperatorRole = 'super_admin' | 'support'

const NO_TENANT = '00000000-0000-0000-0000-000000000000'

/** What a user is to a tenant, and to the platform. */
type Standing = { role: MemberRole | null; customer_id: string | null; operator_role: OperatorRole | null }

/** What a user is to a tenant (null: nothing, or none was asked about) and to the platform, at this moment. */
export async function findStanding(userId: string, tenantId: string | null): Promise<Standing> {
  const [row] = await serverQuery<Standing>('select role, customer_id, operator_role from app.find_access($1, $2)', [
    tenantId ?? NO_TENANT,
    userId,
  ])
  return row ?? { role: null, customer_id: null, operator_role: null }
}

/** The role of a user among the platform's staff, or null. */
export async function findOperatorRole(userId: string): Promise<OperatorRole | null> {
  return (await findStanding(userId, null)).operator_role
}

/** A tenant of a user, with the user's role in it. */
export type UserTenant = {
  id: string
  slug: string
  name: string
  status: TenantStatus
  plan_id: string
  role: MemberRole
  created_at: Date
}

/** The tenants a user is a member of, by name; deleted ones are left out. */
export function listUserTenants(userId: string): Promise<UserTenant[]> {
  return serverQuery<UserTenant>(
    'select id, slug, name, status, plan_id, role, created_at from app.list_user_tenants($1)',
    [userId],
  )
}
