import { tenantQuery } from '@/libs/db/tenant-db'
import { AppError, invalidInput } from '@/libs/errors'
import { isUuid } from '@/libs/ids'
import { type Actor, currentContext } from '@/libs/tenancy/tenant-context'
import type { UpgradeRequestInput } from '../schema'
import { findLastRequest, type GiveTier, requestUpgrade, type UpgradeRequestRow } from './upgrade-request-service'

const MAY_TAKE = 'customers:write'

/**
 * As whom a tier, named by id or slug, is asked for: the customer who is signed in, which may change its subscription where
 * the tenant lets customers take that tier. For this act alone, and as nobody but the customer itself.
 */
export async function findChooser(ref: string): Promise<Actor> {
  const { tenantId, actor } = currentContext()
  if (!actor.customer_id) return actor
  const [tier] = await tenantQuery(
    `select from tiers where tenant_id = $1 and ${isUuid(ref) ? 'id' : 'slug'} = $2 and self_service and archived_at is null`,
    [tenantId, ref.toLowerCase()],
  )
  return tier ? { ...actor, permissions: [...actor.permissions, MAY_TAKE] } : actor
}

type OfferedTier = { id: string; self_service: boolean; present: boolean }

/**
 * A tier that the customer who is signed in may ask for. What it asks for at the same moment waits for this.
 * @throws AppError invalid_input when it is not there or archived; conflict for a customer who is archived.
 */
async function requireOffer(ref: string): Promise<OfferedTier> {
  const { tenantId, actor } = currentContext()
  await tenantQuery("select pg_advisory_xact_lock(hashtextextended('upgrade ' || $1 || $2, 0))", [
    tenantId,
    actor.customer_id ?? '',
  ])
  const [archived] = await tenantQuery(
    'select from customers where tenant_id = $1 and id = $2 and archived_at is not null',
    [tenantId, actor.customer_id ?? null],
  )
  if (archived) throw new AppError('conflict', 'This customer is archived, and gets no other tier.')
  const [tier] = await tenantQuery<OfferedTier>(
    `select t.id, t.self_service, case when s.id is null then t.is_default else s.tier_id = t.id and s.tier_version = t.version end as present
     from tiers t left join subscriptions s on s.tenant_id = $1 and s.customer_id = $3 and s.canceled_at is null
     where t.tenant_id = $1 and t.${isUuid(ref) ? 'id' : 'slug'} = $2 and t.archived_at is null`,
    [tenantId, ref.toLowerCase(), actor.customer_id ?? null],
  )
  if (!tier) throw invalidInput('/tier', 'there is no such tier')
  return tier
}

/**
 * Asks for a tier for the customer who is signed in, or takes it at once where its chooser may. Asked once more for what was its
 * last request and was accepted, it is that request again.
 * @throws AppError invalid_input for a tier that is not there, archived, or what the customer has otherwise; conflict for a
 * customer who is archived; rate_limited.
 */
export async function chooseTier({ tier, note }: UpgradeRequestInput, giveTier: GiveTier): Promise<UpgradeRequestRow> {
  const { customer_id, permissions } = currentContext().actor
  const offer = await requireOffer(tier)
  if (offer.present) {
    const last = await findLastRequest()
    if (last?.status === 'accepted' && last.tier.id === offer.id) return last
    throw invalidInput('/tier', 'is the tier you have')
  }
  if (!customer_id || !offer.self_service || !permissions.includes(MAY_TAKE)) {
    return requestUpgrade(offer.id, { note }, 'open')
  }
  await giveTier(customer_id, offer.id)
  return requestUpgrade(offer.id, { note }, 'accepted')
}
