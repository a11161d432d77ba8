import { tenantQuery } from '@/libs/db/tenant-db'
import { notFound } from '@/libs/errors'
import { isUuid } from '@/libs/ids'
import { currentContext } from '@/libs/tenancy/tenant-context'

export type TierRef = { id: string; slug: string; name: string }
export type EntitledCustomer = { id: string; tier: TierRef | null; tier_version: number | null; is_archived: boolean }
export type MeterRow = { id: string; slug: string; name: string; unit: string; aggregation: string }

/** A customer by id or external id, with its tier in the version it has. @throws AppError not_found. */
export async function findCustomer(reference: string): Promise<EntitledCustomer> {
  const [row] = await tenantQuery<EntitledCustomer>(
    `select c.id, case when t.id is not null then jsonb_build_object('id', t.id, 'slug', t.slug, 'name', t.name) end as tier,
       case when s.id is null then t.version else s.tier_version end as tier_version,
       c.archived_at is not null as is_archived
     from customers c
     left join subscriptions s on s.tenant_id = $1 and s.customer_id = c.id and s.canceled_at is null
     left join tiers d on d.tenant_id = $1 and d.is_default
     left join tiers t on t.tenant_id = $1 and t.id = coalesce(s.tier_id, d.id)
     where c.tenant_id = $1 and (c.external_id = $2 or c.id = $3) order by c.id = $3 desc nulls last limit 1`,
    [currentContext().tenantId, reference, isUuid(reference) ? reference : null],
  )
  if (!row) throw notFound()
  return row
}

/** Whether what is left of a meter can carry over and be added to. */
export function isAdditive({ aggregation }: Pick<MeterRow, 'aggregation'>): boolean {
  return aggregation === 'SUM' || aggregation === 'COUNT'
}
