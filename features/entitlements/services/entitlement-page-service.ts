import { tenantQuery } from '@/libs/db/tenant-db'
import { isUuid } from '@/libs/ids'
import { type Quantity, toQuantity } from '@/libs/ingest/decimal'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { readTimeZone } from '@/libs/tenancy/time-zone'
import type { Entitlement } from './entitlement-service'

/** A customer's own entitlement: its terms and its present period, without what was used of it. */
export type ListedEntitlement = Pick<
  Entitlement,
  | 'id'
  | 'feature_key'
  | 'kind'
  | 'config'
  | 'behaviour'
  | 'period'
  | 'preserve_overage'
  | 'starts_on'
  | 'reset_at'
  | 'created_at'
> & {
  id: string
  meter: { id: string } | null
  limit: Quantity | null
  customer: { id: string; external_id: string; metadata: unknown; created_at: Date }
}
type Stored = Omit<ListedEntitlement, 'limit' | 'customer'> & {
  cap_limit: string | null
  customer_id: string
  external_id: string
  metadata: unknown
  customer_since: Date
}
export type EntitlementPageQuery = {
  /** From 1. */
  page: number
  page_size: number
  customers: readonly string[] | null
  features: readonly string[] | null
  kinds: readonly string[] | null
  descending: boolean
}

/** Entitlements customers have as their own, by number of page, the oldest first; and how many there are. */
export async function listEntitlementPage(
  query: EntitlementPageQuery,
): Promise<{ total: number; data: ListedEntitlement[] }> {
  const direction = query.descending ? 'desc' : 'asc'
  const rows = await tenantQuery<Stored & { total: number }>(
    `with chosen as (
       select e.id, e.created_at from entitlements e
       where e.tenant_id = $1 and e.canceled_at is null and ($2::uuid[] is null or e.customer_id = any ($2))
         and ($3::text[] is null or e.feature_key = any ($3)) and ($4::text[] is null or e.kind = any ($4))
     )
     select (select count(*)::integer from chosen) as total, e.id, e.feature_key, e.kind, e.config,
       case when e.kind = 'metered' then coalesce(e.cap_limit, 0)::text end as cap_limit,
       case when e.kind = 'metered' then e.behaviour end as behaviour, case when e.kind = 'metered' then e.period end as period,
       case when e.kind = 'metered' then e.preserve_overage end as preserve_overage, e.created_at,
       case when e.kind = 'metered' then jsonb_build_object('id', e.meter_id) end as meter, p.starts_on::text,
       app.day_start(app.period_end(p.starts_on, e.period, p.anchor), $7) as reset_at,
       c.id as customer_id, c.external_id, c.metadata, c.created_at as customer_since
     from (select x.id from chosen x order by x.created_at ${direction}, x.id ${direction} limit $5 offset $6) page
     join entitlements e on e.tenant_id = $1 and e.id = page.id
     join customers c on c.tenant_id = $1 and c.id = e.customer_id
     left join meters m on m.tenant_id = $1 and m.id = e.meter_id and m.archived_at is null
     left join subscriptions s on s.tenant_id = $1 and s.customer_id = c.id and s.canceled_at is null
     left join lateral (
       select a.anchor, app.period_start((statement_timestamp() at time zone $7)::date, e.period, a.anchor) as starts_on
       from (select coalesce(s.anchor_day, 1)::integer as anchor) a where m.id is not null
     ) p on true
     order by e.created_at ${direction}, e.id ${direction}`,
    [
      currentContext().tenantId,
      query.customers,
      query.features,
      query.kinds,
      query.page_size,
      (query.page - 1) * query.page_size,
      await readTimeZone(),
    ],
  )
  // Beyond the last page there is no row to say how many there are.
  if (rows.length === 0 && query.page > 1)
    return { total: (await listEntitlementPage({ ...query, page: 1, page_size: 1 })).total, data: [] }
  return { total: rows[0]?.total ?? 0, data: rows.map(toListed) }
}

function toListed({
  total: _total,
  cap_limit,
  customer_id,
  external_id,
  metadata,
  customer_since,
  ...row
}: Stored & { total: number }): ListedEntitlement {
  return {
    ...row,
    limit: cap_limit === null ? null : toQuantity(cap_limit),
    customer: { id: customer_id, external_id, metadata, created_at: customer_since },
  }
}

/** The customer whose entitlement of its own an id is; null when it is nobody's. */
export async function findEntitlementOwner(id: string): Promise<string | null> {
  if (!isUuid(id)) return null
  const [row] = await tenantQuery<{ customer_id: string }>(
    'select customer_id from entitlements where tenant_id = $1 and id = $2 and canceled_at is null',
    [currentContext().tenantId, id],
  )
  return row?.customer_id ?? null
}
