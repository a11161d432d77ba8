import { serverQuery } from '@/libs/db/server-query'
import { eachTenant } from '@/libs/jobs/each-tenant'
import { log } from '@/libs/log'
import { jobActor, runInTenant } from '@/libs/tenancy/tenant-context'
import { firstMasterId } from './secret-box'
import { renewKeys } from './tenant-secrets'

const KEEPER = jobActor('tenant-keys')

/**
 * Brings the keys of all tenants under the first of ENCRYPTION_KEYS, tenant by tenant, each in a transaction of its own: after a
 * master key was put in front, and for secrets from before wrapped keys. `left` is what still needs another master key; at 0 the
 * others may be thrown away.
 */
export async function renewTenantKeys(signal?: AbortSignal): Promise<{ renewed: number; left: number }> {
  const first = firstMasterId()
  if (first === null) return { renewed: 0, left: 0 }
  let renewed = 0
  const due = 'select tenant_id from app.tenants_with_old_keys($2, $1)'
  await eachTenant({ job: 'renew-keys', due, values: [first], signal }, async (tenantId) => {
    const result = await runInTenant(tenantId, KEEPER, renewKeys)
    renewed += result.renewed
    if (result.lost > 0)
      log.error(
        { tenant: tenantId, keys: result.lost },
        'keys of a tenant need a master key that is not in ENCRYPTION_KEYS',
      )
  })
  const [row] = await serverQuery<{ left: number }>('select app.count_old_keys($1) as left', [first])
  return { renewed, left: row?.left ?? 0 }
}
