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

/** How far the clocks of a zone are ahead of UTC at a moment, in milliseconds. */
function offsetOf(at: number, timeZone: string): number {
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  }).formatToParts(at)
  const number = (type: string) => Number(parts.find((part) => part.type === type)?.value ?? 0)
  const wall = Date.UTC(
    number('year'),
    number('month') - 1,
    number('day'),
    number('hour'),
    number('minute'),
    number('second'),
  )
  return wall - Math.floor(at / 1_000) * 1_000
}

/** Midnight of a day (`YYYY-MM-DD`) by the clocks of a zone. */
export function startOfDay(day: string, timeZone: string): Date {
  const wall = Date.parse(`${day}T00:00:00Z`)
  const guess = wall - offsetOf(wall, timeZone)
  return new Date(wall - offsetOf(guess, timeZone))
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
  const wall = ms + offsetOf(ms, timeZone)
  if (size === 'MINUTE' || size === 'HOUR') {
    const length = size === 'MINUTE' ? 60_000 : 3_600_000
    const from = ms - (((wall % length) + length) % length)
    return { from: new Date(from), to: new Date(from + length) }
  }
  const day = new Date(wall)
  const first = new Date(Date.UTC(day.getUTCFullYear(), day.getUTCMonth(), size === 'MONTH' ? 1 : day.getUTCDate()))
  const next = addPeriod(first, size, 1)
  const midnight = (date: Date) => startOfDay(date.toISOString().slice(0, 10), timeZone)
  return { from: midnight(first), to: midnight(next) }
}
