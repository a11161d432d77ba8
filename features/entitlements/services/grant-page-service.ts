import { tenantQuery } from '@/libs/db/tenant-db'
import { type Quantity, toQuantity } from '@/libs/ingest/decimal'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { readTimeZone } from '@/libs/tenancy/time-zone'

/** A grant and what it belongs to, without what is left of it. */
export type ListedGrant = {
  id: string
  customer_id: string
  /** The entitlement it adds to; null where that is the tier's. */
  entitlement_id: string | null
  feature_key: string
  amount: Quantity
  priority: number
  effective_at: Date
  expires_at: Date | null
  recurrence: 'day' | 'week' | 'month' | 'year' | null
  rollover: { min: Quantity; max: Quantity }
  next_issue_at: Date | null
  metadata: unknown
  created_at: Date
  voided_at: Date | null
}
type Stored = Omit<ListedGrant, 'amount' | 'rollover'> & { amount: string; rollover_min: string; rollover_max: string }
export type GrantPageQuery = {
  /** From 1. */
  page: number
  page_size: number
  customers: readonly string[] | null
  /** Keys of features, or slugs of meters. */
  features: readonly string[] | null
  /** Whether those that expired or were taken back are among them. */
  closed: boolean
  descending: boolean
}

/** Grants of all customers, by number of page, the oldest first; and how many there are. */
export async function listGrantPage(query: GrantPageQuery): Promise<{ total: number; data: ListedGrant[] }> {
  const direction = query.descending ? 'desc' : 'asc'
  const rows = await tenantQuery<Stored & { total: number }>(
    `select g.id, g.customer_id, e.id as entitlement_id, coalesce(e.feature_key, m.slug) as feature_key, g.amount::text, g.priority, g.effective_at,
       g.expires_at, g.recurrence, g.rollover_min::text, g.rollover_max::text, g.metadata, g.created_at, g.voided_at,
       case when g.voided_at is null and d.due > statement_timestamp() and d.due < coalesce(g.expires_at, 'infinity') then d.due end as next_issue_at,
       count(*) over ()::integer as total
     from grants g
     join meters m on m.tenant_id = $1 and m.id = g.meter_id
     left join lateral (
       select x.id, x.feature_key from entitlements x
       where x.tenant_id = $1 and x.customer_id = g.customer_id and x.meter_id = g.meter_id and x.canceled_at is null limit 1
     ) e on true
     cross join lateral (select app.grant_due(g.effective_at, g.recurrence, g.issues, $2) as due) d
     where g.tenant_id = $1 and ($3::uuid[] is null or g.customer_id = any ($3))
       and ($4::text[] is null or e.feature_key = any ($4) or m.slug = any ($4))
       and ($5 or (g.voided_at is null and (g.expires_at is null or g.expires_at > statement_timestamp())))
     order by g.created_at ${direction}, g.id ${direction} limit $6 offset $7`,
    [
      currentContext().tenantId,
      await readTimeZone(),
      query.customers,
      query.features,
      query.closed,
      query.page_size,
      (query.page - 1) * query.page_size,
    ],
  )
  // Beyond the last page there is no row to say how many there are.
  if (rows.length === 0 && query.page > 1)
    return { total: (await listGrantPage({ ...query, page: 1, page_size: 1 })).total, data: [] }
  return {
    total: rows[0]?.total ?? 0,
    data: rows.map(({ total: _total, amount, rollover_min, rollover_max, ...row }) => ({
      ...row,
      amount: toQuantity(amount),
      rollover: { min: toQuantity(rollover_min), max: toQuantity(rollover_max) },
    })),
  }
}
