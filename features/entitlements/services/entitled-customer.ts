import { tenantQuery } from '@/libs/db/tenant-db'
import { notFound } from '@/libs/errors'
import { isUuid } from '@/libs/ids'
import { CUSTOMERS_WITH_TIER, IS_NAMED, TIER_OF_CUSTOMER } from '@/libs/metering/customer-tier'
import type { TierRef } from '@/libs/metering/fields'
import { currentContext } from '@/libs/tenancy/tenant-context'

export type EntitledCustomer = { id: string; tier: TierRef | null; tier_version: number | null; is_archived: boolean }
export type MeterRow = { id: string; slug: string; name: string; unit: string; aggregation: string }

/** A customer by id or external id, with its tier in the version it has. @throws AppError not_found. */
export async function findCustomer(reference: string): Promise<EntitledCustomer> {
  const [row] = await tenantQuery<EntitledCustomer>(
    `select c.id, ${TIER_OF_CUSTOMER} as tier,
       case when s.id is null then t.version else s.tier_version end as tier_version,
       c.archived_at is not null as is_archived
     from ${CUSTOMERS_WITH_TIER} ${IS_NAMED}`,
    [currentContext().tenantId, reference, isUuid(reference) ? reference : null],
  )
  if (!row) throw notFound()
  return row
}

/** Whether what is left of a meter can carry over and be added to. */
export function isAdditive({ aggregation }: Pick<MeterRow, 'aggregation'>): boolean {
  return aggregation === 'SUM' || aggregation === 'COUNT'
}
