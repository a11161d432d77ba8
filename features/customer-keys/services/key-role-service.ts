import { sql } from 'kysely'
import { containsPattern } from '@/libs/db/like-pattern'
import { tenantDb, tenantQuery } from '@/libs/db/tenant-db'
import { AppError, notFound } from '@/libs/errors'
import { isUuid, newId } from '@/libs/ids'
import { currentContext } from '@/libs/tenancy/tenant-context'

/** A role that was written down: whoever has it holds its permissions. */
export type KeyRole = { id: string; name: string; description: string; permissions: string[]; created_at: Date }

const COLUMNS = ['id', 'name', 'description', 'permissions', 'created_at'] as const
const select = () => tenantDb().selectFrom('customer_key_roles').select(COLUMNS)

/** Writes a role down. @throws AppError conflict when the name is taken. */
export async function createKeyRole(role: {
  name: string
  description: string
  permissions: string[]
}): Promise<KeyRole> {
  const row = await tenantDb()
    .insertInto('customer_key_roles')
    .values({ id: newId(), ...role })
    .onConflict((conflict) => conflict.columns(['tenant_id', 'name']).doNothing())
    .returning(COLUMNS)
    .executeTakeFirst()
  if (!row) throw new AppError('conflict', `A role with the name ${role.name} exists already.`)
  return row
}

/** One role by id or name. @throws AppError not_found. */
export async function getKeyRole(reference: string): Promise<KeyRole> {
  const row = await select()
    .where(isUuid(reference) ? 'id' : 'name', '=', reference)
    .executeTakeFirst()
  if (!row) throw notFound()
  return row
}

/** Roles of these names, by name. */
export async function findKeyRoles(names: readonly string[]): Promise<Map<string, KeyRole>> {
  if (names.length === 0) return new Map()
  const rows = await select()
    .where('name', 'in', [...names])
    .execute()
  return new Map(rows.map((row) => [row.name, row]))
}

/** Roles by name, after one of them. */
export async function listKeyRoles(query: {
  after: string | null
  limit: number
  search: string | null
}): Promise<KeyRole[]> {
  let roles = select().orderBy('name').limit(query.limit)
  if (query.after !== null) roles = roles.where('name', '>', query.after)
  if (query.search) {
    const pattern = containsPattern(query.search)
    roles = roles.where((where) => where.or([where('name', 'ilike', pattern), where('description', 'ilike', pattern)]))
  }
  return roles.execute()
}

/** Changes what a role permits, for every key that has it, within a tenth of a second everywhere. @throws AppError not_found. */
export async function setRolePermissions(reference: string, permissions: string[]): Promise<KeyRole> {
  const { id } = await getKeyRole(reference)
  await tenantDb()
    .updateTable('customer_key_roles')
    .set({ permissions, updated_at: sql<Date>`clock_timestamp()` })
    .where('id', '=', id)
    .execute()
  return getKeyRole(id)
}

/** Ends a role: no key has it any more. @throws AppError not_found. */
export async function deleteKeyRole(reference: string): Promise<void> {
  const { id, name } = await getKeyRole(reference)
  await tenantDb().deleteFrom('customer_key_roles').where('id', '=', id).execute()
  await tenantQuery(
    `update customer_keys set roles = array_remove(roles, $2), updated_at = clock_timestamp()
     where tenant_id = $1 and roles @> array[$2] and revoked_at is null`,
    [currentContext().tenantId, name],
  )
}

/** Takes a permission from every key and role. */
export async function forgetPermission(permission: string): Promise<void> {
  const { tenantId } = currentContext()
  await tenantQuery(
    `update customer_keys set permissions = array_remove(permissions, $2), updated_at = clock_timestamp()
     where tenant_id = $1 and permissions @> array[$2] and revoked_at is null`,
    [tenantId, permission],
  )
  await tenantQuery(
    `update customer_key_roles set permissions = array_remove(permissions, $2), updated_at = clock_timestamp()
     where tenant_id = $1 and permissions @> array[$2]`,
    [tenantId, permission],
  )
}
