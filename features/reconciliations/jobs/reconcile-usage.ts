import { serverQuery } from '@/libs/db/server-query'
import { describeError } from '@/libs/errors'
import type { OutboxSink } from '@/libs/jobs/outbox-worker'
import { notePassedOver } from '@/libs/jobs/passed-over'
import { log } from '@/libs/log'
import { jobActor, runInTenant } from '@/libs/tenancy/tenant-context'
import { addRun, doReconciliation, markRun, RECONCILIATION_TOPIC } from '../services/reconciliation-service'

const RECONCILER = jobActor('reconciliation')
const TENANTS_AT_ONCE = 200

/** Does one run of a tenant from beginning to end, and notes when it fails. False when there was nothing to do. */
export async function runReconciliation(tenantId: string, id: string): Promise<boolean> {
  await runInTenant(tenantId, RECONCILER, () => markRun(id, 'running'))
  try {
    return await runInTenant(tenantId, RECONCILER, () => doReconciliation(id))
  } catch (error) {
    const reason = describeError(error)
    log.error({ tenant: tenantId, err: error }, 'reconciliation failed')
    await runInTenant(tenantId, RECONCILER, () => markRun(id, 'failed', reason.slice(0, 500)))
    return false
  }
}

/** Reconciles every tenant that received usage since it was last reconciled, a day ago or longer, one after the other. */
export async function reconcileTenants(signal: AbortSignal): Promise<{ tenants: number }> {
  const rows = await serverQuery<{ tenant_id: string }>('select tenant_id from app.tenants_to_reconcile($1)', [
    TENANTS_AT_ONCE,
  ])
  let tenants = 0
  for (const { tenant_id } of rows) {
    if (signal.aborted) break
    try {
      const id = await runInTenant(tenant_id, RECONCILER, () => addRun('schedule'))
      await runReconciliation(tenant_id, id)
      tenants += 1
    } catch (error) {
      // A tenant that takes no writes at the moment is reconciled when it does.
      notePassedOver('reconcile-usage', tenant_id, error)
    }
  }
  return { tenants }
}

/** Runs that somebody asked for. A run that takes longer than a delivery may is not done twice: the second finds it under way. */
export const reconciliationSink: OutboxSink = {
  topic: RECONCILIATION_TOPIC,
  batch: 1,
  ordered: false,
  attempts: 3,
  forget: true,
  lanes: 2,
  deliver: async (messages, tenant) => {
    for (const { payload } of messages) {
      const { reconciliation_id } = payload as { reconciliation_id: string }
      await runReconciliation(tenant.id, reconciliation_id)
    }
    return []
  },
}
