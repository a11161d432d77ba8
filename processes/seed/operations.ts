import { alertInput } from '@/features/alerts/schema'
import { createAlert } from '@/features/alerts/services/alert-service'
import { closeBillingPeriod, listBillingPeriods } from '@/features/billing-periods/services/billing-period-service'
import { customerKeyInput } from '@/features/customer-keys/schema'
import { createCustomerKey, listCustomerKeys } from '@/features/customer-keys/services/customer-key-service'
import { grantInput } from '@/features/entitlements/schema'
import { createGrant, listGrants } from '@/features/entitlements/services/grant-service'
import { featureInput } from '@/features/features/schema'
import { createFeature, findFeature } from '@/features/features/services/feature-service'
import { findOverrideOf, setOverride } from '@/features/rate-limits/services/override-service'
import { tenantQuery } from '@/libs/db/tenant-db'
import { FEATURE_NAMES, OPERATIONS } from './demo-catalogue'
import { ensureMetricHistory } from './metric-history'

/**
 * What a tenant that has run for a while has beside its usage: features by name, a rule that fired, a grant, a key, a limit of its
 * own, metrics of a month, and the time until now billed. Runs in the tenant's context; what is there, or was there, stays.
 */
export async function ensureOperations(timeZone: string): Promise<void> {
  for (const [key, name] of Object.entries(FEATURE_NAMES))
    if (!(await findFeature(key))) await createFeature(featureInput.parse({ key, name }))
  await ensureAlert(timeZone)
  await ensureGrant()
  await ensureCustomerKey()
  const { namespace, identifier } = OPERATIONS.override
  if (!(await findOverrideOf(namespace, identifier))) await setOverride(OPERATIONS.override)
  await ensureMetricHistory()
  await ensureBillingPeriod()
}

async function ensureAlert(timeZone: string): Promise<void> {
  const present = await tenantQuery('select 1 from alert_rules where name = $1 limit 1', [OPERATIONS.alert.name])
  if (present.length > 0) return
  await createAlert(alertInput.parse(OPERATIONS.alert))
  // As the worker does for every rule that is new: what was reached before it was made.
  await tenantQuery('select app.evaluate_alerts(app.tenant_id(), $1, null)', [timeZone])
}

async function ensureGrant(): Promise<void> {
  const { customer, expires_in_days, ...grant } = OPERATIONS.grant
  const { data } = await listGrants(customer, { limit: 1, state: 'all' })
  if (data.length > 0) return
  const expires_at = new Date(Date.now() + expires_in_days * 86_400_000).toISOString()
  await createGrant(customer, grantInput.parse({ ...grant, expires_at }))
}

async function ensureCustomerKey(): Promise<void> {
  const { external_id } = OPERATIONS.key
  const { data } = await listCustomerKeys({ limit: 1, external_id })
  if (data.length === 0) await createCustomerKey(customerKeyInput.parse(OPERATIONS.key))
}

async function ensureBillingPeriod(): Promise<void> {
  const { data } = await listBillingPeriods({ limit: 1 })
  if (data.length > 0) return
  const [row] = await tenantQuery<{ now: string }>(
    `select to_char(statement_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as now`,
  )
  await closeBillingPeriod({ ends_at: row?.now ?? new Date().toISOString() })
}
