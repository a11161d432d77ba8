import { tenantQuery } from '@/libs/db/tenant-db'
import { invalidInput, nothingNamed } from '@/libs/errors'
import { isUuid } from '@/libs/ids'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { resolveCustomerFilter } from './find-customers'

export type MeterRef = { id: string; slug: string; name: string; unit: string; aggregation: string }
export type FoundMeter = MeterRef & { archived_at: Date | null }

/** All meters, archived ones included, or the one of this id, by slug. */
export function loadMeters(id: string | null): Promise<MeterRef[]> {
  return tenantQuery<MeterRef>(
    'select id, slug, name, unit, aggregation from meters where tenant_id = $1 and ($2::uuid is null or id = $2) order by slug',
    [currentContext().tenantId, id],
  )
}

/** The meter that an id or slug names, archived ones included; null when there is none. */
export async function findMeter(ref: string): Promise<FoundMeter | null> {
  const [row] = await tenantQuery<FoundMeter>(
    `select id, slug, name, unit, aggregation, archived_at from meters
     where tenant_id = $1 and (slug = $2 or id = $3) limit 1`,
    [currentContext().tenantId, ref.toLowerCase(), isUuid(ref) ? ref : null],
  )
  return row ?? null
}

/** A meter that is in use, by id or slug. @throws AppError invalid_input that points at `/meter`. */
export async function requireMeter(ref: string): Promise<FoundMeter> {
  const meter = await findMeter(ref)
  if (!meter || meter.archived_at) throw invalidInput('/meter', 'there is no such meter')
  return meter
}

/** Id of the meter that a filter names, null without a filter. @throws AppError not_found when it names none. */
export async function resolveMeterFilter(ref: string | undefined): Promise<string | null> {
  if (ref === undefined) return null
  const meter = await findMeter(ref)
  if (!meter) throw nothingNamed('/meter', 'meter')
  return meter.id
}

export type UsageFilter = { meterId: string | null; customerId: string | null }

/** Ids of the meter and customer that a list or report is narrowed to. @throws AppError not_found for one that is not there. */
export async function resolveUsageFilter(filter: {
  meter?: string | undefined
  customer?: string | undefined
}): Promise<UsageFilter> {
  return {
    meterId: await resolveMeterFilter(filter.meter),
    customerId: await resolveCustomerFilter(filter.customer),
  }
}
