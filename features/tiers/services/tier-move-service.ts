import { tenantQuery } from '@/libs/db/tenant-db'
import { AppError, notFound } from '@/libs/errors'
import { isUuid } from '@/libs/ids'
import { changeTerms } from '@/libs/metering/change-terms'
import { findCustomerIds } from '@/libs/metering/find-customers'
import { currentContext } from '@/libs/tenancy/tenant-context'
import type { TierMove } from '../schema'

export type MovedTier = { tier_id: string; version: number; moved: number }

/** Subscriptions to move: $1 tenant, $2 tier, $3 its newest version, $4 only from this one, $5 only of these customers. */
const CHOSEN = `s.tenant_id = $1 and s.tier_id = $2 and s.canceled_at is null and s.tier_version <> $3
  and ($4::integer is null or s.tier_version = $4) and ($5::uuid[] is null or s.customer_id = any ($5))`

/**
 * Moves subscriptions of a tier to its newest version: all that have an older one, or those of some customers, or of one
 * version. What they used so far stays counted. Doing it again moves nothing.
 * @throws AppError not_found for the tier; forbidden without customers:write; invalid_input for customers who do not have it.
 */
export async function moveSubscriptions(tierRef: string, { customers, from_version }: TierMove): Promise<MovedTier> {
  const { tenantId, actor } = currentContext()
  if (!actor.permissions.includes('customers:write')) {
    throw new AppError('forbidden', 'Moving subscriptions needs customers:write.', {
      extra: { required_permission: 'customers:write' },
    })
  }
  const [tier] = await tenantQuery<{ id: string; version: number }>(
    `select id, version from tiers where tenant_id = $1 and ${isUuid(tierRef) ? 'id' : 'slug'} = $2`,
    [tenantId, tierRef.toLowerCase()],
  )
  if (!tier) throw notFound()
  const ids = customers ? await requireSubscribed(tier.id, customers) : null
  const chosen = [tenantId, tier.id, tier.version, from_version ?? null]
  const behind = await tenantQuery<{ customer_id: string }>(
    `select s.customer_id from subscriptions s where ${CHOSEN} order by 1`,
    [...chosen, ids],
  )
  const customerIds = behind.map(({ customer_id }) => customer_id)
  const moved = await changeTerms(customerIds, () =>
    tenantQuery(`update subscriptions s set tier_version = $3 where ${CHOSEN} returning s.id`, [
      ...chosen,
      customerIds,
    ]),
  )
  return { tier_id: tier.id, version: tier.version, moved: moved.length }
}

async function requireSubscribed(tierId: string, refs: readonly string[]): Promise<string[]> {
  const rows = await tenantQuery<{ at: number; customer_id: string | null }>(
    `select r.place::integer - 1 as at, s.customer_id
     from unnest($3::uuid[]) with ordinality r (id, place)
     left join subscriptions s on s.tenant_id = $1 and s.customer_id = r.id and s.tier_id = $2 and s.canceled_at is null
     order by 1`,
    [currentContext().tenantId, tierId, await findCustomerIds(refs)],
  )
  const errors = rows
    .filter(({ customer_id }) => customer_id === null)
    .map(({ at }) => ({ pointer: `/customers/${at}`, detail: 'has no subscription to this tier' }))
  if (errors.length > 0) throw new AppError('invalid_input', 'Some customers do not have this tier.', { errors })
  return rows.flatMap(({ customer_id }) => (customer_id === null ? [] : [customer_id]))
}
