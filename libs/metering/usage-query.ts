import { z } from 'zod'
import { noteName, readKey } from '@/libs/api-utils/field-names'
import { reportMoment } from '@/libs/api-utils/moment'
import { noteRead } from '@/libs/api-utils/name-as-sent'
import { parseInput, parseJson } from '@/libs/api-utils/read-json'
import { spellTimeZone } from '@/libs/api-utils/time-zone-input'
import { AppError, invalidInput } from '@/libs/errors'
import { customerRef, quantity } from '@/libs/metering/fields'
import { type FilterCondition, type MeterFilter, meterFilter } from './meter-filter'

const WINDOWS = ['MINUTE', 'HOUR', 'DAY', 'WEEK', 'MONTH'] as const
export type UsageWindow = (typeof WINDOWS)[number]

/** Rows of one answer at most: windows times what they are split by. */
export const MOST_ROWS = 50_000

/** Customers of one question at most, and characters of a list of them. */
export const MOST_CUSTOMERS = 100
const LONGEST_LIST = MOST_CUSTOMERS * 256

const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')])

/** What can be asked of a meter's usage. */
export const usageQueryInput = z.strictObject({
  time_range: z
    .enum(['24h', '7d', '30d', '90d', '12m'])
    .optional()
    .meta({ description: 'Whole days up to today, or 24 whole hours; default 30d' }),
  from: reportMoment.optional().meta({ description: 'A day of `time_zone`, or a moment' }),
  to: reportMoment.optional().meta({ description: 'Exclusive; the end of today when left out' }),
  window: z
    .preprocess((value) => (typeof value === 'string' ? value.toUpperCase() : value), z.enum(WINDOWS))
    .optional()
    .meta({ description: 'One row for each; without it one total. MINUTE: at most 7 days, HOUR: at most 366' }),
  time_zone: z
    .string()
    .max(64)
    .transform(spellTimeZone)
    .optional()
    .meta({ description: 'IANA name; the tenant’s own when left out' }),
  customer: z
    .array(z.string().trim().min(1).max(LONGEST_LIST))
    .max(MOST_CUSTOMERS)
    .default([])
    .meta({ description: `Ids or external ids: repeated, or separated by commas; ${MOST_CUSTOMERS} at most` }),
  group_by: z
    .array(z.string().min(1).max(128))
    .max(6)
    .default([])
    .meta({ description: 'Properties out of the meter’s group_by, and `customer`' }),
  filter: meterFilter.optional(),
  fill: flag.default(false).meta({ description: 'true: windows without usage as well' }),
})
export type UsageQueryInput = z.infer<typeof usageQueryInput>

export const usageSeries = z
  .object({
    meter: z.object({
      id: z.uuid(),
      slug: z.string(),
      name: z.string(),
      unit: z.string(),
      aggregation: z.string(),
      group_by: z.array(z.string()),
    }),
    aggregation: z.string(),
    from: z.iso.datetime(),
    to: z.iso.datetime(),
    window: z.enum(WINDOWS).nullable(),
    time_zone: z.string(),
    as_of: z.iso.datetime().meta({ description: 'When it was asked: a WEIGHTED_SUM is averaged up to here' }),
    data: z.array(
      z.object({
        window_start: z.iso.datetime(),
        window_end: z.iso.datetime(),
        value: quantity
          .nullable()
          .meta({ description: 'Exact; null for the MIN, MAX, AVG or LATEST of nothing. Quotients to 12 decimals' }),
        events: z.number().int(),
        customer: customerRef.optional(),
        group: z.record(z.string(), z.string().nullable()).optional(),
      }),
    ),
  })
  .meta({ id: 'UsageSeries' })
export type UsageSeries = z.infer<typeof usageSeries>

const GROUP_FILTER = /^filter\[(.+)\]$/s

/** `filter[a]=x&filter[a]=y&filter[b]=z` as a filter: a is x or y, and b is z. */
function joinFilters(chosen: ReadonlyMap<string, string[]>): MeterFilter | undefined {
  const conditions = [...chosen].map(([property, values]): FilterCondition => {
    const [only = ''] = values
    return values.length > 1 ? { property, operator: 'in', value: values } : { property, operator: 'eq', value: only }
  })
  const [first] = conditions
  return conditions.length > 1 ? { and: conditions } : first
}

/**
 * The query of a request about usage, with the rest of its parameters (such as `meter` or `format`) by name.
 * Names may be camelCase. @throws AppError invalid_input, bad_request.
 */
export function readUsageQuery(
  request: Request,
  others: readonly string[],
): { query: UsageQueryInput; rest: Record<string, string> } {
  const values: Record<string, unknown> = {}
  const rest: Record<string, string> = {}
  const chosen = new Map<string, string[]>()
  for (const [name, value] of new URL(request.url).searchParams) {
    if (name === 'tenant') continue
    if (`${name}${value}`.includes('\0') || !value.isWellFormed())
      throw new AppError('bad_request', 'NUL characters and lone surrogates are not allowed.')
    const key = readKey(name)
    if (key !== name) noteName(values, key, name)
    const property = GROUP_FILTER.exec(name)?.[1]
    if (property !== undefined) chosen.set(property, [...(chosen.get(property) ?? []), value])
    else if (others.includes(key)) rest[key] = value
    // A name may have a comma in it: what a list of customers is made of is found out where they are looked up.
    else if (key === 'customer') values[key] = [...((values[key] as string[]) ?? []), ...(value.trim() ? [value] : [])]
    else if (key === 'group_by')
      values[key] = [...((values[key] as string[]) ?? []), ...value.split(',').filter(Boolean)]
    else if (key === 'filter') values.filter = readJsonFilter(value)
    else values[key] = value
  }
  if (chosen.size > 0) {
    const joined = joinFilters(chosen)
    values.filter = values.filter === undefined ? joined : { and: [values.filter, joined] }
  }
  noteRead(request, values)
  return { query: parseInput(usageQueryInput, values), rest }
}

function readJsonFilter(text: string): unknown {
  try {
    return parseJson(text)
  } catch {
    throw invalidInput('/filter', 'must be JSON, or name a property: filter[region]=eu')
  }
}
