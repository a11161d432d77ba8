import { tenantQuery } from '@/libs/db/tenant-db'
import { jobActor, runInTenant } from '@/libs/tenancy/tenant-context'

const SWEEPER = jobActor('sweeper')
const ROWS_AT_ONCE = 1_000

/**
 * Deletes rows of a tenant by a statement that takes `$1` of them at most and returns them, a thousand a transaction, so that
 * nobody waits behind it. Gives how many. @throws what the database says.
 */
export async function deleteInSteps(tenantId: string, statement: string, signal: AbortSignal): Promise<number> {
  let total = 0
  for (;;) {
    const gone = await runInTenant(tenantId, SWEEPER, () => tenantQuery(statement, [ROWS_AT_ONCE]))
    total += gone.length
    if (gone.length < ROWS_AT_ONCE || signal.aborted) return total
  }
}
