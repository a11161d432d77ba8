import { tenantQuery } from '@/libs/db/tenant-db'
import { isUuid } from '@/libs/ids'
import { currentContext } from '@/libs/tenancy/tenant-context'

/** A customer's own entitlement, by its names alone. */
export type OwnEntitlement = { id: string; customer_id: string; external_id: string; feature_key: string }
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
): Promise<{ total: number; data: OwnEntitlement[] }> {
  const rows = await tenantQuery<OwnEntitlement & { total: number }>(
    `select e.id, e.customer_id, c.external_id, e.feature_key, count(*) over ()::integer as total
     from entitlements e join customers c on c.tenant_id = $1 and c.id = e.customer_id
     where e.tenant_id = $1 and e.canceled_at is null and ($2::uuid[] is null or e.customer_id = any ($2))
       and ($3::text[] is null or e.feature_key = any ($3)) and ($4::text[] is null or e.kind = any ($4))
     order by e.created_at ${query.descending ? 'desc' : 'asc'}, e.id ${query.descending ? 'desc' : 'asc'} limit $5 offset $6`,
    [
      currentContext().tenantId,
      query.customers,
      query.features,
      query.kinds,
      query.page_size,
      (query.page - 1) * query.page_size,
    ],
  )
  return { total: rows[0]?.total ?? 0, data: rows.map(({ total: _total, ...row }) => row) }
}

/** Whose entitlement of its own an id is; null when it is nobody's. */
export async function findEntitlementOwner(id: string): Promise<OwnEntitlement | null> {
  if (!isUuid(id)) return null
  const [row] = await tenantQuery<OwnEntitlement>(
    `select e.id, e.customer_id, c.external_id, e.feature_key
     from entitlements e join customers c on c.tenant_id = $1 and c.id = e.customer_id
     where e.tenant_id = $1 and e.id = $2 and e.canceled_at is null`,
    [currentContext().tenantId, id],
  )
  return row ?? null
}
