import { offsetAt, startOfDay } from '@/libs/tenancy/zoned-day'

export const DAY_MS = 86_400_000
/** How far back a question goes that does not say from when: the longest range of its windows. */
export const LONGEST_DAYS = { MINUTE: 7, HOUR: 366, DAY: 1_825, MONTH: 1_825 } as const

/** Names of an interval, as the wire has them. */
const INTERVALS = {
  day: { interval: 'DAY', intervalISO: 'P1D' },
  week: { interval: 'WEEK', intervalISO: 'P1W' },
  month: { interval: 'MONTH', intervalISO: 'P1M' },
  year: { interval: 'YEAR', intervalISO: 'P1Y' },
} as const
export type Interval = keyof typeof INTERVALS

/** The interval a name or an ISO 8601 duration means, or null. */
export function readInterval(text: string): Interval | null {
  const found = (Object.keys(INTERVALS) as Interval[]).find((key) => {
    const { interval, intervalISO } = INTERVALS[key]
    return text === interval || text === intervalISO
  })
  return found ?? null
}

/** A recurring period as the wire has it. */
export function toRecurringPeriod(interval: Interval, anchor: Date) {
  return { ...INTERVALS[interval], anchor }
}

/** `count` units after a moment, as calendars count: the last day of shorter months. */
export function addPeriod(at: Date, unit: 'HOUR' | 'DAY' | 'WEEK' | 'MONTH' | 'YEAR', count: number): Date {
  const result = new Date(at)
  if (unit === 'HOUR') result.setTime(result.getTime() + count * 3_600_000)
  else if (unit === 'DAY') result.setUTCDate(result.getUTCDate() + count)
  else if (unit === 'WEEK') result.setUTCDate(result.getUTCDate() + 7 * count)
  else {
    const months = unit === 'MONTH' ? count : 12 * count
    result.setUTCDate(1)
    result.setUTCMonth(result.getUTCMonth() + months)
    const last = new Date(Date.UTC(result.getUTCFullYear(), result.getUTCMonth() + 1, 0)).getUTCDate()
    result.setUTCDate(Math.min(at.getUTCDate(), last))
  }
  return result
}

/** The whole window a moment lies in, by the clocks of a zone. */
export function windowOf(
  at: Date,
  size: 'MINUTE' | 'HOUR' | 'DAY' | 'MONTH',
  timeZone: string,
): { from: Date; to: Date } {
  const ms = at.getTime()
  const wall = ms + offsetAt(ms, timeZone)
  if (size === 'MINUTE' || size === 'HOUR') {
    const length = size === 'MINUTE' ? 60_000 : 3_600_000
    const from = ms - (((wall % length) + length) % length)
    return { from: new Date(from), to: new Date(from + length) }
  }
  const day = new Date(wall)
  const first = new Date(Date.UTC(day.getUTCFullYear(), day.getUTCMonth(), size === 'MONTH' ? 1 : day.getUTCDate()))
  const next = addPeriod(first, size, 1)
  const midnight = (date: Date) => startOfDay(date.toISOString().slice(0, 10), 0, timeZone)
  return { from: midnight(first), to: midnight(next) }
}
