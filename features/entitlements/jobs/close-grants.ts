import { tenantQuery } from '@/libs/db/tenant-db'
import { eachTenant } from '@/libs/jobs/each-tenant'
import { jobActor, runInTenant } from '@/libs/tenancy/tenant-context'
import { readTimeZone } from '@/libs/tenancy/time-zone'

const CLOSER = jobActor('grants')

/**
 * Writes down that grants expired, tenant by tenant, so that rules about what remains hear of it. Nothing was taken of them
 * since they did. Gives how many balances were settled; the rest of a tenant with more than some hundreds comes next time.
 */
export async function closeGrants(signal: AbortSignal): Promise<number> {
  let settled = 0
  const due = 'select tenant_id from app.tenants_with_expired_grants($1)'
  await eachTenant({ job: 'close-grants', due, signal }, async (tenantId) => {
    const [row] = await runInTenant(tenantId, CLOSER, async () =>
      tenantQuery<{ settled: number }>('select app.close_grants($1, $2) as settled', [tenantId, await readTimeZone()]),
    )
    settled += row?.settled ?? 0
  })
  return settled
}
