import { tenantQuery } from '@/libs/db/tenant-db'
import { notFound } from '@/libs/errors'
import { type Quantity, toQuantity } from '@/libs/ingest/decimal'
import { readCustomerUsage, type UsageLine, type UsageTerms } from '@/libs/metering/customer-usage'
import type { TierRef } from '@/libs/metering/fields'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { type EntitledCustomer, findCustomer, type MeterRow } from './entitled-customer'

/** One thing a customer may use: by its tier, or as its own. */
export type Entitlement = {
  id: string | null
  feature_key: string
  kind: 'boolean' | 'static' | 'metered'
  source: 'tier' | 'customer'
  has_access: boolean
  config: unknown
  meter: MeterRow | null
  limit: Quantity | null
  behaviour: UsageLine['behaviour']
  period: UsageLine['period'] | null
  rollover: { min: Quantity; max: Quantity } | null
  preserve_overage: boolean | null
  usage: Quantity | null
  balance: Quantity | null
  overage: Quantity | null
  granted: Quantity | null
  held: Quantity | null
  starts_on: string | null
  reset_at: Date | null
  created_at: Date | null
}
export type Entitlements = {
  customer_id: string
  tier: TierRef | null
  features: { key: string; config: unknown }[]
  usage: UsageLine[]
  entitlements: Entitlement[]
}
export type EntitlementValue = Pick<Entitlement, 'has_access' | 'config' | 'usage' | 'balance' | 'overage' | 'granted'>

type Own = {
  id: string
  kind: Entitlement['kind']
  feature_key: string
  meter: MeterRow | null
  config: unknown
  cap_limit: string | null
  behaviour: NonNullable<Entitlement['behaviour']>
  period: NonNullable<Entitlement['period']>
  rollover_min: string
  rollover_max: string
  preserve_overage: boolean
  created_at: Date
}
type Line = UsageLine & { terms: UsageTerms }

const UNMETERED = {
  meter: null,
  limit: null,
  behaviour: null,
  period: null,
  rollover: null,
  preserve_overage: null,
  usage: null,
  balance: null,
  overage: null,
  granted: null,
  held: null,
  starts_on: null,
  reset_at: null,
}

/**
 * What a customer may use now: the features and caps of its tier in the version it has, and its own entitlements beside
 * or instead of them; and every meter with what was used of it. @throws AppError not_found.
 */
export async function listEntitlements(customerRef: string): Promise<Entitlements> {
  const customer = await findCustomer(customerRef)
  const own = await loadOwn(customer.id)
  const tierFeatures = await loadTierFeatures(customer)
  const lines = await readCustomerUsage(customer.id)
  const taken = new Set(own.map(({ feature_key }) => feature_key))
  const entitlements = [
    ...own.map((row) => fromOwn(row, lines)),
    ...tierFeatures.filter(({ key }) => !taken.has(key)).map(fromFeature),
    ...lines.filter(({ terms, entitlement_id }) => terms.allowance !== null && !entitlement_id).map(fromLine),
  ].sort((a, b) => (a.feature_key < b.feature_key ? -1 : 1))
  // A check says DISABLED to who is archived: here, too, it has what it had and may use nothing of it.
  if (customer.is_archived) for (const entitlement of entitlements) entitlement.has_access = false
  return {
    customer_id: customer.id,
    tier: customer.tier,
    features: entitlements
      .filter(({ kind, has_access }) => kind !== 'metered' && has_access)
      .map(({ feature_key, config }) => ({ key: feature_key, config })),
    usage: lines.map(({ terms: _terms, ...line }) => line),
    entitlements,
  }
}

/** One entitlement by feature key or slug of its meter, the customer's own before its tier's. @throws AppError not_found. */
export async function getEntitlement(customerRef: string, feature: string): Promise<Entitlement> {
  const { entitlements } = await listEntitlements(customerRef)
  const found = pick(entitlements, feature)
  if (!found) throw notFound()
  return found
}

/** Whether a customer has access to a feature, and what is left of it. A feature nobody entitles to is no error. @throws AppError not_found for the customer. */
export async function getEntitlementValue(customerRef: string, feature: string): Promise<EntitlementValue> {
  const { entitlements } = await listEntitlements(customerRef)
  const found = pick(entitlements, feature)
  if (!found) return { has_access: false, config: null, usage: null, balance: null, overage: null, granted: null }
  const { has_access, config, usage, balance, overage, granted } = found
  return { has_access, config, usage, balance, overage, granted }
}

function pick(entitlements: readonly Entitlement[], feature: string): Entitlement | undefined {
  const name = feature.toLowerCase()
  const named = entitlements.filter(({ feature_key, meter }) => feature_key === name || meter?.slug === name)
  const own = named.filter(({ source }) => source === 'customer')
  // Its key may be what another one's meter is called.
  return own.find(({ feature_key }) => feature_key === name) ?? own[0] ?? named[0]
}

async function loadOwn(customerId: string): Promise<Own[]> {
  return tenantQuery<Own>(
    `select e.id, e.kind, e.feature_key, e.config, e.cap_limit::text, e.behaviour, e.period, e.rollover_min::text, e.rollover_max::text,
       e.preserve_overage, e.created_at,
       case when m.id is not null then jsonb_build_object('id', m.id, 'slug', m.slug, 'name', m.name, 'unit', m.unit,
         'aggregation', m.aggregation) end as meter
     from entitlements e
     left join meters m on m.tenant_id = $1 and m.id = e.meter_id
     where e.tenant_id = $1 and e.customer_id = $2 and e.canceled_at is null`,
    [currentContext().tenantId, customerId],
  )
}

async function loadTierFeatures({ tier, tier_version }: EntitledCustomer): Promise<{ key: string; config: unknown }[]> {
  if (!tier) return []
  return tenantQuery(
    'select key, config from tier_features where tenant_id = $1 and tier_id = $2 and version = $3 order by key',
    [currentContext().tenantId, tier.id, tier_version],
  )
}

function fromFeature({ key, config }: { key: string; config: unknown }): Entitlement {
  const kind = config === null ? 'boolean' : 'static'
  return { id: null, feature_key: key, kind, source: 'tier', has_access: true, config, ...UNMETERED, created_at: null }
}

function fromOwn(own: Own, lines: readonly Line[]): Entitlement {
  const { id, feature_key, kind, config, created_at, meter } = own
  const base = { id, feature_key, kind, source: 'customer' as const, config, created_at }
  if (!meter) return { ...base, has_access: true, ...UNMETERED }
  const terms = {
    meter,
    limit: toQuantity(own.cap_limit ?? '0'),
    behaviour: own.behaviour,
    period: own.period,
    rollover: { min: toQuantity(own.rollover_min), max: toQuantity(own.rollover_max) },
    preserve_overage: own.preserve_overage,
  }
  const line = lines.find(({ meter_id }) => meter_id === meter.id)
  // A meter that is archived takes nothing.
  if (!line) return { ...base, ...UNMETERED, ...terms, has_access: false }
  return { ...base, ...terms, ...stateOf(line) }
}

function fromLine(line: Line): Entitlement {
  const { meter_id: id, meter: slug, name, unit, aggregation, behaviour, period, terms } = line
  return {
    id: null,
    feature_key: slug,
    kind: 'metered',
    source: 'tier',
    config: null,
    meter: { id, slug, name, unit, aggregation },
    limit: terms.allowance === null ? null : toQuantity(terms.allowance),
    behaviour,
    period,
    rollover: { min: toQuantity(terms.rollover_min), max: toQuantity(terms.rollover_max) },
    preserve_overage: terms.preserve_overage,
    ...stateOf(line),
    created_at: null,
  }
}

function stateOf({ used, limit, remaining, overage, granted, held, behaviour, starts_on, reset_at, terms }: Line) {
  return {
    has_access: limit === null || behaviour === 'overflow' || Number(remaining) > 0,
    usage: used,
    balance: terms.left,
    overage,
    granted,
    held,
    starts_on,
    reset_at,
  }
}
