import { tenantQuery } from '@/libs/db/tenant-db'
import { type Quantity, toQuantity } from '@/libs/ingest/decimal'
import { fromMinor } from '@/libs/ingest/money'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { findOpenRequest, type UpgradeRequestRow } from './upgrade-request-service'

type Cap = { meter: string; name: string; unit: string; limit: Quantity; behaviour: string; period: string }
export type PortalTierRow = {
  id: string
  slug: string
  name: string
  description: string
  price: number
  price_minor: number
  currency: string
  billing_interval: string
  caps: Cap[]
  features: { key: string; name: string }[]
  present: boolean
  self_service: boolean
}
type StoredTier = Omit<PortalTierRow, 'price' | 'caps'> & { caps: (Omit<Cap, 'limit'> & { limit: string })[] }

/**
 * What the customer who is signed in has and may have: the tiers of the tenant, the cheapest first, each in its newest version; its
 * own in the version it has, also when the tier is sold no more.
 */
export async function listPortalTiers(): Promise<{ data: PortalTierRow[]; open_request: UpgradeRequestRow | null }> {
  const { tenantId, actor } = currentContext()
  const rows = await tenantQuery<StoredTier>(
    `with mine as (
       select coalesce(s.tier_id, d.id) as tier_id, coalesce(s.tier_version, d.version) as version
       from (values (1)) v (one)
       left join subscriptions s on s.tenant_id = $1 and s.customer_id = $2 and s.canceled_at is null
       left join tiers d on d.tenant_id = $1 and d.is_default and s.id is null
     )
     select t.id, t.slug, t.name, t.description, v.price_minor, v.currency, v.billing_interval, t.self_service,
       mine.tier_id is not distinct from t.id as present,
       (select coalesce(jsonb_agg(jsonb_build_object('meter', m.slug, 'name', m.name, 'unit', m.unit, 'limit', c.cap_limit::text,
           'behaviour', c.behaviour, 'period', c.period) order by m.name), '[]')
         from tier_caps c join meters m on m.tenant_id = $1 and m.id = c.meter_id and m.archived_at is null
         where c.tenant_id = $1 and c.tier_id = t.id and c.version = v.version) as caps,
       (select coalesce(jsonb_agg(jsonb_build_object('key', f.key, 'name', coalesce(n.name, f.key)) order by f.key), '[]')
         from tier_features f left join features n on n.tenant_id = $1 and n.key = f.key and n.archived_at is null
         where f.tenant_id = $1 and f.tier_id = t.id and f.version = v.version) as features
     from tiers t cross join mine
     join tier_versions v on v.tenant_id = $1 and v.tier_id = t.id
       and v.version = case when mine.tier_id = t.id then mine.version else t.version end
     where t.tenant_id = $1 and (t.archived_at is null or mine.tier_id = t.id)
     order by v.price_minor * case v.billing_interval when 'month' then 12 else 1 end, t.slug`,
    [tenantId, actor.customer_id ?? null],
  )
  const data = rows.map(({ caps, ...row }) => ({
    ...row,
    price: fromMinor(row.price_minor, row.currency),
    caps: caps.map((cap) => ({ ...cap, limit: toQuantity(cap.limit) })),
  }))
  return { data, open_request: await findOpenRequest() }
}
