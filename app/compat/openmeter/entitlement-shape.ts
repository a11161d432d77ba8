import { readRecords } from '@/features/compatibility/services/compat-record-service'
import { readSubjects } from '@/features/compatibility/services/customer-subject-service'
import type { CustomerRow } from '@/features/customers/services/customer-service'
import type { ListedEntitlement } from '@/features/entitlements/services/entitlement-page-service'
import { type Entitlement, listEntitlements } from '@/features/entitlements/services/entitlement-service'
import { readLastResets } from '@/features/entitlements/services/reset-service'
import { type FeatureRow, findFeature } from '@/features/features/services/feature-service'
import type { TenantRequestContext } from '@/libs/api-utils/tenant-api-wrapper'
import { startOfDay } from '@/libs/tenancy/zoned-day'
import { keyOf } from './customer-body'
import { readFeatures } from './feature-routes'
import { toRecurringPeriod } from './periods'

/** The wire names a customer by its subject (v1) or by its id and key (v2). */
export type Version = 1 | 2

/** What is kept of an entitlement as it was sent, because nothing here depends on it. */
export type Sent = { metadata?: unknown; measureUsageFrom?: string; issues?: boolean }

/** What is said of a customer with each of its entitlements. */
export type Holder = {
  customer: Pick<CustomerRow, 'id' | 'external_id' | 'metadata' | 'created_at'>
  subject: string
  timeZone: string
  features: readonly FeatureRow[]
  resets: ReadonlyMap<string, Date>
  sent: ReadonlyMap<string, Sent>
}
/** A customer's entitlements with all that their answers hold. */
export type Known = Holder & { customer: CustomerRow; entitlements: readonly Entitlement[] }

export const numberOf = (value: number | string | null): number => Number(value ?? 0)

/** An entitlement that is its tier's has no id of its own and goes by its feature. */
export const idOf = ({ id, feature_key }: Pick<Entitlement, 'id' | 'feature_key'>): string => id ?? feature_key

/** What is said of customers with these entitlements, by their ids: as many questions for all as for one. */
export async function readHolders<C extends Holder['customer']>(
  customers: readonly C[],
  entitlementIds: readonly string[],
  { tenant }: Pick<TenantRequestContext, 'tenant'>,
): Promise<(customer: C) => Holder & { customer: C }> {
  const ids = [...new Set(customers.map(({ id }) => id))]
  const subjects = await readSubjects(ids)
  const resets = await readLastResets(ids)
  const features = await readFeatures()
  const sent = (await readRecords('entitlement', entitlementIds)) as Map<string, Sent>
  return (customer) => ({
    customer,
    subject: subjects.get(customer.id)?.[0] ?? customer.external_id,
    timeZone: tenant.time_zone,
    features,
    resets: resets.get(customer.id) ?? new Map(),
    sent,
  })
}

/** Everything the answers about a customer's entitlements are made of. */
export async function readKnown(customer: CustomerRow, context: Pick<TenantRequestContext, 'tenant'>): Promise<Known> {
  const { entitlements } = await listEntitlements(customer.id)
  const ids = entitlements.flatMap(({ id }) => (id === null ? [] : [id]))
  const holderOf = await readHolders([customer], ids, context)
  return { ...holderOf(customer), entitlements }
}

/** One entitlement of a customer by its id, its feature, or the meter of that feature. */
export async function pickEntitlement(
  entitlements: readonly Entitlement[],
  reference: string,
): Promise<Entitlement | null> {
  const feature = await findFeature(reference)
  const names = [reference, feature?.key, feature?.meter?.slug]
  for (const name of names) {
    const found = entitlements.filter((row) => name !== undefined && (row.id === name || row.feature_key === name))
    const row = found.find(({ source }) => source === 'customer') ?? found[0]
    if (row) return row
  }
  return null
}

/** When the present period of an entitlement began, by the clocks of the tenant. */
export function periodStart({ starts_on }: Pick<Entitlement, 'starts_on'>, timeZone: string): Date | null {
  return starts_on === null ? null : startOfDay(starts_on, 0, timeZone)
}

export function toOpenMeterEntitlement(row: Entitlement | ListedEntitlement, holder: Holder, version: Version) {
  const { customer, subject, timeZone, features, resets, sent } = holder
  const { feature_key, kind, created_at } = row
  const since = periodStart(row, timeZone)
  const createdAt = created_at ?? since ?? customer.created_at
  const { metadata, measureUsageFrom, issues = true } = sent.get(row.id ?? '') ?? {}
  const key = keyOf(customer)
  const base = {
    id: idOf(row),
    type: kind,
    featureKey: feature_key,
    featureId: features.find((feature) => feature.key === feature_key)?.id ?? feature_key,
    ...(version === 1
      ? { subjectKey: subject }
      : { customerId: customer.id, ...(key === undefined ? {} : { customerKey: key }) }),
    ...(metadata ? { metadata } : {}),
    createdAt,
    updatedAt: createdAt,
    activeFrom: createdAt,
  }
  if (kind === 'boolean') return base
  if (kind === 'static') return { ...base, config: JSON.stringify(row.config) }
  const amount = numberOf(row.limit)
  const reset = resets.get(row.meter?.id ?? '')
  return {
    ...base,
    isSoftLimit: row.behaviour === 'overflow',
    preserveOverageAtReset: row.preserve_overage ?? false,
    ...(version === 1 ? { isUnlimited: false } : {}),
    ...(issues
      ? {
          issueAfterReset: amount,
          issueAfterResetPriority: 1,
          ...(version === 1 ? {} : { issue: { amount, priority: 1 } }),
        }
      : {}),
    ...(since && row.reset_at && row.period
      ? {
          lastReset: reset && reset > since ? reset : since,
          measureUsageFrom: measureUsageFrom ?? since,
          currentUsagePeriod: { from: since, to: row.reset_at },
          usagePeriod: toRecurringPeriod(row.period, since),
        }
      : {}),
  }
}

export function toOpenMeterValue({ has_access, kind, config, usage, balance, overage, granted }: Entitlement) {
  if (kind === 'boolean') return { hasAccess: has_access }
  if (kind === 'static') return { hasAccess: has_access, config: JSON.stringify(config) }
  return {
    hasAccess: has_access,
    balance: numberOf(balance),
    usage: numberOf(usage),
    overage: numberOf(overage),
    totalAvailableGrantAmount: numberOf(granted),
  }
}
