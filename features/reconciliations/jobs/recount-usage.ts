import { tenantQuery } from '@/libs/db/tenant-db'
import type { OutboxSink } from '@/libs/jobs/outbox-worker'
import { log } from '@/libs/log'
import { findTenantRouting, forgetTenantRouting } from '@/libs/tenancy/resolve-tenant'
import { jobActor, runInTenant } from '@/libs/tenancy/tenant-context'

const RECOUNTER = jobActor('usage-recount')

/** Makes the running totals of a tenant anew by the days of the time zone it has now. Safe to repeat. */
async function recountUsage(tenantId: string): Promise<void> {
  forgetTenantRouting(tenantId)
  const routing = await findTenantRouting({ id: tenantId })
  if (!routing) return
  const changed = await runInTenant(routing, RECOUNTER, async () => {
    await tenantQuery("set local statement_timeout = '30min'")
    const [row] = await tenantQuery<{ changed: number }>('select app.recount_usage($1, $2) as changed', [
      tenantId,
      routing.time_zone,
    ])
    return row?.changed ?? 0
  })
  log.info({ tenant: tenantId, time_zone: routing.time_zone, totals: changed }, 'usage counted anew')
}

/** What a change of the time zone leaves for the worker. A second delivery finds nothing left to do. */
export const recountSink: OutboxSink = {
  topic: 'usage_time_zone',
  batch: 50,
  ordered: false,
  attempts: 50,
  forget: true,
  lanes: 2,
  deliver: async (_messages, tenant) => {
    await recountUsage(tenant.id)
    return []
  },
}
