import { keepRecord } from '@/features/compatibility/services/compat-record-service'
import { meterInput } from '@/features/meters/schema'
import { createMeter, getMeter, listMeters, type MeterRow } from '@/features/meters/services/meter-service'
import { parseInput } from '@/libs/api-utils/read-json'
import { AppError, invalidInput } from '@/libs/errors'
import type { MeterFilter } from '@/libs/metering/meter-filter'
import { type FilterString, toMeterFilter } from './filter-string'
import { readAll } from './openmeter-route'

const LONGEST_SLUG = 64

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
    slug: await freeSlug(`${base.slug}_${featureKey}`),
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
  try {
    const meter = await getMeter(slug)
    if (!meter.archived_at) return meter
  } catch (error) {
    if (!(error instanceof AppError && error.code === 'not_found')) throw error
  }
  throw invalidInput('/meterSlug', 'there is no such meter')
}

async function freeSlug(wanted: string): Promise<string> {
  const base = wanted
    .replace(/[^a-z0-9]+/g, '_')
    .slice(0, LONGEST_SLUG - 4)
    .replace(/_+$/, '')
  const meters = await readAll((cursor) => listMeters({ cursor, limit: 200, archived: 'all' }))
  const taken = new Set(meters.map(({ slug }) => slug))
  let slug = base
  for (let number = 2; taken.has(slug); number += 1) slug = `${base}_${number}`
  return slug
}
