import { tenantDb, tenantQuery } from '@/libs/db/tenant-db'
import { notFound } from '@/libs/errors'
import { type Quantity, toQuantity } from '@/libs/ingest/decimal'
import { fromMinor } from '@/libs/ingest/money'
import type { UsageLine } from '@/libs/metering/customer-usage'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { findCustomer } from './entitled-customer'
import { type Entitlement, listEntitlements } from './entitlement-service'

type Offer = {
  id: string
  slug: string
  name: string
  price: number
  price_minor: number
  currency: string
  billing_interval: string
}
export type PortalOverview = {
  customer: { id: string; external_id: string; name: string | null; email: string | null }
  tier: (Offer & { description: string }) | null
  usage: UsageLine[]
  features: { key: string; name: string; config: unknown }[]
  entitlements: Entitlement[]
  upgrade: {
    reason: 'cap_near' | 'cap_reached'
    meter: string
    name: string
    percent: number
    next_tiers: (Offer & { limit: Quantity | null })[]
  } | null
}

/** Share of a cap, in percent, from which on a customer is shown what allows more. */
const PROMPT_PERCENT = 80

/**
 * What a customer who is signed in to the portal sees of itself. From 80 % of a cap on, `upgrade` says which meter it is
 * and which tiers allow more of it. @throws AppError not_found when the actor is no customer.
 */
export async function getPortalOverview(): Promise<PortalOverview> {
  const { actor } = currentContext()
  const customer = actor.customer_id
    ? await tenantDb()
        .selectFrom('customers')
        .select(['id', 'external_id', 'name', 'email'])
        .where('id', '=', actor.customer_id)
        .executeTakeFirst()
    : undefined
  if (!customer) throw notFound()
  const { features, usage, entitlements } = await listEntitlements(customer.id)
  return {
    customer,
    tier: await loadOffer(customer.id),
    usage,
    features: await nameFeatures(features),
    entitlements,
    upgrade: await promptUpgrade(usage),
  }
}

async function nameFeatures<T extends { key: string }>(features: readonly T[]): Promise<(T & { name: string })[]> {
  const rows = await tenantQuery<{ key: string; name: string }>(
    'select key, name from features where tenant_id = $1 and archived_at is null and key = any($2)',
    [currentContext().tenantId, features.map(({ key }) => key)],
  )
  const names = new Map(rows.map(({ key, name }) => [key, name]))
  return features.map((feature) => ({ ...feature, name: names.get(feature.key) ?? feature.key }))
}

/** The tier of a customer, at the price of the version it has. */
async function loadOffer(customerId: string): Promise<PortalOverview['tier']> {
  const { tier, tier_version } = await findCustomer(customerId)
  if (!tier) return null
  const [row] = await tenantQuery<Omit<Offer, 'price'> & { description: string }>(
    `select t.id, t.slug, t.name, t.description, v.price_minor, v.currency, v.billing_interval
     from tiers t join tier_versions v on v.tenant_id = $1 and v.tier_id = t.id and v.version = $3
     where t.tenant_id = $1 and t.id = $2`,
    [currentContext().tenantId, tier.id, tier_version],
  )
  return row ? { ...row, price: fromMinor(row.price_minor, row.currency) } : null
}

type NextTier = Omit<Offer, 'price'> & { limit: string | null }

async function promptUpgrade(usage: readonly UsageLine[]): Promise<PortalOverview['upgrade']> {
  const nearest = usage
    .filter(({ percent, limit }) => percent !== null && percent >= PROMPT_PERCENT && limit !== 0)
    .sort((a, b) => (b.percent ?? 0) - (a.percent ?? 0))[0]
  if (!nearest) return null
  const [row] = await tenantQuery<{ next_tiers: NextTier[] }>('select app.next_tiers($1, $2, $3) as next_tiers', [
    currentContext().tenantId,
    nearest.meter_id,
    String(nearest.limit),
  ])
  return {
    reason: (nearest.percent ?? 0) >= 100 ? 'cap_reached' : 'cap_near',
    meter: nearest.meter,
    name: nearest.name,
    percent: nearest.percent ?? 0,
    next_tiers: (row?.next_tiers ?? []).map((tier) => ({
      ...tier,
      price: fromMinor(tier.price_minor, tier.currency),
      limit: tier.limit === null ? null : toQuantity(tier.limit),
    })),
  }
}
