import { serverPool } from '@/libs/db/pools'
import { tenantQuery } from '@/libs/db/tenant-db'
import { notePassedOver } from '@/libs/jobs/passed-over'
import { jobActor, runInTenant } from '@/libs/tenancy/tenant-context'

const SWEEPER = jobActor('reservations')
const TENANTS_AT_ONCE = 200

/**
 * Closes reservations that expired, tenant by tenant. They have counted for nothing since then; closed, they cost nothing
 * either. A tenant that takes no writes is left for later. Gives how many.
 */
export async function sweepReservations(signal: AbortSignal): Promise<number> {
  let swept = 0
  const passed = new Set<string>()
  for (;;) {
    const { rows } = await serverPool().query<{ tenant_id: string }>(
      'select tenant_id from app.tenants_with_expired_reservations($1)',
      [TENANTS_AT_ONCE + passed.size],
    )
    const tenants = rows.map(({ tenant_id }) => tenant_id).filter((id) => !passed.has(id))
    if (tenants.length === 0) return swept
    for (const tenantId of tenants) {
      if (signal.aborted) return swept
      passed.add(tenantId)
      try {
        const [row] = await runInTenant(tenantId, SWEEPER, () =>
          tenantQuery<{ swept: number }>('select app.sweep_reservations($1) as swept', [tenantId]),
        )
        swept += row?.swept ?? 0
      } catch (error) {
        notePassedOver('sweep-reservations', tenantId, error)
      }
    }
  }
}
