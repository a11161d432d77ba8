import { type ExactNumber, isExactNumber } from '@/libs/ingest/exact-number'
import { type MeterFilter, propertiesOf } from './meter-filter'

/** A meter as far as events need it that name a type. */
export type EventMeter = {
  slug: string
  type: string
  aggregation: string
  value_property: string | null
  group_by: string[]
  property_paths: Record<string, string> | null
  filter: MeterFilter | null
  archived: boolean
}
export type Scalar = string | number | ExactNumber | boolean | null

const DEEPEST = 16
const MOST_PROPERTIES = 64
const LONGEST_NAME = 128
const LONGEST = 8_000

const isScalar = (value: unknown): value is Scalar =>
  value === null || ['string', 'number', 'boolean'].includes(typeof value) || isExactNumber(value)

/** The scalars of an object by their path: `{a: {b: 1}}` is `a.b`. Lists are left out; the shallower name wins. */
export function flattenData(data: Readonly<Record<string, unknown>>): Map<string, Scalar> {
  const flat = new Map<string, Scalar>()
  let level: [prefix: string, object: Readonly<Record<string, unknown>>][] = [['', data]]
  for (let depth = 0; level.length > 0 && depth < DEEPEST; depth += 1) {
    const next: typeof level = []
    for (const [prefix, object] of level)
      for (const [name, value] of Object.entries(object)) {
        const path = prefix + name
        if (isScalar(value)) {
          if (!flat.has(path)) flat.set(path, value)
        } else if (typeof value === 'object' && value !== null && !Array.isArray(value))
          next.push([`${path}.`, value as Record<string, unknown>])
      }
    level = next
  }
  return flat
}

/**
 * The properties of an event as a meter counts it: what it needs first, then the rest as far as there is room.
 * A group that has a path of its own takes its value from there alone.
 */
export function layOutProperties(data: Readonly<Record<string, unknown>>, meter: EventMeter): Record<string, Scalar> {
  const flat = flattenData(data)
  const moved = Object.entries(meter.property_paths ?? {}).map(([name, path]) => [name, flat.get(path)] as const)
  for (const [name, value] of moved) {
    if (value === undefined) flat.delete(name)
    else flat.set(name, value)
  }
  const needed = new Set([
    meter.value_property ?? '',
    ...meter.group_by,
    ...(meter.filter ? propertiesOf(meter.filter) : []),
  ])
  const entries = [...flat].filter(([name]) => name.length <= LONGEST_NAME)
  const properties: Record<string, Scalar> = {}
  let count = 0
  let length = 2
  for (const [name, value] of [
    ...entries.filter(([name]) => needed.has(name)),
    ...entries.filter(([name]) => !needed.has(name)),
  ]) {
    const size = JSON.stringify(name).length + JSON.stringify(value).length + 2
    if (!needed.has(name) && (count >= MOST_PROPERTIES || length + size > LONGEST)) continue
    Object.defineProperty(properties, name, { value, enumerable: true, configurable: true, writable: true })
    count += 1
    length += size
  }
  return properties
}

/** What an event counts for when its meter takes no property: its `value`, where it has one. */
export function readValue(
  data: Readonly<Record<string, unknown>>,
  meter: EventMeter,
): string | number | ExactNumber | undefined {
  if (meter.value_property !== null || meter.aggregation === 'COUNT') return undefined
  const value = Object.hasOwn(data, 'value') ? data.value : undefined
  return typeof value === 'number' || typeof value === 'string' || isExactNumber(value) ? value : undefined
}
