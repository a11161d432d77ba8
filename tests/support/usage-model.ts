// What usage is, said once more in plain TypeScript and without any running total: the tests compare the product with it.
import { type Quantity, toQuantity } from '@/libs/ingest/decimal'
import type { FilterScalar, MeterFilter } from '@/libs/metering/meter-filter'
import { passesFilter } from './filter-model'

export type ModelMeter = {
  slug: string
  aggregation: string
  value_property: string | null
  group_by: string[]
  filter: MeterFilter | null
}

/** An event that was taken in, in the order of arrival. */
export type ModelEvent = {
  meter: string
  customer: string
  /** Decimal text. */
  value: string
  at: Date
  properties: Record<string, FilterScalar>
}

export type ModelQuestion = {
  meter: ModelMeter
  from: Date
  to: Date
  window: 'MINUTE' | 'HOUR' | 'DAY' | 'WEEK' | 'MONTH' | null
  time_zone: string
  customers?: readonly string[]
  by_customer?: boolean
  group_by?: readonly string[]
  filter?: MeterFilter | null
  fill?: boolean
  /** Until when a level is averaged in the window that runs. */
  now: Date
}

export type ModelRow = {
  window_start: string
  window_end: string
  customer: string | null
  group: Record<string, string | null> | null
  /** Plain decimal text without trailing zeros, or null for nothing. */
  value: string | null
  events: number
}

const SCALE = 20n
const ONE = 10n ** SCALE
const QUARTER = 900_000

/** A decimal text as a whole number of 10^-20. */
export function toUnits(text: string): bigint {
  const match = /^([+-]?)(\d+)(?:\.(\d+))?$/.exec(text)
  if (!match) throw new RangeError(`not a decimal: ${text}`)
  const units = BigInt(`${match[2]}${(match[3] ?? '').padEnd(Number(SCALE), '0')}`)
  return match[1] === '-' ? -units : units
}

/** The decimal text of a whole number of 10^-20. */
function fromUnits(units: bigint): string {
  const digits = (units < 0n ? -units : units).toString().padStart(Number(SCALE) + 1, '0')
  const fraction = digits.slice(-Number(SCALE)).replace(/0+$/, '')
  return `${units < 0n ? '-' : ''}${digits.slice(0, -Number(SCALE))}${fraction ? `.${fraction}` : ''}`
}

/** A quotient to 12 decimals, half away from zero, as a whole number of 10^-20. */
function quotient(dividend: bigint, divisor: bigint): bigint {
  const to12 = 10n ** 12n
  const size = dividend < 0n ? -dividend : dividend
  const rounded = (2n * size * to12 + divisor * ONE) / (2n * divisor * ONE)
  return (dividend < 0n ? -rounded : rounded) * (ONE / to12)
}

type Clock = { day: string; hour: string; offset: number }
const formats = new Map<string, Intl.DateTimeFormat>()

/** What the clocks of a time zone show at a moment. */
function clockAt(at: number, timeZone: string): Clock {
  let format = formats.get(timeZone)
  if (!format) {
    format = new Intl.DateTimeFormat('en-CA', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    })
    formats.set(timeZone, format)
  }
  const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]))
  const day = `${parts.year}-${parts.month}-${parts.day}`
  const shown = Date.parse(`${day}T${parts.hour}:${parts.minute}:${parts.second}Z`)
  return { day, hour: parts.hour ?? '', offset: shown - Math.floor(at / 1000) * 1000 }
}

/** What tells the window a moment is in from its neighbours. */
function windowKey(at: number, window: ModelQuestion['window'], timeZone: string): string {
  if (window === null) return ''
  if (window === 'MINUTE') return String(Math.floor(at / 60_000))
  const { day, hour, offset } = clockAt(at, timeZone)
  if (window === 'HOUR') return `${day} ${hour} ${offset}`
  if (window === 'MONTH') return day.slice(0, 7)
  if (window === 'DAY') return day
  const date = new Date(`${day}T00:00:00Z`)
  date.setUTCDate(date.getUTCDate() - ((date.getUTCDay() + 6) % 7))
  return date.toISOString().slice(0, 10)
}

/** The windows of a range: clocks only ever change at a quarter of an hour, so that is how far one has to look. */
function modelWindows({ from, to, window, time_zone }: ModelQuestion): { start: number; end: number }[] {
  const step = window === 'MINUTE' ? 60_000 : QUARTER
  const windows: { start: number; end: number }[] = []
  let key: string | null = null
  for (let at = Math.floor(from.getTime() / step) * step; at < to.getTime(); at += step) {
    const next = windowKey(at, window, time_zone)
    const start = Math.max(at, from.getTime())
    const last = windows.at(-1)
    if (next !== key || !last) {
      if (last) last.end = start
      windows.push({ start, end: to.getTime() })
    }
    key = next
  }
  return windows
}

type Counted = { at: number; order: number; units: bigint; unique: string | null; customer: string; group: string }

function countedEvents(question: ModelQuestion, events: readonly ModelEvent[]): Counted[] {
  const { meter, customers, by_customer, group_by = [], filter } = question
  return events.flatMap((event, order): Counted[] => {
    if (event.meter !== meter.slug || (customers && !customers.includes(event.customer))) return []
    if (meter.filter && !passesFilter(meter.filter, event.properties)) return []
    const text = (key: string) => {
      const value = event.properties[key]
      return value === undefined || value === null ? null : String(value)
    }
    if (filter) {
      const known = meter.group_by.flatMap((key) => (text(key) === null ? [] : [[key, text(key)] as const]))
      if (!passesFilter(filter, Object.fromEntries(known))) return []
    }
    const own = meter.value_property === null ? event.value : String(event.properties[meter.value_property])
    return [
      {
        at: event.at.getTime(),
        order,
        units: meter.aggregation === 'COUNT' ? ONE : meter.aggregation === 'UNIQUE_COUNT' ? 0n : toUnits(own),
        unique: meter.aggregation === 'UNIQUE_COUNT' ? own : null,
        customer: by_customer ? event.customer : '',
        group: JSON.stringify(group_by.toSorted().map((key) => [key, text(key)])),
      },
    ]
  })
}

const sum = (rows: readonly Counted[]): bigint => rows.reduce((total, { units }) => total + units, 0n)

/** The value of one window: `rows` happened in it, `before` ahead of the whole range or of the window. */
function windowValue(
  aggregation: string,
  rows: readonly Counted[],
  before: readonly Counted[],
  span: { start: number; end: number },
): string | null {
  if (aggregation === 'WEIGHTED_SUM') {
    const [since, till] = [BigInt(span.start), BigInt(span.end)]
    const level = sum(before)
    if (till <= since) return fromUnits(level)
    const area = rows.reduce((total, { units, at }) => total + units * (till - BigInt(at)), level * (till - since))
    return fromUnits(quotient(area, till - since))
  }
  if (aggregation === 'SUM' || aggregation === 'COUNT') return fromUnits(sum(rows))
  if (aggregation === 'UNIQUE_COUNT') return String(new Set(rows.map(({ unique }) => unique)).size)
  const [first, ...others] = rows
  if (!first) return null
  if (aggregation === 'AVG') return fromUnits(quotient(sum(rows), BigInt(rows.length)))
  if (aggregation === 'LATEST') {
    const isLater = (a: Counted, b: Counted) => a.at > b.at || (a.at === b.at && a.order > b.order)
    return fromUnits(others.reduce((latest, row) => (isLater(row, latest) ? row : latest), first).units)
  }
  const wins = (a: bigint, b: bigint) => (aggregation === 'MIN' ? a < b : a > b)
  return fromUnits(others.reduce((best, row) => (wins(row.units, best) ? row.units : best), first.units))
}

/** The answer to a question about usage, from the events alone. */
export function answerByModel(question: ModelQuestion, events: readonly ModelEvent[]): ModelRow[] {
  const { meter, from, to, by_customer = false, group_by = [], now } = question
  const counted = countedEvents(question, events)
  const fill = question.fill || (question.window === null && !by_customer && group_by.length === 0)
  const split = by_customer || group_by.length > 0
  const seen = counted.filter(
    ({ at }) => at < to.getTime() && (at >= from.getTime() || meter.aggregation === 'WEIGHTED_SUM'),
  )
  const keys = new Map(seen.map(({ customer, group }) => [`${customer} ${group}`, { customer, group }]))
  if (!split) keys.set(' []', { customer: '', group: '[]' })
  const windows = modelWindows(question)
  return [...keys.values()].flatMap(({ customer, group }) => {
    const mine = counted.filter((row) => row.customer === customer && row.group === group)
    return windows.flatMap(({ start, end }): ModelRow[] => {
      const rows = mine.filter(({ at }) => at >= start && at < end)
      const before = mine.filter(({ at }) => at < start)
      const till = Math.min(end, now.getTime())
      // A level is used as long as there is one.
      const stands = meter.aggregation === 'WEIGHTED_SUM' && sum(before) !== 0n && start < now.getTime()
      if (rows.length === 0 && !fill && !stands) return []
      return [
        {
          window_start: new Date(start).toISOString(),
          window_end: new Date(end).toISOString(),
          customer: by_customer ? customer : null,
          group: group_by.length > 0 ? Object.fromEntries(JSON.parse(group)) : null,
          value: windowValue(meter.aggregation, rows, before, { start, end: till }),
          events: rows.length,
        },
      ]
    })
  })
}

type AnswerRow = Omit<ModelRow, 'customer' | 'group' | 'value'> & {
  customer?: { external_id: string } | null
  group?: ModelRow['group']
  value: Quantity | null
}

/** What the model says as an answer says it. */
export const asAnswer = (rows: readonly ModelRow[]): AnswerRow[] =>
  rows.map(({ customer, value, ...row }) => ({
    ...row,
    customer: customer === null ? null : { external_id: customer },
    value: value === null ? null : toQuantity(value),
  }))

/** The rows of an answer in a form to compare, in an order of its own. */
export const comparable = (rows: readonly AnswerRow[]): string[] =>
  rows
    .map(({ window_start, window_end, value, events, customer, group }) =>
      JSON.stringify([
        window_start,
        window_end,
        customer?.external_id ?? null,
        group ? Object.entries(group).sort() : null,
        value,
        events,
      ]),
    )
    .sort()
