import { decodeCursor, encodeCursor, type Page } from '@/libs/api-utils/page'
import { findOperatorRole, listUserTenants, type OperatorRole, type UserTenant } from '@/libs/auth/standing'
import type { OwnTenantListQuery } from '../schema'

const ORDER: Record<OwnTenantListQuery['sort'], (one: UserTenant, other: UserTenant) => number> = {
  newest: (one, other) => other.created_at.getTime() - one.created_at.getTime() || (one.id < other.id ? 1 : -1),
  oldest: (one, other) => one.created_at.getTime() - other.created_at.getTime() || (one.id < other.id ? -1 : 1),
  name: (one, other) => one.name.localeCompare(other.name) || (one.id < other.id ? -1 : 1),
}

/** The tenants a user belongs to, searched, filtered and sorted; a user has few, so the pages are cut here. */
export async function listOwnTenants(userId: string, query: OwnTenantListQuery): Promise<Page<UserTenant>> {
  const { q, status, plan, sort, cursor, limit } = query
  const text = q?.toLowerCase()
  const rows = (await listUserTenants(userId))
    .filter((row) => !text || row.name.toLowerCase().includes(text) || row.slug.includes(text))
    .filter((row) => (!status || row.status === status) && (!plan || row.plan_id === plan))
    .sort(ORDER[sort])
  const [after] = cursor ? decodeCursor(cursor, 1) : []
  const start = after ? rows.findIndex((row) => row.id === after) + 1 : 0
  const data = rows.slice(start, start + limit)
  const last = data.at(-1)
  return { data, next_cursor: rows.length > start + limit && last ? encodeCursor([last.id]) : null }
}

/** Who a user is: operator or not, and what in which tenants. */
export async function getStanding(userId: string): Promise<{ operator: OperatorRole | null; tenants: UserTenant[] }> {
  const [operator, tenants] = await Promise.all([findOperatorRole(userId), listUserTenants(userId)])
  return { operator, tenants }
}
