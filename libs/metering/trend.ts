import { offsetAt } from '@/libs/tenancy/zoned-day'

const DAY_MS = 86_400_000

/** A straight line through equidistant values: `at(0)` is the first of them, `at(n)` the one after the last. */
export type Line = { slope: number; at: (x: number) => number }

/** Least squares through values at 0, 1, 2 and so on. A single value is level; none is zero. */
export function fitLine(values: readonly number[]): Line {
  const count = values.length
  if (count === 0) return { slope: 0, at: () => 0 }
  const meanX = (count - 1) / 2
  const meanY = values.reduce((sum, value) => sum + value, 0) / count
  let above = 0
  let below = 0
  for (const [x, y] of values.entries()) {
    above += (x - meanX) * (y - meanY)
    below += (x - meanX) ** 2
  }
  const slope = below === 0 ? 0 : above / below
  return { slope, at: (x) => meanY + slope * (x - meanX) }
}

/** How one figure stands against an earlier one, in percent to a tenth; null when there was nothing to compare with. */
export function changePercent(current: number, previous: number): number | null {
  return previous === 0 ? null : roundTo((current / previous - 1) * 100, 1)
}

/** A figure that was reckoned, without the noise of doubles: twelve digits, however small it is. */
export function withoutNoise(value: number): number {
  return Number(value.toPrecision(12))
}

function roundTo(value: number, digits: number): number {
  const factor = 10 ** digits
  return Math.round(value * factor) / factor
}

/**
 * What a sum comes to at the end of its period: what is there is exact and is only added to; the part of today that is left and
 * the days that are left follow the line, never below zero.
 * @param used the sum so far, today included
 * @param share how much of today has passed, 0 to 1
 * @param daysLeft whole days after today
 */
export function forecastSum(used: number, line: Line, today: number, share: number, daysLeft: number): number {
  let expected = used + Math.max(0, line.at(today)) * (1 - share)
  for (let ahead = 1; ahead <= daysLeft; ahead += 1) expected += Math.max(0, line.at(today + ahead))
  return expected
}

/**
 * How many days ahead a sum reaches a limit at this pace: 0 is today, null is not within `daysLeft` days after today.
 * A limit that is reached already is reached today.
 */
export function daysUntil(
  limit: number,
  used: number,
  line: Line,
  today: number,
  share: number,
  daysLeft: number,
): number | null {
  let expected = used
  if (expected >= limit) return 0
  for (let ahead = 0; ahead <= daysLeft; ahead += 1) {
    expected += Math.max(0, line.at(today + ahead)) * (ahead === 0 ? 1 - share : 1)
    if (expected >= limit) return ahead
  }
  return null
}

/** `YYYY-MM-DD` so many days later. */
export function addDays(day: string, days: number): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10)
}

/** Whole days from one day to another. */
export function daysBetween(from: string, to: string): number {
  return Math.round((Date.parse(`${to}T00:00:00Z`) - Date.parse(`${from}T00:00:00Z`)) / DAY_MS)
}

/** The same day of an earlier or later month, on the last day where the month is shorter. */
export function addMonths(day: string, months: number): string {
  const date = new Date(`${day}T00:00:00Z`)
  const first = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months, 1))
  const length = new Date(Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + 1, 0)).getUTCDate()
  return new Date(first.getTime() + (Math.min(date.getUTCDate(), length) - 1) * DAY_MS).toISOString().slice(0, 10)
}

/**
 * The same days a year before, from one day up to another. A range that ends with the beginning of the 29th of February ends
 * with that of the 1st of March where there is none: the 28th before it is in it.
 */
export function yearBefore({ from, to }: { from: string; to: string }): { from: string; to: string } {
  const end = addMonths(to, -12)
  return { from: addMonths(from, -12), to: end.slice(8) === to.slice(8) ? end : addDays(end, 1) }
}

/** Today in a time zone, and how much of the day has passed, in whole seconds. Days of 23 or 25 hours are taken as they are on the clock. */
export function localToday(timeZone: string, now = new Date()): { day: string; share: number } {
  const shown = now.getTime() + offsetAt(now.getTime(), timeZone)
  return { day: new Date(shown).toISOString().slice(0, 10), share: Math.floor((shown % DAY_MS) / 1_000) / 86_400 }
}
