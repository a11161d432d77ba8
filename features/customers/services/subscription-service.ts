import { tenantDb, tenantQuery } from '@/libs/db/tenant-db'
import { invalidInput, notFound } from '@/libs/errors'
import { isUuid, newId } from '@/libs/ids'
import { changeTerms } from '@/libs/metering/change-terms'
import { CUSTOMERS_WITH_TIER, IS_NAMED, TIER_OF_CUSTOMER } from '@/libs/metering/customer-tier'
import type { TierRef } from '@/libs/metering/fields'
import { currentContext } from '@/libs/tenancy/tenant-context'
import type { SubscriptionInput } from '../schema'

export type SubscriptionRow = {
  customer_id: string
  subscription_id: string | null
  tier: TierRef | null
  source: 'subscription' | 'default' | null
  /** Version of the tier it has; the newest one where the tier is the default. */
  tier_version: number | null
  /** Newest version of the tier, when it has an older one. */
  newer_version: number | null
  anchor_day: number
  started_at: Date | null
}

/** The tier a customer has: its own subscription, else the tenant's default, else none. @throws AppError not_found. */
export async function getSubscription(customerRef: string): Promise<SubscriptionRow> {
  const [row] = await tenantQuery<SubscriptionRow>(
    `select c.id as customer_id, s.id as subscription_id,
       ${TIER_OF_CUSTOMER} as tier,
       case when t.id is null then null when s.id is null then 'default' else 'subscription' end as source,
       coalesce(s.tier_version, t.version) as tier_version, case when s.tier_version < t.version then t.version end as newer_version,
       coalesce(s.anchor_day, 1) as anchor_day, s.started_at
     from ${CUSTOMERS_WITH_TIER} ${IS_NAMED}`,
    [currentContext().tenantId, customerRef, isUuid(customerRef) ? customerRef : null],
  )
  if (!row) throw notFound()
  return row
}

/**
 * Gives a customer a tier from now on, in its newest version unless one is named; null takes its own away, so that the
 * default holds. What was used so far stays counted; when its months begin on another day, its monthly counters are made
 * anew from the daily ones.
 * @throws AppError not_found for the customer, invalid_input for a tier that is not there or archived, or has no such version.
 */
export async function setSubscription(customerRef: string, input: SubscriptionInput): Promise<SubscriptionRow> {
  const { customer_id: customerId } = await getSubscription(customerRef)
  const tierRef = input.tier_id ?? input.tier ?? null
  const field = input.tier_id === undefined ? '/tier' : '/tier_id'
  const wanted = tierRef === null ? null : await requireTier(tierRef, input.version, field)
  // One change of a customer's subscription at a time. No key update: writers of usage, for whom this may wait, refer to the row.
  await tenantQuery('select id from customers where tenant_id = $1 and id = $2 for no key update', [
    currentContext().tenantId,
    customerId,
  ])
  const present = await tenantDb()
    .selectFrom('subscriptions')
    .select(['id', 'tier_id', 'tier_version', 'anchor_day'])
    .where('customer_id', '=', customerId)
    .where('canceled_at', 'is', null)
    .executeTakeFirst()
  const anchorBefore = present?.anchor_day ?? 1
  const anchor = wanted === null ? 1 : (input.anchor_day ?? anchorBefore)
  const staysOn = present !== undefined && present.tier_id === wanted?.id && anchor === anchorBefore
  if (staysOn && present.tier_version === wanted?.version) return getSubscription(customerId)
  await changeTerms([customerId], async () => {
    if (staysOn) return changeVersion(present.id, wanted?.version ?? present.tier_version)
    if (present) {
      await tenantDb()
        .updateTable('subscriptions')
        .set({ canceled_at: new Date() })
        .where('id', '=', present.id)
        .execute()
    }
    if (wanted !== null) {
      await tenantDb()
        .insertInto('subscriptions')
        .values({
          id: newId(),
          customer_id: customerId,
          tier_id: wanted.id,
          tier_version: wanted.version,
          anchor_day: anchor,
        })
        .execute()
      // The new row holds its tier: who archives one waits from here on, and who did before is seen now.
      await requireTier(wanted.id, wanted.version, field)
    }
    if (anchor !== anchorBefore) {
      await tenantQuery('select app.rebuild_customer_counters($1, $2, $3)', [
        currentContext().tenantId,
        customerId,
        anchor,
      ])
    }
  })
  return getSubscription(customerId)
}

async function changeVersion(subscriptionId: string, version: number): Promise<void> {
  await tenantDb()
    .updateTable('subscriptions')
    .set({ tier_version: version })
    .where('id', '=', subscriptionId)
    .execute()
}

/** The tier that `field` of the body names, in the version asked for. @throws AppError invalid_input. */
async function requireTier(
  ref: string,
  version: number | undefined,
  field: '/tier' | '/tier_id',
): Promise<{ id: string; version: number }> {
  const row = await tenantDb()
    .selectFrom('tiers')
    .select(['id', 'version'])
    .where(isUuid(ref) ? 'id' : 'slug', '=', ref.toLowerCase())
    .where('archived_at', 'is', null)
    .executeTakeFirst()
  if (!row) {
    throw invalidInput(field, 'there is no such tier')
  }
  if (version !== undefined && version > row.version) {
    throw invalidInput('/version', `the newest version of this tier is ${row.version}`)
  }
  return { id: row.id, version: version ?? row.version }
}
