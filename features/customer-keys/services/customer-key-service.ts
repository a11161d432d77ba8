import { sql } from 'kysely'
import { cutPage, type Page, readCursor } from '@/libs/api-utils/page'
import { createKeyText, hashKey } from '@/libs/auth/api-key'
import { containsPattern } from '@/libs/db/like-pattern'
import { tenantDb } from '@/libs/db/tenant-db'
import { AppError, invalidInput, notFound } from '@/libs/errors'
import { isUuid, newId } from '@/libs/ids'
import { currentContext } from '@/libs/tenancy/tenant-context'
import type { CreditsInput, CustomerKeyInput, CustomerKeyListQuery, CustomerKeyPatch } from '../schema'
import { type CustomerKeyRow, creditsOf, selectKeys } from './customer-key-row'

const json = (value: unknown) => sql<never>`${JSON.stringify(value)}::jsonb`

/** Columns of a refill; its first period has begun, so that the credits given now are not raised before the next. */
function refillColumns(refill: CustomerKeyInput['refill']) {
  if (!refill) return { refill_amount: null, refill_interval: null, refill_day: null, refilled_on: null }
  const day = refill.interval === 'monthly' ? (refill.refill_day ?? 1) : null
  return {
    refill_amount: refill.amount,
    refill_interval: refill.interval,
    refill_day: day,
    refilled_on: sql<Date>`app.refill_start(${refill.interval}, ${day})`,
  }
}

/** With credits that are set or changed, the refill of the present period is in them, or of the past. */
const REFILLED = {
  refilled_on: sql<Date | null>`case when refill_amount is not null then app.refill_start(refill_interval, refill_day) end`,
}

/** Makes a key for a customer's program; its text is in the answer and nowhere else. */
export async function createCustomerKey(input: CustomerKeyInput): Promise<CustomerKeyRow & { key: string }> {
  const { prefix, refill, meta, ratelimits, expires_at, ...fields } = input
  const key = createKeyText(prefix)
  const id = newId()
  await tenantDb()
    .insertInto('customer_keys')
    .values({
      id,
      ...fields,
      ...refillColumns(refill),
      prefix: key.slice(0, prefix.length + 5),
      last_four: key.slice(-4),
      key_hash: hashKey(key),
      meta: json(meta),
      ratelimits: json(ratelimits),
      expires_at: expires_at === null ? null : new Date(expires_at),
      created_by: currentContext().actor.id,
    })
    .execute()
  return { ...(await getCustomerKey(id)), key }
}

/** Keys of customers, newest first; `status` active, disabled, expired or revoked, `living` all that were not revoked. */
export async function listCustomerKeys(
  query: Omit<CustomerKeyListQuery, 'status'> & { status?: CustomerKeyListQuery['status'] | 'living' },
): Promise<Page<CustomerKeyRow>> {
  const { cursor, limit, status, external_id, api_id, q } = query
  let keys = selectKeys()
    .orderBy('k.id', 'desc')
    .limit(limit + 1)
  const [before] = readCursor(cursor, isUuid)
  if (before !== null) keys = keys.where('k.id', '<', before)
  if (external_id !== undefined) keys = keys.where('k.external_id', '=', external_id)
  if (api_id !== undefined) keys = keys.where('k.api_id', '=', api_id)
  if (q) {
    const pattern = containsPattern(q)
    keys = keys.where((where) =>
      where.or([where('k.name', 'ilike', pattern), where('k.external_id', 'ilike', pattern)]),
    )
  }
  if (status === 'revoked') keys = keys.where('k.revoked_at', 'is not', null)
  else if (status) keys = keys.where('k.revoked_at', 'is', null)
  if (status === 'expired') keys = keys.where('k.expires_at', '<=', sql<Date>`now()`)
  if (status === 'disabled') keys = keys.where('k.enabled', '=', false)
  if (status === 'active') {
    keys = keys
      .where('k.enabled', '=', true)
      .where((where) => where.or([where('k.expires_at', 'is', null), where('k.expires_at', '>', sql<Date>`now()`)]))
  }
  return cutPage<CustomerKeyRow>(await keys.execute(), limit, (row) => [row.id])
}

/** One key, by its id. @throws AppError not_found. */
export async function getCustomerKey(id: string): Promise<CustomerKeyRow> {
  const row = isUuid(id) ? await selectKeys().where('k.id', '=', id).executeTakeFirst() : undefined
  if (!row) throw notFound()
  return row
}

/** The key of this text, or null. */
export async function findKeyByText(text: string): Promise<CustomerKeyRow | null> {
  const row = await selectKeys().where('k.key_hash', '=', hashKey(text)).executeTakeFirst()
  return row ?? null
}

/** A key that still lives. @throws AppError not_found, conflict when it was revoked. */
export async function requireLivingKey(id: string): Promise<CustomerKeyRow> {
  const row = await getCustomerKey(id)
  if (row.revoked_at) throw new AppError('conflict', 'This key was revoked; that cannot be undone.')
  return row
}

/**
 * Changes a key, effective within a tenth of a second everywhere. Credits of a key that was rotated are those of its
 * successor and changed there. @throws AppError not_found, conflict when it was revoked, invalid_input.
 */
export async function updateCustomerKey(id: string, patch: CustomerKeyPatch): Promise<CustomerKeyRow> {
  const present = await requireLivingKey(id)
  const { refill, meta, ratelimits, expires_at, remaining, ...fields } = patch
  if ((remaining !== undefined || refill !== undefined) && present.succeeded_by) {
    throw new AppError('conflict', `This key was rotated; its credits are those of ${present.succeeded_by}.`)
  }
  const left = remaining === undefined ? present.remaining : remaining
  if (left === null && refill) {
    throw invalidInput('/refill', 'needs credits that are limited')
  }
  await tenantDb()
    .updateTable('customer_keys')
    .set({
      ...fields,
      ...(meta === undefined ? {} : { meta: json(meta) }),
      ...(ratelimits === undefined ? {} : { ratelimits: json(ratelimits) }),
      ...(expires_at === undefined ? {} : { expires_at: expires_at === null ? null : new Date(expires_at) }),
      ...(remaining === undefined && refill === undefined
        ? {}
        : { remaining: remaining ?? creditsOf('customer_keys'), ...REFILLED }),
      // Without credits there is nothing to refill.
      ...(remaining === null
        ? { remaining, ...refillColumns(null) }
        : refill === undefined
          ? {}
          : refillColumns(refill)),
      updated_at: sql<Date>`clock_timestamp()`,
    })
    .where('id', '=', id)
    .execute()
  return getCustomerKey(id)
}

/**
 * Sets, adds or takes credits, exactly, whatever is verified meanwhile; taking stops at nothing left. The credits of a
 * rotated key are those of its successor. @throws AppError not_found, conflict when it was revoked, invalid_input
 * to add to or take from a key without limit.
 */
export async function changeCredits(id: string, { operation, value }: CreditsInput): Promise<CustomerKeyRow> {
  const key = await requireLivingKey(id)
  const account = key.succeeded_by ?? id
  const unlimited = operation === 'set' && value === null
  const left = creditsOf('customer_keys')
  const row = await tenantDb()
    .updateTable('customer_keys')
    .set({
      remaining:
        operation === 'set'
          ? value
          : operation === 'increment'
            ? sql<number>`least(${left} + ${value}::bigint, ${Number.MAX_SAFE_INTEGER}::bigint)`
            : sql<number>`greatest(${left} - ${value}::bigint, 0)`,
      ...(unlimited ? refillColumns(null) : REFILLED),
      updated_at: sql<Date>`clock_timestamp()`,
    })
    .where('id', '=', account)
    .where((where) => (operation === 'set' ? where.lit(true) : where('remaining', 'is not', null)))
    .returning('id')
    .executeTakeFirst()
  if (!row) {
    throw new AppError('invalid_input', 'This key has no limit of credits; set one first.', {
      errors: [{ pointer: '/operation', detail: 'needs credits that are limited' }],
    })
  }
  return getCustomerKey(id)
}

/** Ends a key, within a tenth of a second everywhere; ending it again changes nothing. @throws AppError not_found. */
export async function revokeCustomerKey(id: string): Promise<CustomerKeyRow> {
  const present = await getCustomerKey(id)
  if (present.revoked_at) return present
  await tenantDb()
    .updateTable('customer_keys')
    .set({ revoked_at: sql<Date>`clock_timestamp()`, updated_at: sql<Date>`clock_timestamp()` })
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .execute()
  return getCustomerKey(id)
}

/** Ends all keys of an API that live, within a tenth of a second everywhere; gives how many. */
export async function revokeKeysOfApi(apiId: string): Promise<number> {
  const { numUpdatedRows } = await tenantDb()
    .updateTable('customer_keys')
    .set({ revoked_at: sql<Date>`clock_timestamp()`, updated_at: sql<Date>`clock_timestamp()` })
    .where('api_id', '=', apiId)
    .where('revoked_at', 'is', null)
    .executeTakeFirst()
  return Number(numUpdatedRows)
}
