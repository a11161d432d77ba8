import { tenantDb } from '@/libs/db/tenant-db'
import { currentContext } from '@/libs/tenancy/tenant-context'
import type { UsageSettings, UsageSettingsInput } from '../schema'

const COLUMNS = ['creates_customers', 'accepts_late_days', 'accepts_early_seconds'] as const
const DEFAULTS: UsageSettings = { creates_customers: true, accepts_late_days: 35, accepts_early_seconds: 300 }

/** How the current tenant takes in usage. */
export async function getUsageSettings(): Promise<UsageSettings> {
  return (await tenantDb().selectFrom('usage_settings').select(COLUMNS).executeTakeFirst()) ?? DEFAULTS
}

/** Changes what is named of how the current tenant takes in usage, for everything that is committed afterwards. */
export async function updateUsageSettings(input: UsageSettingsInput): Promise<UsageSettings> {
  return tenantDb()
    .insertInto('usage_settings')
    .values({ tenant_id: currentContext().tenantId, ...DEFAULTS, ...input })
    .onConflict((conflict) => conflict.column('tenant_id').doUpdateSet({ ...input, updated_at: new Date() }))
    .returning(COLUMNS)
    .executeTakeFirstOrThrow()
}
