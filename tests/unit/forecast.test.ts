// The arithmetic of trends against what one would do with pencil and paper.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fillDays, forecastUsage } from '@/libs/metering/forecast'
import {
  addDays,
  addMonths,
  changePercent,
  daysBetween,
  daysUntil,
  fitLine,
  localToday,
  yearBefore,
} from '@/libs/metering/trend'

const values = fc.array(fc.integer({ min: 0, max: 1_000 }), { minLength: 2, maxLength: 60 })

describe('a line', () => {
  test('has the least sum of squares of all', () => {
    fc.assert(
      fc.property(
        values,
        fc.double({ min: -5, max: 5, noNaN: true }),
        fc.double({ min: -5, max: 5, noNaN: true }),
        (ys, a, b) => {
          const line = fitLine(ys)
          const error = (at: (x: number) => number) => ys.reduce((sum, y, x) => sum + (y - at(x)) ** 2, 0)
          expect(error(line.at)).toBeLessThanOrEqual(error((x) => line.at(x) + a + b * x) + 1e-6)
        },
      ),
    )
  })

  test('goes through points that lie on one, and is level through one', () => {
    expect(fitLine([3, 5, 7, 9]).slope).toBeCloseTo(2)
    expect(fitLine([3, 5, 7, 9]).at(4)).toBeCloseTo(11)
    expect(fitLine([4]).at(10)).toBe(4)
    expect(fitLine([]).at(10)).toBe(0)
  })
})

describe('a sum', () => {
  // Walked in a thousand little steps of time, the way it would really come in.
  test('is what is there and what the line adds until the end', () => {
    fc.assert(
      fc.property(
        values,
        fc.integer({ min: 0, max: 5_000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.integer({ min: 0, max: 31 }),
        (days, used, share, daysLeft) => {
          const line = fitLine(days)
          const { used: end, method } = forecastUsage({
            aggregation: 'SUM',
            used,
            days,
            share,
            daysGone: 3,
            daysLeft,
            limit: null,
          })
          let expected = used
          for (let day = 0; day <= daysLeft; day += 1)
            expected += (day === 0 ? 1 - share : 1) * Math.max(0, line.at(days.length + day))
          expect(end).toBeCloseTo(expected, 6)
          expect(end).toBeGreaterThanOrEqual(used)
          expect(method).toBe('sum')
        },
      ),
    )
  })

  test('reaches its limit on the first day it is enough', () => {
    fc.assert(
      fc.property(
        values,
        fc.integer({ min: 0, max: 2_000 }),
        fc.integer({ min: 1, max: 20_000 }),
        fc.integer({ min: 0, max: 30 }),
        (days, used, limit, daysLeft) => {
          const input = { aggregation: 'COUNT', used, days, share: 0.5, daysGone: 0, limit }
          const hit = forecastUsage({ ...input, daysLeft }).hit
          const endOf = (left: number) => forecastUsage({ ...input, daysLeft: left, limit: null }).used
          if (hit === null) expect(endOf(daysLeft)).toBeLessThan(limit)
          else {
            expect(endOf(hit)).toBeGreaterThanOrEqual(limit)
            if (hit > 0) expect(endOf(hit - 1)).toBeLessThan(limit)
          }
        },
      ),
    )
  })

  test('is as the manual has it', () => {
    const input = {
      aggregation: 'SUM',
      used: 40,
      days: [10, 12, 14, 16],
      share: 0.5,
      daysGone: 4,
      daysLeft: 2,
      limit: 65,
    }
    expect(forecastUsage(input)).toEqual({ used: 91, method: 'sum', hit: 1 })
  })

  test('that is there already is reached today, and one that stands still never', () => {
    expect(daysUntil(10, 10, fitLine([1, 1]), 2, 0.5, 20)).toBe(0)
    expect(daysUntil(10, 5, fitLine([0, 0, 0]), 3, 0.5, 20)).toBeNull()
  })
})

describe('other aggregations', () => {
  const base = { days: [10, 12, null, 16], share: 0.5, daysGone: 4, daysLeft: 5, limit: null }

  test('the latest follows the line, the greatest never falls, the least never rises', () => {
    const line = fitLine([10, 12, 12, 16])
    expect(forecastUsage({ ...base, aggregation: 'LATEST', used: 16 })).toEqual({
      used: line.at(9),
      method: 'level',
      hit: null,
    })
    expect(forecastUsage({ ...base, aggregation: 'MAX', used: 50 }).used).toBe(50)
    expect(forecastUsage({ ...base, aggregation: 'MAX', used: 16 }).used).toBe(line.at(9))
    expect(forecastUsage({ ...base, aggregation: 'MIN', used: 10 }).used).toBe(10)
  })

  test('an average stays between what was and what comes', () => {
    const { used } = forecastUsage({ ...base, days: [8, 8, 8, 8], aggregation: 'AVG', used: 4 })
    expect(used).toBeCloseTo((4 * 4.5 + 8 * 5.5) / 10)
  })

  test('different values come at most as fast as so far', () => {
    const forecast = forecastUsage({ ...base, aggregation: 'UNIQUE_COUNT', used: 45, limit: 60 })
    expect(forecast).toEqual({ used: 100, method: 'proportional', hit: 1 })
  })

  test('a level reaches its limit when the line does', () => {
    const days = [10, 11, 12, 13]
    expect(forecastUsage({ ...base, days, aggregation: 'MAX', used: 13, limit: 16 }).hit).toBe(2)
    expect(forecastUsage({ ...base, days, aggregation: 'MAX', used: 13, limit: 99 }).hit).toBeNull()
    expect(forecastUsage({ ...base, days, aggregation: 'MIN', used: 10, limit: 99 }).hit).toBeNull()
  })

  test('nothing to go by is said to be so', () => {
    expect(forecastUsage({ ...base, days: [null, null], aggregation: 'LATEST', used: 0 })).toEqual({
      used: 0,
      method: 'none',
      hit: null,
    })
    expect(fillDays('LATEST', [null, 3, null])).toEqual([3, 3, 3])
    expect(fillDays('SUM', [null, 3, null])).toEqual([0, 3, 0])
  })
})

describe('days', () => {
  test('are counted by the calendar', () => {
    expect(addDays('2026-02-28', 1)).toBe('2026-03-01')
    expect(addDays('2026-03-29', -1)).toBe('2026-03-28')
    expect(addMonths('2026-01-31', 1)).toBe('2026-02-28')
    expect(addMonths('2024-02-29', -12)).toBe('2023-02-28')
    expect(addMonths('2026-12-01', 1)).toBe('2027-01-01')
    expect(daysBetween('2026-03-28', '2026-03-30')).toBe(2)
    expect(yearBefore({ from: '2028-02-28', to: '2028-02-29' })).toEqual({ from: '2027-02-28', to: '2027-03-01' })
    expect(yearBefore({ from: '2028-02-29', to: '2028-03-01' })).toEqual({ from: '2027-02-28', to: '2027-03-01' })
    expect(yearBefore({ from: '2028-02-22', to: '2028-02-29' })).toEqual({ from: '2027-02-22', to: '2027-03-01' })
    expect(yearBefore({ from: '2029-02-01', to: '2029-03-01' })).toEqual({ from: '2028-02-01', to: '2028-03-01' })
    expect(changePercent(3, 2)).toBe(50)
    expect(changePercent(3, 0)).toBeNull()
  })

  test('begin by the clocks of a zone', () => {
    expect(localToday('Asia/Kathmandu', new Date('2026-11-21T18:15:00Z'))).toEqual({ day: '2026-11-22', share: 0 })
    expect(localToday('America/New_York', new Date('2026-11-21T23:00:00Z'))).toEqual({ day: '2026-11-21', share: 0.75 })
  })
})
