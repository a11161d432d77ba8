import { tenantQuery } from '@/libs/db/tenant-db'
import { nothingNamed } from '@/libs/errors'
import { resolveCustomerFilter } from '@/libs/metering/find-customers'
import { currentContext } from '@/libs/tenancy/tenant-context'

export type WatchedMeter = { id: string; aggregation: string; archived_at: Date | null }

/** The meter an id or slug names, null when there is none. */
export async function findWatchedMeter(ref: string): Promise<WatchedMeter | null> {
  const [row] = await tenantQuery<WatchedMeter>(
    'select id, aggregation, archived_at from meters where tenant_id = $1 and (slug = lower($2) or id::text = lower($2)) limit 1',
    [currentContext().tenantId, ref],
  )
  return row ?? null
}

/** The ids a list is narrowed to. @throws AppError not_found when a filter names nothing. */
export async function resolveWatched(filter: {
  meter?: string | undefined
  customer?: string | undefined
}): Promise<{ meterId: string | null; customerId: string | null }> {
  const meter = filter.meter === undefined ? null : await findWatchedMeter(filter.meter)
  if (filter.meter !== undefined && !meter) throw nothingNamed('/meter', 'meter')
  return { meterId: meter?.id ?? null, customerId: await resolveCustomerFilter(filter.customer) }
}
