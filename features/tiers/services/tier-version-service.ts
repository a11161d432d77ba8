import { cutPage, isCount, type Page, type PageQuery, readCursor } from '@/libs/api-utils/page'
import { tenantQuery } from '@/libs/db/tenant-db'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { CONTENT, getTier, type StoredContent, type TierRow, toContent } from './tier-service'

export type TierVersionRow = Pick<
  TierRow,
  | 'version'
  | 'price'
  | 'price_minor'
  | 'currency'
  | 'billing_interval'
  | 'usage_caps'
  | 'feature_entitlements'
  | 'customers'
> & { created_at: Date }

/** The versions of a tier, the newest first, each with what it holds and how many customers have it. @throws AppError not_found. */
export async function listTierVersions(ref: string, { cursor, limit }: PageQuery): Promise<Page<TierVersionRow>> {
  const { id } = await getTier(ref)
  const [before] = readCursor(cursor, isCount)
  const rows = await tenantQuery<Omit<TierVersionRow, 'price' | 'usage_caps'> & StoredContent>(
    `select v.version, v.price_minor, v.currency, v.billing_interval, v.created_at, ${CONTENT},
       (select count(*) from subscriptions s where s.tenant_id = $1 and s.tier_id = v.tier_id and s.tier_version = v.version
         and s.canceled_at is null) as customers
     from tier_versions v
     where v.tenant_id = $1 and v.tier_id = $2 and ($3::integer is null or v.version < $3) order by v.version desc limit $4`,
    [currentContext().tenantId, id, before ?? null, limit + 1],
  )
  return cutPage(rows.map(toContent), limit, (row) => [String(row.version)])
}
