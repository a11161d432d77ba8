import { deleteInSteps } from './delete-in-steps'
import { eachTenant } from './each-tenant'

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

/** Deletes what has served its time: idempotency keys after a day, delivered messages after seven. */
export async function sweepLeftovers(signal: AbortSignal): Promise<{ idempotency_keys: number; messages: number }> {
  const swept = { idempotency_keys: 0, messages: 0 }
  const due = 'select tenant_id from app.tenants_with_leftovers($1)'
  await eachTenant({ job: 'sweep-leftovers', due, signal }, async (tenantId) => {
    swept.idempotency_keys += await deleteInSteps(tenantId, KEYS, signal)
    swept.messages += await deleteInSteps(tenantId, MESSAGES, signal)
  })
  return swept
}
