import { deleteInSteps } from '@/libs/jobs/delete-in-steps'
import { eachTenant } from '@/libs/jobs/each-tenant'

const SWEEP = `delete from rate_limit_windows w
  where w.tenant_id = (select app.tenant_id()) and (w.namespace, w.identifier, w.duration_ms) in (
    select o.namespace, o.identifier, o.duration_ms from rate_limit_windows o
    where o.tenant_id = (select app.tenant_id()) and o.stale_at < now() order by o.stale_at limit $1 for update skip locked)
  returning 1 as gone`

/** Deletes the windows of shared rate limits that have passed. */
export async function sweepWindows(signal: AbortSignal): Promise<{ windows: number }> {
  let windows = 0
  const due = 'select tenant_id from app.tenants_with_stale_windows($1)'
  await eachTenant({ job: 'sweep-rate-limits', due, signal }, async (tenantId) => {
    windows += await deleteInSteps(tenantId, SWEEP, signal)
  })
  return { windows }
}
