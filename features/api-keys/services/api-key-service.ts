import { sql } from 'kysely'
import { TenantAnalytics } from '@/libs/analytics/tenant-analytics'
import { cutPage, type Page, readCursor } from '@/libs/api-utils/page'
import { createKey, forgetApiKeys, hashKey, type KeyMode } from '@/libs/auth/api-key'
import { containsPattern } from '@/libs/db/like-pattern'
import { registryDb } from '@/libs/db/tenant-db'
import { AppError, notFound } from '@/libs/errors'
import { isUuid, newId } from '@/libs/ids'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { type ApiKeyInput, type ApiKeyListQuery, GRACES, type Grace } from '../schema'

const COLUMNS = [
  'id',
  'name',
  'prefix',
  'last_four',
  'permissions',
  'created_by',
  'created_at',
  'expires_at',
  'last_used_at',
  'revoked_at',
  'disabled_at',
] as const

/** A key as it is shown: everything but its hash. */
export type ApiKeyRow = {
  id: string
  name: string
  prefix: string
  last_four: string
  permissions: string[]
  created_by: string
  created_at: Date
  expires_at: Date | null
  last_used_at: Date | null
  revoked_at: Date | null
  disabled_at: Date | null
}

/**
 * Makes a key with at most the creator's own permissions; its text is in the answer and nowhere else.
 * @throws AppError forbidden for a permission the creator does not hold, or when the creator is not a person.
 */
export async function createApiKey(input: ApiKeyInput): Promise<ApiKeyRow & { key: string }> {
  const actor = requireMaker(input.permissions)
  const { name, permissions, expires_in_days: days, expires_at: moment } = input
  const ends = days === null ? moment : Date.now() + days * 86_400_000
  const expires_at = ends === null ? null : new Date(ends)
  const key = await addKey({ name, permissions, expires_at, created_by: actor.id }, input.mode)
  await TenantAnalytics.trackEvent(actor.id, 'api_key_created', {
    mode: input.mode,
    permissions: input.permissions.length,
  })
  return key
}

/** A row for a new key, with its text. */
async function addKey(
  row: Pick<ApiKeyRow, 'name' | 'permissions' | 'expires_at' | 'created_by'> & { disabled_at?: Date | null },
  mode: KeyMode,
): Promise<ApiKeyRow & { key: string }> {
  const key = createKey(mode)
  const made = await registryDb()
    .insertInto('api_keys')
    .values({ ...row, id: newId(), prefix: key.slice(0, 12), last_four: key.slice(-4), key_hash: hashKey(key) })
    .returning(COLUMNS)
    .executeTakeFirstOrThrow()
  return { ...made, key }
}

/** Who makes a key with these permissions. @throws AppError forbidden when they hold one of them not, or are no person. */
function requireMaker(permissions: readonly string[]) {
  const { actor } = currentContext()
  if (actor.kind !== 'user' && actor.kind !== 'job')
    throw new AppError('forbidden', 'Only a person can make an API key.')
  const missing = permissions.filter((permission) => !actor.permissions.includes(permission))
  if (missing.length > 0) throw new AppError('forbidden', `You do not hold ${missing.join(', ')} yourself.`)
  return actor
}

/** Keys of the tenant, newest first; `status` active, disabled, expired or revoked. */
export async function listApiKeys({ cursor, limit, status, q }: ApiKeyListQuery): Promise<Page<ApiKeyRow>> {
  let query = registryDb()
    .selectFrom('api_keys')
    .select(COLUMNS)
    .orderBy('id', 'desc')
    .limit(limit + 1)
  const [before] = readCursor(cursor, isUuid)
  if (before !== null) query = query.where('id', '<', before)
  if (q) query = query.where('name', 'ilike', containsPattern(q))
  if (status === 'revoked') query = query.where('revoked_at', 'is not', null)
  else if (status) query = query.where('revoked_at', 'is', null)
  if (status === 'expired') query = query.where('expires_at', '<=', sql<Date>`now()`)
  if (status === 'disabled') query = query.where('disabled_at', 'is not', null)
  if (status === 'active') {
    query = query
      .where('disabled_at', 'is', null)
      .where((where) => where.or([where('expires_at', 'is', null), where('expires_at', '>', sql<Date>`now()`)]))
  }
  return cutPage(await query.execute(), limit, (row) => [row.id])
}

/** One key. @throws AppError not_found. */
export async function getApiKey(id: string): Promise<ApiKeyRow> {
  const row = isUuid(id)
    ? await registryDb().selectFrom('api_keys').select(COLUMNS).where('id', '=', id).executeTakeFirst()
    : undefined
  if (!row) throw notFound()
  return row
}

/** Ends a key, effective at once everywhere; ending it again changes nothing. @throws AppError not_found. */
export async function revokeApiKey(id: string): Promise<ApiKeyRow> {
  const present = await getApiKey(id)
  if (present.revoked_at) return present
  const row = await registryDb()
    .updateTable('api_keys')
    .set({ revoked_at: new Date() })
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .returning(COLUMNS)
    .executeTakeFirst()
  forgetApiKeys(currentContext().tenantId)
  return row ?? getApiKey(id)
}

/**
 * Disables a key or enables it again, effective at once everywhere; what it is already, it stays. @throws AppError
 * not_found, conflict when it was revoked.
 */
export async function switchApiKey(id: string, on: boolean): Promise<ApiKeyRow> {
  await getApiKey(id)
  const row = await registryDb()
    .updateTable('api_keys')
    .set({ disabled_at: on ? null : new Date() })
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .where('disabled_at', on ? 'is not' : 'is', null)
    .returning(COLUMNS)
    .executeTakeFirst()
  forgetApiKeys(currentContext().tenantId)
  if (row) return row
  const present = await getApiKey(id)
  if (present.revoked_at) throw new AppError('conflict', 'This key was revoked; that cannot be undone.')
  return present
}

/**
 * Gives a key a successor: a new secret, the same name and rights, disabled if the old one is, and a life as long as that
 * was given. The old key works for the grace, never past its own end; without one it is revoked at once. Whoever rotates
 * is the maker of the new key. @throws AppError not_found, conflict when the old one is dead or was rotated before, forbidden as createApiKey.
 */
export async function rotateApiKey(id: string, grace: Grace): Promise<ApiKeyRow & { key: string }> {
  await getApiKey(id)
  const old = await registryDb()
    .selectFrom('api_keys')
    .select([...COLUMNS, 'succeeded_by'])
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirstOrThrow()
  const now = Date.now()
  if (old.revoked_at || (old.expires_at && old.expires_at.getTime() <= now))
    throw new AppError('conflict', 'This key is dead; make a new one.')
  if (old.succeeded_by) throw new AppError('conflict', 'This key was rotated before; rotate its successor.')
  const actor = requireMaker(old.permissions)
  const life = old.expires_at ? old.expires_at.getTime() - old.created_at.getTime() : null
  const expires_at = life === null ? null : new Date(now + life)
  const successor = await addKey(
    { name: old.name, permissions: old.permissions, expires_at, disabled_at: old.disabled_at, created_by: actor.id },
    old.prefix.startsWith('hf_test_') ? 'test' : 'live',
  )
  const last = new Date(Math.min(now + GRACES[grace] * 1_000, old.expires_at?.getTime() ?? Number.MAX_SAFE_INTEGER))
  await registryDb()
    .updateTable('api_keys')
    .set({ succeeded_by: successor.id, ...(grace === '0' ? { revoked_at: new Date(now) } : { expires_at: last }) })
    .where('id', '=', id)
    .execute()
  forgetApiKeys(currentContext().tenantId)
  return successor
}
