import { tenantQuery } from '@/libs/db/tenant-db'
import { eachTenant } from '@/libs/jobs/each-tenant'
import { findTenantRouting } from '@/libs/tenancy/resolve-tenant'
import { jobActor, runInTenant } from '@/libs/tenancy/tenant-context'

const ACTOR = jobActor('metrics')

/**
 * Measures what is a state and not a sum: how many people and customers may sign in, and what the large tables hold. Once an
 * hour for each tenant; and forgets names of sent values after 60 days. Gives how many tenants it measured.
 */
export async function measureTenants(signal: AbortSignal): Promise<number> {
  let measured = 0
  const due = 'select tenant_id from app.tenants_to_measure($1)'
  await eachTenant({ job: 'measure-tenants', due, signal }, async (tenantId) => {
    await measureTenant(tenantId)
    measured += 1
  })
  return measured
}

async function measureTenant(tenantId: string): Promise<void> {
  const routing = await findTenantRouting({ id: tenantId })
  if (!routing) return
  await runInTenant(routing, ACTOR, async () => {
    await tenantQuery(
      `select app.add_metrics($1, $2, array['users_count', 'storage_bytes'], array['', ''], array[
         (select count(*) from memberships where tenant_id = $1)
           + (select count(*) from customer_logins where tenant_id = $1 and accepted_at is not null),
         app.measure_storage($1)], array[null, null]::timestamptz[])`,
      [tenantId, routing.time_zone],
    )
    await tenantQuery(
      `delete from tenant_metric_events where tenant_id = $1 and received_at < now() - interval '60 days'`,
      [tenantId],
    )
  })
}
