import { sql } from 'kysely'
import { cutPositioned, isCursorMoment, type Page, readCursor } from '@/libs/api-utils/page'
import type { MemberRole } from '@/libs/auth/permissions'
import { containsPattern } from '@/libs/db/like-pattern'
import { registryDb, tenantQuery } from '@/libs/db/tenant-db'
import { AppError, notFound } from '@/libs/errors'
import { isUuid } from '@/libs/ids'
import { currentContext } from '@/libs/tenancy/tenant-context'
import type { MemberListQuery } from '../schema'

const COLUMNS = ['id', 'user_id', 'email', 'name', 'role', 'created_at', 'updated_at'] as const

export type MemberRow = {
  id: string
  user_id: string
  email: string
  name: string
  role: string
  created_at: Date
  updated_at: Date
}

/** How far a role reaches: nobody gives, changes or takes what is above their own. */
const RANK: Record<string, number> = { owner: 3, admin: 2, member: 1, compliance: 1 }
const rankOf = (role: string): number => RANK[role] ?? 0

/** The people of the tenant in the order they came. */
export async function listMembers({ q, role, cursor, limit }: MemberListQuery): Promise<Page<MemberRow>> {
  let query = registryDb()
    .selectFrom('memberships')
    .select([...COLUMNS, sql<string>`created_at::text`.as('position')])
    .orderBy('created_at')
    .orderBy('id')
    .limit(limit + 1)
  if (role) query = query.where('role', '=', role)
  if (q) {
    const pattern = containsPattern(q)
    query = query.where((where) => where.or([where('email', 'ilike', pattern), where('name', 'ilike', pattern)]))
  }
  const [position, id] = readCursor(cursor, isCursorMoment, isUuid)
  if (id !== null) query = query.where(sql<boolean>`(created_at, id) > (${position}::timestamptz, ${id}::uuid)`)
  return cutPositioned(await query.execute(), limit)
}

/** Reads a member; changes of a tenant's people wait for each other, so that two at once cannot leave it without an owner. */
async function lockMember(id: string): Promise<{ member: MemberRow; owners: number }> {
  if (!isUuid(id)) throw notFound()
  await tenantQuery(`select pg_advisory_xact_lock(hashtextextended('members of ' || $1, 0))`, [
    currentContext().tenantId,
  ])
  const rows = await registryDb()
    .selectFrom('memberships')
    .select(COLUMNS)
    .where((where) => where.or([where('id', '=', id), where('role', '=', 'owner')]))
    .execute()
  const member = rows.find((row) => row.id === id.toLowerCase())
  if (!member) throw notFound()
  return { member, owners: rows.filter((row) => row.role === 'owner').length }
}

function requireRank(role: string, member: MemberRow): void {
  if (rankOf(role) < 2) throw new AppError('forbidden', 'You may not change the people of this tenant.')
  if (rankOf(member.role) > rankOf(role)) throw new AppError('forbidden', 'Their role is above yours.')
}

function lastOwner(): AppError {
  return new AppError('conflict', 'A tenant needs an owner. Make somebody else an owner first.', {
    extra: { reason: 'last_owner' },
  })
}

/**
 * Gives a member another role; it holds from their next request.
 * @throws AppError not_found, forbidden above one's own role, conflict for the last owner.
 */
export async function changeMemberRole(id: string, role: MemberRole, ownRole: string): Promise<MemberRow> {
  const { member, owners } = await lockMember(id)
  requireRank(ownRole, member)
  if (rankOf(role) > rankOf(ownRole)) throw new AppError('forbidden', 'You cannot give a role above your own.')
  if (member.role === role) return member
  if (member.role === 'owner' && owners === 1) throw lastOwner()
  const row = await registryDb()
    .updateTable('memberships')
    .set({ role, updated_at: sql<Date>`now()` })
    .where('id', '=', id)
    .returning(COLUMNS)
    .executeTakeFirst()
  if (!row) throw notFound()
  return row
}

/**
 * Takes a member out of the tenant, or lets one leave; their keys end with it, from the next request.
 * @throws AppError not_found, forbidden above one's own role, conflict for the last owner.
 */
export async function removeMember(id: string, ownRole: string): Promise<void> {
  const { member, owners } = await lockMember(id)
  if (member.user_id !== currentContext().actor.id) requireRank(ownRole, member)
  if (member.role === 'owner' && owners === 1) throw lastOwner()
  await registryDb().deleteFrom('memberships').where('id', '=', id).execute()
}
