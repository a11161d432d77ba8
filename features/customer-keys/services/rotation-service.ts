import { sql } from 'kysely'
import { createKeyText, hashKey } from '@/libs/auth/api-key'
import { tenantDb, tenantQuery } from '@/libs/db/tenant-db'
import { AppError } from '@/libs/errors'
import { newId } from '@/libs/ids'
import { currentContext } from '@/libs/tenancy/tenant-context'
import type { CustomerKeyRow } from './customer-key-row'
import { getCustomerKey, requireLivingKey } from './customer-key-service'

const LOCK = 'select 1 from customer_keys where tenant_id = (select app.tenant_id()) and id = $1 for update'
const COPY = `insert into customer_keys (tenant_id, id, name, prefix, last_four, key_hash, api_id, external_id, meta, permissions, roles,
    ratelimits, enabled, remaining, refill_amount, refill_interval, refill_day, refilled_on, created_by, expires_at)
  select k.tenant_id, $2, k.name, $3, $4, $5, k.api_id, k.external_id, k.meta, k.permissions, k.roles,
    k.ratelimits, k.enabled, k.remaining, k.refill_amount, k.refill_interval, k.refill_day, k.refilled_on, $6, k.expires_at
  from customer_keys k where k.tenant_id = (select app.tenant_id()) and k.id = $1`

/**
 * Gives a key a successor with a new secret and everything else as it was, its end included. The old one still works for
 * `graceMs`, never past its own end, and spends the same credits and limits meanwhile; with 0 it is dead at once.
 * @throws AppError not_found, conflict when it was revoked or has a successor already.
 */
export async function rotateCustomerKey(id: string, graceMs: number): Promise<CustomerKeyRow & { key: string }> {
  await requireLivingKey(id)
  // A verification may be spending its credits, and two rotations at once would give it two successors.
  await tenantQuery(LOCK, [id])
  const { prefix: shown, succeeded_by } = await requireLivingKey(id)
  if (succeeded_by) throw new AppError('conflict', `This key was rotated before; its successor is ${succeeded_by}.`)
  const prefix = shown.slice(0, -5)
  const key = createKeyText(prefix)
  const successor = newId()
  await tenantQuery(COPY, [
    id,
    successor,
    key.slice(0, prefix.length + 5),
    key.slice(-4),
    hashKey(key),
    currentContext().actor.id,
  ])
  const now = sql<Date>`clock_timestamp()`
  const last = sql<Date>`least(expires_at, clock_timestamp() + make_interval(secs => ${graceMs / 1_000}))`
  await tenantDb()
    .updateTable('customer_keys')
    .set({
      succeeded_by: successor,
      remaining: null,
      updated_at: now,
      ...(graceMs === 0 ? { revoked_at: now } : { expires_at: last }),
    })
    .where('id', '=', id)
    .execute()
  // Those it succeeded itself share the account of the newest.
  await tenantDb()
    .updateTable('customer_keys')
    .set({ succeeded_by: successor, updated_at: now })
    .where('succeeded_by', '=', id)
    .where('revoked_at', 'is', null)
    .execute()
  return { ...(await getCustomerKey(successor)), key }
}
