import { daysUntil, fitLine, forecastSum, type Line } from './trend'

/**
 * How the end of a period is foretold. `sum`: what is there is exact, and the days left follow the line through the days
 * before. `level`: the line itself, as far as the aggregation lets it move. `proportional`: as fast as so far in this period,
 * which is the most it can be for different values. `none`: nothing was there to go by.
 */
export type ForecastMethod = 'sum' | 'level' | 'proportional' | 'none'

export type ForecastInput = {
  aggregation: string
  /** Value of the period so far. */
  used: number
  /** Values of whole days before today, oldest first; null where there was none. */
  days: readonly (number | null)[]
  /** How much of today has passed, 0 to 1. */
  share: number
  /** Whole days of the period before today. */
  daysGone: number
  /** Whole days of the period after today. */
  daysLeft: number
  /** What may be used, where there is a cap. */
  limit: number | null
}

/** Whole days with usage behind them from which on a forecast is worth showing to somebody. */
export const FEWEST_DAYS = 3

/** What the period comes to, and in how many days (0 is today) the limit is reached; null when it will hold. */
export type Forecast = { used: number; method: ForecastMethod; hit: number | null }

/** Foretells the end of a period. Pure: the same input, the same answer. */
export function forecastUsage(input: ForecastInput): Forecast {
  const { aggregation, used, limit } = input
  const reached = limit !== null && used >= limit && used > 0 ? 0 : null
  if (aggregation === 'SUM' || aggregation === 'COUNT') return forecastTotal(input)
  if (aggregation === 'UNIQUE_COUNT') return forecastUniques(input)
  const line = fitLine(fillDays(aggregation, input.days))
  if (input.days.every((value) => value === null)) return { used, method: 'none', hit: reached }
  const today = input.days.length
  const expected = levelAtEnd(input, line, today)
  return { used: expected, method: 'level', hit: reached ?? hitByLevel(input, line, today) }
}

function forecastTotal({ used, days, share, daysLeft, limit }: ForecastInput): Forecast {
  const line = fitLine(fillDays('SUM', days))
  const today = days.length
  return {
    used: forecastSum(used, line, today, share, daysLeft),
    method: days.length === 0 && used === 0 ? 'none' : 'sum',
    hit: limit === null ? null : daysUntil(limit, used, line, today, share, daysLeft),
  }
}

function forecastUniques({ used, share, daysGone, daysLeft, limit }: ForecastInput): Forecast {
  const passed = Math.max(daysGone + share, 1 / 24)
  const perDay = used / passed
  const line: Line = { slope: 0, at: () => perDay }
  return {
    used: used * ((daysGone + daysLeft + 1) / passed),
    method: used === 0 ? 'none' : 'proportional',
    hit: limit === null ? null : daysUntil(limit, used, line, 0, share, daysLeft),
  }
}

/** What the aggregation makes of the rest of the period, if it follows the line. */
function levelAtEnd(
  { aggregation, used, share, daysGone, daysLeft }: ForecastInput,
  line: Line,
  today: number,
): number {
  const end = line.at(today + daysLeft)
  if (aggregation === 'MAX') return Math.max(used, end)
  if (aggregation === 'MIN') return Math.min(used, end)
  if (aggregation === 'LATEST') return end
  const passed = daysGone + share
  const left = daysLeft + 1 - share
  let sum = used * passed
  for (let ahead = 0; ahead <= daysLeft; ahead += 1) sum += line.at(today + ahead) * (ahead === 0 ? 1 - share : 1)
  return sum / (passed + left)
}

function hitByLevel({ aggregation, daysLeft, limit }: ForecastInput, line: Line, today: number): number | null {
  if (limit === null || (aggregation !== 'MAX' && aggregation !== 'LATEST')) return null
  for (let ahead = 0; ahead <= daysLeft; ahead += 1) if (line.at(today + ahead) >= limit) return ahead
  return null
}

/** A value for every day: of a total 0 where there was none, of a level the one before (at the start, the first there is). */
export function fillDays(aggregation: string, days: readonly (number | null)[]): number[] {
  if (aggregation === 'SUM' || aggregation === 'COUNT' || aggregation === 'UNIQUE_COUNT')
    return days.map((value) => value ?? 0)
  let last = days.find((value) => value !== null) ?? 0
  return days.map((value) => {
    last = value ?? last
    return last
  })
}
