import { serverPool } from '@/libs/db/pools'
import { tenantQuery } from '@/libs/db/tenant-db'
import { notePassedOver } from '@/libs/jobs/passed-over'
import { jobActor, runInTenant } from '@/libs/tenancy/tenant-context'

const SWEEPER = jobActor('sweeper')
const ROWS_AT_ONCE = 1_000
const SWEEP = `delete from rate_limit_windows w
  where w.tenant_id = (select app.tenant_id()) and (w.namespace, w.identifier, w.duration_ms) in (
    select o.namespace, o.identifier, o.duration_ms from rate_limit_windows o
    where o.tenant_id = (select app.tenant_id()) and o.stale_at < now() order by o.stale_at limit $1 for update skip locked)
  returning 1 as gone`

/** Deletes the windows of shared rate limits that have passed, tenant by tenant, a thousand a transaction. */
export async function sweepWindows(signal: AbortSignal): Promise<{ windows: number }> {
  let windows = 0
  const passed = new Set<string>()
  for (;;) {
    const { rows } = await serverPool().query<{ tenant_id: string }>(
      'select tenant_id from app.tenants_with_stale_windows($1)',
      [200 + passed.size],
    )
    const tenants = rows.map(({ tenant_id }) => tenant_id).filter((id) => !passed.has(id))
    if (tenants.length === 0) return { windows }
    for (const tenantId of tenants) {
      passed.add(tenantId)
      if (signal.aborted) return { windows }
      windows += await sweep(tenantId, signal).catch((error: Error) => {
        notePassedOver('sweep-rate-limits', tenantId, error)
        return 0
      })
    }
  }
}

async function sweep(tenantId: string, signal: AbortSignal): Promise<number> {
  let total = 0
  for (;;) {
    const gone = await runInTenant(tenantId, SWEEPER, () => tenantQuery(SWEEP, [ROWS_AT_ONCE]))
    total += gone.length
    if (gone.length < ROWS_AT_ONCE || signal.aborted) return total
  }
}
