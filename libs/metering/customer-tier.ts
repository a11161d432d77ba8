/**
 * Tables of customers (c) with the tier each has (t): that of its own subscription (s), else the default of the tenant. $1 is the
 * tenant.
 */
export const CUSTOMERS_WITH_TIER = `
  customers c
  left join subscriptions s on s.tenant_id = $1 and s.customer_id = c.id and s.canceled_at is null
  left join tiers d on d.tenant_id = $1 and d.is_default
  left join tiers t on t.tenant_id = $1 and t.id = coalesce(s.tier_id, d.id)`

/** Of such tables: the tier as a TierRef, or null. */
export const TIER_OF_CUSTOMER =
  "case when t.id is not null then jsonb_build_object('id', t.id, 'slug', t.slug, 'name', t.name) end"

/** Of such tables: the one customer that $2 names by id or external id; $3 is $2 where that is an id, which goes first. */
export const IS_NAMED =
  'where c.tenant_id = $1 and (c.external_id = $2 or c.id = $3) order by c.id = $3 desc nulls last limit 1'
