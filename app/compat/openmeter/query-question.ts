import { z } from 'zod'
import type { MeterRow } from '@/features/meters/services/meter-service'
import { getUsageSettings } from '@/features/usage-tracking/services/usage-settings-service'
import { zonedMoment } from '@/libs/api-utils/moment'
import { parseInput, parseJson } from '@/libs/api-utils/read-json'
import { customerNameInput } from '@/libs/api-utils/text-input'
import { invalidInput } from '@/libs/errors'
import type { FilterCondition, MeterFilter } from '@/libs/metering/meter-filter'
import { filterString, toMeterFilter } from './filter-string'
import { readParameters } from './openmeter-route'
import { DAY_MS, LONGEST_DAYS } from './periods'

const MINUTE_MS = 60_000
/** An event may be older than the meter that counts it. */
const LATEST_DAYS = 400

const customers = z.array(customerNameInput()).max(100)
const texts = z.array(z.string().min(1).max(510)).max(100)
/** What is asked of a meter: as the body of a POST, or as parameters (`readQuestion`). */
export const question = z.strictObject({
  clientId: z.string().optional(),
  from: zonedMoment.optional(),
  to: zonedMoment.optional(),
  windowSize: z.enum(['MINUTE', 'HOUR', 'DAY', 'MONTH']).optional(),
  windowTimeZone: z.string().default('UTC'),
  subject: customers.optional(),
  filterCustomerId: customers.optional(),
  groupBy: z.array(z.string()).default([]),
  filterGroupBy: z.record(z.string(), texts).default({}),
  advancedMeterGroupByFilters: z.record(z.string(), filterString).default({}),
})
export type Question = z.infer<typeof question>

const LISTS = new Set(['subject', 'filterCustomerId', 'groupBy'])

/** @throws AppError invalid_input. */
export function readQuestion(request: Request): Question {
  const values: Record<string, unknown> = {}
  const filter: Record<string, string[]> = {}
  for (const [name, value] of readParameters(request)) {
    const group = /^filterGroupBy\[(.+)\]$/.exec(name)?.[1]
    if (group !== undefined) filter[group] = [...(filter[group] ?? []), value]
    else if (LISTS.has(name)) values[name] = [...((values[name] as string[]) ?? []), value]
    else if (name === 'advancedMeterGroupByFilters') values[name] = readFilters(value)
    else if (name !== 'tenant') values[name] = value
  }
  return parseInput(question, { ...values, filterGroupBy: filter })
}

function readFilters(text: string): unknown {
  try {
    return parseJson(text, { verbatim: true })
  } catch {
    throw invalidInput('/advancedMeterGroupByFilters', 'must be the text of JSON')
  }
}

/** The end of a question that names none: behind everything that may have been taken in, a little ahead of its time too. */
async function latest(): Promise<number> {
  const { accepts_early_seconds } = await getUsageSettings()
  return Math.ceil((Date.now() + accepts_early_seconds * 1_000 + 1) / MINUTE_MS) * MINUTE_MS
}

/** The range of a question. */
export async function rangeOf(
  { from, to, windowSize }: Question,
  meter: MeterRow,
): Promise<{ from: string; to: string }> {
  // Of what is to come there is nothing yet, which is no mistake of whoever asks.
  const end = to === undefined ? Math.max(await latest(), from ? Date.parse(from) + MINUTE_MS : 0) : Date.parse(to)
  if (from !== undefined) return { from: new Date(from).toISOString(), to: new Date(end).toISOString() }
  // Whole minutes, of which the first must not make the range too long.
  const earliest = Math.max(
    Math.floor((meter.created_at.getTime() - LATEST_DAYS * DAY_MS) / MINUTE_MS),
    Math.ceil((end - LONGEST_DAYS[windowSize ?? 'MONTH'] * DAY_MS) / MINUTE_MS),
  )
  const start = Math.min(earliest * MINUTE_MS, end - MINUTE_MS)
  return { from: new Date(start).toISOString(), to: new Date(end).toISOString() }
}

/** The filters of a question as one of ours; null where there is none. @throws AppError invalid_input. */
export function filterOf({ filterGroupBy, advancedMeterGroupByFilters }: Question): MeterFilter | null {
  const parts: MeterFilter[] = Object.entries(filterGroupBy).map(
    ([property, value]): FilterCondition => ({ property, operator: 'in', value }),
  )
  for (const [property, asked] of Object.entries(advancedMeterGroupByFilters)) {
    const filter = toMeterFilter(property, asked)
    if (filter && 'impossible' in filter)
      throw invalidInput(
        `/advancedMeterGroupByFilters/${property}/${filter.impossible}`,
        'cannot be asked of a meter here',
      )
    if (filter) parts.push(filter)
  }
  const [only] = parts
  return parts.length > 1 ? { and: parts } : (only ?? null)
}
