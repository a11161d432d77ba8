import { serverPool } from '@/libs/db/pools'
import { tenantQuery } from '@/libs/db/tenant-db'
import { jobActor, runInTenant } from '@/libs/tenancy/tenant-context'
import { notePassedOver } from './passed-over'

const SWEEPER = jobActor('sweeper')
const ROWS_AT_ONCE = 1_000
const TENANTS_AT_ONCE = 200

const KEYS = `delete from idempotency_keys k
  where k.tenant_id = (select app.tenant_id()) and (k.actor_id, k.key) in (
    select o.actor_id, o.key from idempotency_keys o
    where o.tenant_id = (select app.tenant_id()) and o.created_at < now() - interval '1 day' order by o.created_at limit $1)
  returning k.key`
const MESSAGES = `delete from outbox o
  where o.tenant_id = (select app.tenant_id()) and o.id in (
    select d.id from outbox d
    where d.tenant_id = (select app.tenant_id()) and d.delivered_at < now() - interval '7 days' order by d.delivered_at limit $1)
  returning o.id`

/**
 * Deletes what has served its time: idempotency keys after a day, delivered messages after seven. Tenant by tenant, a
 * thousand rows a transaction, so that nobody waits behind it. A tenant that takes no writes is left for later.
 */
export async function sweepLeftovers(signal: AbortSignal): Promise<{ idempotency_keys: number; messages: number }> {
  const swept = { idempotency_keys: 0, messages: 0 }
  const passed = new Set<string>()
  for (;;) {
    const { rows } = await serverPool().query<{ tenant_id: string }>(
      'select tenant_id from app.tenants_with_leftovers($1)',
      [TENANTS_AT_ONCE + passed.size],
    )
    const tenants = rows.map(({ tenant_id }) => tenant_id).filter((id) => !passed.has(id))
    if (tenants.length === 0) return swept
    for (const tenantId of tenants) {
      passed.add(tenantId)
      if (signal.aborted) return swept
      try {
        swept.idempotency_keys += await sweep(tenantId, KEYS, signal)
        swept.messages += await sweep(tenantId, MESSAGES, signal)
      } catch (error) {
        notePassedOver('sweep-leftovers', tenantId, error)
      }
    }
  }
}

async function sweep(tenantId: string, statement: string, signal: AbortSignal): Promise<number> {
  let total = 0
  for (;;) {
    const gone = await runInTenant(tenantId, SWEEPER, () => tenantQuery(statement, [ROWS_AT_ONCE]))
    total += gone.length
    if (gone.length < ROWS_AT_ONCE || signal.aborted) return total
  }
}
