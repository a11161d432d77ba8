import { tenantQuery } from '@/libs/db/tenant-db'
import { describeError } from '@/libs/errors'
import { log } from '@/libs/log'
import type { TenantRouting } from '@/libs/tenancy/resolve-tenant'
import { type Actor, runInTenant } from '@/libs/tenancy/tenant-context'

/**
 * Notes a refused act in the audit log of a tenant, in a transaction of its own (the refused one is rolled back).
 * Never fails the answer: a denial that cannot be recorded, because the tenant is suspended or the database away, is logged.
 */
export async function recordDenial(
  tenant: TenantRouting | string,
  actor: Actor,
  action: 'access.denied' | 'access.mismatch',
  metadata: Record<string, unknown>,
): Promise<void> {
  try {
    await runInTenant(tenant, actor, () =>
      tenantQuery('select app.log_audit($1, $2, $3, $4, null, null, $5)', [
        action,
        'request',
        null,
        'denied',
        JSON.stringify(metadata),
      ]),
    )
  } catch (error) {
    log.warn({ error: describeError(error), action, metadata }, 'denial not recorded')
  }
}
