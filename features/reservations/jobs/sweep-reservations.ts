import { tenantQuery } from '@/libs/db/tenant-db'
import { eachTenant } from '@/libs/jobs/each-tenant'
import { jobActor, runInTenant } from '@/libs/tenancy/tenant-context'

const SWEEPER = jobActor('reservations')

/**
 * Closes reservations that expired, tenant by tenant. They have counted for nothing since then; closed, they cost nothing
 * either. Gives how many.
 */
export async function sweepReservations(signal: AbortSignal): Promise<number> {
  let swept = 0
  const due = 'select tenant_id from app.tenants_with_expired_reservations($1)'
  await eachTenant({ job: 'sweep-reservations', due, signal }, async (tenantId) => {
    const [row] = await runInTenant(tenantId, SWEEPER, () =>
      tenantQuery<{ swept: number }>('select app.sweep_reservations($1) as swept', [tenantId]),
    )
    swept += row?.swept ?? 0
  })
  return swept
}
