import { tenantQuery } from '@/libs/db/tenant-db'
import { nothingNamed } from '@/libs/errors'
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

/** Id of the customer an id or external id names, null when there is none. An external id wins over an id. */
export async function findWatchedCustomer(ref: string): Promise<string | null> {
  const [row] = await tenantQuery<{ id: string }>(
    `select id from customers where tenant_id = $1 and (external_id = $2 or id::text = lower($2))
     order by external_id = $2 desc limit 1`,
    [currentContext().tenantId, ref],
  )
  return row?.id ?? null
}

/** The ids a list is narrowed to. @throws AppError not_found when a filter names nothing. */
export async function resolveWatched(filter: {
  meter?: string | undefined
  customer?: string | undefined
}): Promise<{ meterId: string | null; customerId: string | null }> {
  const meter = filter.meter === undefined ? null : await findWatchedMeter(filter.meter)
  const customer = filter.customer === undefined ? null : await findWatchedCustomer(filter.customer)
  if (filter.meter !== undefined && !meter) throw nothingNamed('/meter', 'meter')
  if (filter.customer !== undefined && !customer) throw nothingNamed('/customer', 'customer')
  return { meterId: meter?.id ?? null, customerId: customer }
}
