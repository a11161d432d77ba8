import { tenantDb, tenantQuery } from '@/libs/db/tenant-db'
import { currentContext } from '@/libs/tenancy/tenant-context'

/** Who makes a tier the default waits for who is doing so: the last one has it. Called before any tier is locked. */
export async function lockDefault(): Promise<void> {
  await tenantQuery(`select pg_advisory_xact_lock(hashtextextended('default tier of ' || $1, 0))`, [
    currentContext().tenantId,
  ])
}

/** Takes the default from the tier that is it, for another one. */
export async function dropDefault(): Promise<void> {
  await tenantDb()
    .updateTable('tiers')
    .set({ is_default: false, updated_at: new Date() })
    .where('is_default', '=', true)
    .execute()
}
