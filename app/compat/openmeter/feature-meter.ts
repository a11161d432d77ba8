import { freeSlug } from '@/app/compat/free-slug'
import { readAll } from '@/app/compat/read-all'
import { keepRecord } from '@/features/compatibility/services/compat-record-service'
import { meterInput } from '@/features/meters/schema'
import { createMeter, getMeter, listMeters, type MeterRow } from '@/features/meters/services/meter-service'
import { parseInput } from '@/libs/api-utils/read-json'
import { invalidInput, orNull } from '@/libs/errors'
import type { MeterFilter } from '@/libs/metering/meter-filter'
import { type FilterString, toMeterFilter } from './filter-string'

/**
 * Makes the meter that counts what of another one is a feature's: the same events through a filter on its groups, from now
 * on. Gives its id. @throws AppError invalid_input for a meter or group that is not there.
 */
export async function createFeatureMeter(
  meterSlug: string,
  featureKey: string,
  filters: Readonly<Record<string, FilterString>>,
): Promise<string> {
  const base = await requireMeter(meterSlug)
  const parts = Object.entries(filters).map(([group, asked]): MeterFilter => {
    const pointer = `/meterGroupByFilters/${group}`
    if (!base.group_by.includes(group)) throw invalidInput(pointer, `is not a group of ${base.slug}`)
    const filter = toMeterFilter(group, asked)
    if (filter === null) throw invalidInput(pointer, 'asks for nothing')
    if ('impossible' in filter) throw invalidInput(`${pointer}/${filter.impossible}`, 'cannot be asked of a meter here')
    return filter
  })
  const all = base.filter ? [base.filter as MeterFilter, ...parts] : parts
  const input = {
    slug: await slugFor(`${base.slug}_${featureKey}`),
    name: `${base.name}: ${featureKey}`.slice(0, 120),
    unit: base.unit,
    aggregation: base.aggregation,
    event_type: base.event_type ?? base.slug,
    value_property: base.value_property,
    group_by: base.group_by,
    allows_negative: base.allows_negative,
    filter: all.length > 1 ? { and: all } : all[0],
    ...(base.property_paths ? { property_paths: base.property_paths } : {}),
  }
  const { id } = await createMeter(parseInput(meterInput, input))
  await keepRecord('meter', id, { feature: featureKey })
  return id
}

async function requireMeter(slug: string): Promise<MeterRow> {
  const meter = await orNull(getMeter(slug))
  if (!meter || meter.archived_at) throw invalidInput('/meterSlug', 'there is no such meter')
  return meter
}

async function slugFor(wanted: string): Promise<string> {
  const meters = await readAll((cursor) => listMeters({ cursor, limit: 200, archived: 'all' }))
  return freeSlug(wanted.replace(/[^a-z0-9]+/g, '_'), meters)
}
