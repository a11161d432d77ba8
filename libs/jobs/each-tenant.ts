import { serverQuery } from '@/libs/db/server-query'
import { notePassedOver } from './passed-over'

const AT_ONCE = 200

/**
 * Visits the tenants that have something due for a job, one after the other and each once, until there are no others or `signal`
 * says stop. `due` is a statement that gives `tenant_id`, at most `$1` of them; `values` are its `$2` and so on. A tenant in which
 * the visit fails, because it takes no writes for example, is left for the next time.
 */
export async function eachTenant(
  { job, due, values = [], signal }: { job: string; due: string; values?: unknown[]; signal?: AbortSignal | undefined },
  visit: (tenantId: string) => Promise<void>,
): Promise<void> {
  const visited = new Set<string>()
  for (;;) {
    const rows = await serverQuery<{ tenant_id: string }>(due, [AT_ONCE + visited.size, ...values])
    const others = rows.filter(({ tenant_id }) => !visited.has(tenant_id))
    if (others.length === 0) return
    for (const { tenant_id } of others) {
      if (signal?.aborted) return
      visited.add(tenant_id)
      await visit(tenant_id).catch((error: unknown) => notePassedOver(job, tenant_id, error))
    }
  }
}
