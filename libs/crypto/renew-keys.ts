import { serverPool } from '@/libs/db/pools'
import { log } from '@/libs/log'
import { findTenantRouting } from '@/libs/tenancy/resolve-tenant'
import { jobActor, runInTenant } from '@/libs/tenancy/tenant-context'
import { firstMasterId } from './secret-box'
import { renewKeys } from './tenant-secrets'

const KEEPER = jobActor('tenant-keys')
const TENANTS_AT_ONCE = 500

/**
 * Brings the keys of all tenants under the first of ENCRYPTION_KEYS, tenant by tenant, each in a transaction of its own: after a
 * master key was put in front, and for secrets from before wrapped keys. `left` is what still needs another master key; at 0 the
 * others may be thrown away.
 */
export async function renewTenantKeys(signal?: AbortSignal): Promise<{ renewed: number; left: number }> {
  const first = firstMasterId()
  if (first === null) return { renewed: 0, left: 0 }
  const passed = new Set<string>()
  let renewed = 0
  for (;;) {
    const { rows } = await serverPool().query<{ tenant_id: string }>(
      'select tenant_id from app.tenants_with_old_keys($1, $2)',
      [first, TENANTS_AT_ONCE + passed.size],
    )
    const tenants = rows.map(({ tenant_id }) => tenant_id).filter((id) => !passed.has(id))
    if (tenants.length === 0 || signal?.aborted) break
    for (const tenantId of tenants) {
      passed.add(tenantId)
      if (signal?.aborted) break
      try {
        const routing = await findTenantRouting({ id: tenantId })
        if (!routing) continue
        const result = await runInTenant(routing, KEEPER, renewKeys)
        renewed += result.renewed
        if (result.lost > 0)
          log.error(
            { tenant: tenantId, keys: result.lost },
            'keys of a tenant need a master key that is not in ENCRYPTION_KEYS',
          )
      } catch (error) {
        log.error({ tenant: tenantId, err: error }, 'keys of a tenant were not renewed')
      }
    }
  }
  const { rows } = await serverPool().query<{ left: number }>('select app.count_old_keys($1) as left', [first])
  return { renewed, left: rows[0]?.left ?? 0 }
}
