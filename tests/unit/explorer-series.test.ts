import fc from 'fast-check'
import { expect, test } from 'vitest'
import { daysOfBucket } from '@/features/usage-tracking/components/explorer-state'
import { groupKey, toChartSeries } from '@/features/usage-tracking/components/meter-series'
import { joinValues, splitValues } from '@/features/usage-tracking/components/value-list'
import type { UsageSeries } from '@/libs/metering/usage-query'
import { readList, writeList } from '@/libs/metering/value-list'
import { toBuckets } from '@/libs/ui/chart-data'
import { isDay } from '@/libs/ui/date-range'

type Row = UsageSeries['data'][number]

const windowOf = (day: number) => new Date(Date.UTC(2026, 10, day)).toISOString()
const row = (day: number, value: number, more: Partial<Row> = {}): Row => ({
  window_start: windowOf(day),
  window_end: windowOf(day + 1),
  value,
  events: value === 0 ? 0 : 1,
  ...more,
})
const series = (data: Row[], aggregation = 'SUM'): UsageSeries => ({
  meter: { id: 'm', slug: 'm', name: 'M', unit: '', aggregation, group_by: ['region'] },
  aggregation,
  from: windowOf(1),
  to: windowOf(5),
  window: 'DAY',
  time_zone: 'UTC',
  as_of: windowOf(5),
  data,
})

test('windows in which no group has anything keep their place when groups are asked for without them', () => {
  const groups = series([row(1, 3, { group: { region: 'eu' } }), row(4, 2, { group: { region: 'us' } })])
  const whole = series([row(1, 3), row(2, 0), row(3, 0), row(4, 2)])
  const totals = (list: Parameters<typeof toBuckets>[0]) => toBuckets(list, undefined, false).map(({ total }) => total)
  expect(totals(toChartSeries(groups))).toEqual([3, 2])
  expect(totals(toChartSeries(groups, whole))).toEqual([3, 0, 0, 2])
})

test('two customers of one name, and values with the separator in them, are groups of their own', () => {
  const named = (id: string) => groupKey(row(1, 1, { customer: { id, external_id: id, name: 'Ada' } }))
  expect(named('a')).not.toBe(named('b'))
  const split = (region: string, model: string) => groupKey(row(1, 1, { group: { region, model } }))
  expect(split('a · b', 'c')).not.toBe(split('a', 'b · c'))
})

test('a day of a range is one of the calendar', () => {
  expect(['2026-11-21', '2024-02-29', '1900-01-01', '9998-12-31'].filter(isDay)).toHaveLength(4)
  const wrong = [
    '2026-02-30',
    '2025-02-29',
    '2026-13-01',
    '0000-01-01',
    '9999-12-31',
    '2026-1-1',
    '',
    'x',
    '２０２６-11-21',
  ]
  expect(wrong.filter(isDay)).toEqual([])
})

test('values to filter by come back from the line and from the address as they were', () => {
  expect(readList(' eu, us,, eu ')).toEqual(['eu', 'us'])
  expect(readList('"a, b", c "d"')).toEqual(['a, b', 'c "d"'])
  const values = fc.uniqueArray(fc.string({ minLength: 1 }).filter((text) => text.trim() !== ''))
  fc.assert(
    fc.property(values, (list) => {
      expect(readList(writeList(list))).toEqual(list)
    }),
  )
  fc.assert(
    fc.property(values, (list) => {
      expect(splitValues(joinValues(list))).toEqual(list)
    }),
  )
})

test('a bucket shown closer is its days, of the present one those up to today', () => {
  const days = (...asked: Parameters<typeof daysOfBucket>) => Object.values(daysOfBucket(...asked))
  expect(days('2026-11-03', 'day', '2026-11-22')).toEqual(['2026-11-03', '2026-11-03'])
  expect(days('2026-11-02', 'week', '2026-11-22')).toEqual(['2026-11-02', '2026-11-08'])
  expect(days('2026-11-16', 'week', '2026-11-18')).toEqual(['2026-11-16', '2026-11-18'])
  expect(days('2028-02-01', 'month', '2028-06-01')).toEqual(['2028-02-01', '2028-02-29'])
  // Usage of days to come was sent ahead: they are shown whole.
  expect(days('2026-12-07', 'week', '2026-11-22')).toEqual(['2026-12-07', '2026-12-13'])
})
