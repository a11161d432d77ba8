import { tenantDb, tenantQuery } from '@/libs/db/tenant-db'
import { notFound } from '@/libs/errors'
import { isNegative, percentOf, type Quantity, subtractDecimals, toQuantity } from '@/libs/ingest/decimal'
import { fromMinor } from '@/libs/ingest/money'
import { findTenantRouting } from '@/libs/tenancy/resolve-tenant'
import { currentContext } from '@/libs/tenancy/tenant-context'
import type { TierRef } from './customer-service'
import { getSubscription } from './subscription-service'

/** What a customer has used of a meter in its present period, against the cap of its tier. */
export type UsageLine = {
  meter_id: string
  meter: string
  name: string
  unit: string
  used: Quantity
  limit: Quantity | null
  remaining: Quantity | null
  overage: Quantity
  percent: number | null
  behaviour: string | null
  period: 'day' | 'month'
  starts_on: string
  reset_at: Date
}
export type Feature = { key: string; config: unknown }
export type Entitlements = { customer_id: string; tier: TierRef | null; features: Feature[]; usage: UsageLine[] }

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
  features: Feature[]
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

/** What a customer may use now: the features of its tier, and every meter with used, cap and what is left. @throws AppError not_found. */
export async function getEntitlements(customerRef: string): Promise<Entitlements> {
  const { customer_id, tier } = await getSubscription(customerRef)
  return { customer_id, tier, features: await loadFeatures(tier?.id), usage: await loadUsage(customer_id) }
}

async function loadFeatures(tierId: string | undefined): Promise<Feature[]> {
  if (tierId === undefined) return []
  return tenantDb()
    .selectFrom('tier_features')
    .select(['key', 'config'])
    .where('tier_id', '=', tierId)
    .orderBy('key')
    .execute()
}

type StoredLine = Pick<UsageLine, 'meter_id' | 'meter' | 'name' | 'unit' | 'behaviour' | 'period' | 'starts_on'> & {
  cap_limit: string | null
  used: string
  resets_at: Date
}

async function loadUsage(customerId: string): Promise<UsageLine[]> {
  const { tenantId } = currentContext()
  const routing = await findTenantRouting({ id: tenantId })
  if (!routing) throw notFound()
  const rows = await tenantQuery<StoredLine>(
    `select meter_id, meter, name, unit, cap_limit::text, behaviour, period, used::text, starts_on::text, resets_at
     from app.customer_usage($1, $2, $3)`,
    [tenantId, customerId, routing.time_zone],
  )
  return rows.map(toLine)
}

function toLine({ cap_limit, used, resets_at, ...row }: StoredLine): UsageLine {
  const common = { ...row, used: toQuantity(used), reset_at: resets_at }
  if (cap_limit === null) return { ...common, limit: null, remaining: null, overage: 0, percent: null }
  const left = subtractDecimals(cap_limit, used)
  const over = isNegative(left)
  return {
    ...common,
    limit: toQuantity(cap_limit),
    remaining: over ? 0 : toQuantity(left),
    overage: over ? toQuantity(left.slice(1)) : 0,
    percent: percentOf(used, cap_limit),
  }
}

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
  const { tier, features, usage } = await getEntitlements(customer.id)
  return {
    customer,
    tier: tier ? await loadOffer(tier.id) : null,
    usage,
    features,
    upgrade: await promptUpgrade(usage),
  }
}

async function loadOffer(tierId: string): Promise<PortalOverview['tier']> {
  const row = await tenantDb()
    .selectFrom('tiers')
    .select(['id', 'slug', 'name', 'description', 'price_minor', 'currency', 'billing_interval'])
    .where('id', '=', tierId)
    .executeTakeFirst()
  return row
    ? { ...row, price: fromMinor(Number(row.price_minor), row.currency), price_minor: Number(row.price_minor) }
    : null
}

type NextTier = Omit<Offer, 'price'> & { limit: string | null }

async function promptUpgrade(usage: readonly UsageLine[]): Promise<PortalOverview['upgrade']> {
  const nearest = usage
    .filter(({ percent }) => percent !== null && percent >= PROMPT_PERCENT)
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
