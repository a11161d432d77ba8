import { cutPage, isAnyText, isCursorMoment, type Page, readCursor } from '@/libs/api-utils/page'
import { findOperatorRole, listUserTenants, type OperatorRole, type UserTenant } from '@/libs/auth/standing'
import { serverQuery } from '@/libs/db/server-query'
import { isUuid } from '@/libs/ids'
import type { OwnTenantListQuery } from '../schema'

type Sort = OwnTenantListQuery['sort']
type Position = readonly [text: string, id: string]

/** Where a tenant stands in a list: texts that compare as the list is sorted, the id last. */
function positionOf({ created_at, name, id }: UserTenant, sort: Sort): Position {
  return [sort === 'name' ? name : created_at.toISOString(), id]
}

function compare([one, oneId]: Position, [other, otherId]: Position, sort: Sort): number {
  const order = one.localeCompare(other, 'en') || Number(oneId > otherId) - Number(oneId < otherId)
  return sort === 'newest' ? -order : order
}

/** The plan of a name, which may be one that older systems call it by. */
async function toPlanId(name: string): Promise<string> {
  const [row] = await serverQuery<{ plan_id: string }>('select plan_id from plan_aliases where alias = $1', [name])
  return row?.plan_id ?? name
}

/** The tenants a user belongs to, searched, filtered and sorted; a user has few, so the pages are cut here. */
export async function listOwnTenants(userId: string, query: OwnTenantListQuery): Promise<Page<UserTenant>> {
  const { q, status, sort, cursor, limit } = query
  const plan = query.plan && (await toPlanId(query.plan))
  const text = q?.toLowerCase()
  const [after, last] = readCursor(cursor, sort === 'name' ? isAnyText : isCursorMoment, isUuid)
  const rows = (await listUserTenants(userId))
    .filter((row) => !text || row.name.toLowerCase().includes(text) || row.slug.includes(text))
    .filter((row) => (!status || row.status === status) && (!plan || row.plan_id === plan))
    .filter((row) => last === null || compare(positionOf(row, sort), [after, last], sort) > 0)
    .sort((one, other) => compare(positionOf(one, sort), positionOf(other, sort), sort))
  return cutPage(rows, limit, (row) => positionOf(row, sort))
}

/** Who a user is: operator or not, and what in which tenants. */
export async function getStanding(userId: string): Promise<{ operator: OperatorRole | null; tenants: UserTenant[] }> {
  const [operator, tenants] = await Promise.all([findOperatorRole(userId), listUserTenants(userId)])
  return { operator, tenants }
}
