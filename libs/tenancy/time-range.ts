import { z } from 'zod'
import { dayOrMoment } from '@/libs/api-utils/moment'
import { invalidInput } from '@/libs/errors'
import { readTimeZone } from './time-zone'
import { startOfDay } from './zoned-day'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const LENGTHS = { '24h': DAY, '7d': 7 * DAY, '30d': 30 * DAY, '90d': 90 * DAY, '12m': 365 * DAY } as const
const IS_DAY = /^\d{4}-\d{2}-\d{2}$/

/** Query fields of a list that can be narrowed by time. */
export const timeRangeFields = {
  time_range: z
    .enum(['24h', '7d', '30d', '90d', '12m'])
    .optional()
    .meta({ description: 'The last 24 hours, 7, 30 or 90 days, or 12 months' }),
  from: dayOrMoment.optional().meta({ description: 'From here on: a moment, or a day in the time zone of the tenant' }),
  to: dayOrMoment
    .optional()
    .meta({ description: 'Up to here: a moment (not included), or a day in the time zone of the tenant (included)' }),
}

export type TimeRangeQuery = { time_range?: keyof typeof LENGTHS; from?: string; to?: string }

/** From `from` (included) to `to` (not included); null is open. */
export type TimeRange = { from: Date | null; to: Date | null }

/** The range a query asks for, days counted in the tenant's time zone. @throws AppError invalid_input when it is turned round. */
export async function readTimeRange({ time_range, from, to }: TimeRangeQuery): Promise<TimeRange> {
  const zone = IS_DAY.test(from ?? '') || IS_DAY.test(to ?? '') ? await readTimeZone() : 'UTC'
  const start = from === undefined ? null : IS_DAY.test(from) ? startOfDay(from, 0, zone) : new Date(from)
  const end = to === undefined ? null : IS_DAY.test(to) ? startOfDay(to, 1, zone) : new Date(to)
  if (start && end && start >= end) {
    throw invalidInput('/from', 'must be before the end of `to`')
  }
  return { from: start ?? (time_range ? new Date(Date.now() - LENGTHS[time_range]) : null), to: end }
}
