import fc from 'fast-check'
import { expect, test } from 'vitest'
import { dayIn, startOfDay } from '@/libs/tenancy/zoned-day'

test.each([
  ['2026-07-01', 'America/New_York', '2026-07-01T04:00:00.000Z'],
  ['2026-01-01', 'Asia/Kolkata', '2025-12-31T18:30:00.000Z'],
  ['2026-03-29', 'Europe/Berlin', '2026-03-28T23:00:00.000Z'],
  ['2026-10-26', 'Europe/Berlin', '2026-10-25T23:00:00.000Z'],
])('%s begins in %s at %s', (day, zone, moment) => {
  expect(startOfDay(day, 0, zone).toISOString()).toBe(moment)
})

test.each([
  ['is skipped: one o’clock is the first of the day', '2026-03-08', 'America/Havana', '2026-03-08T05:00:00.000Z'],
  ['is skipped, by a zone at UTC', '2026-03-29', 'Atlantic/Azores', '2026-03-29T01:00:00.000Z'],
  ['comes twice: the first one', '2026-11-01', 'America/Havana', '2026-11-01T04:00:00.000Z'],
])('a midnight that %s', (_, day, zone, moment) => {
  expect(startOfDay(day, 0, zone).toISOString()).toBe(moment)
  const before = new Date(Date.parse(`${day}T00:00:00Z`) - 86_400_000).toISOString().slice(0, 10)
  expect(startOfDay(before, 1, zone).toISOString()).toBe(moment)
})

test('in every zone a day begins at its first moment', () => {
  // Whole days that a zone left out when it changed sides of the date line have no moment of their own.
  const zones = Intl.supportedValuesOf('timeZone').filter((zone) => !/^Pacific\/(Apia|Fakaofo)$/.test(zone))
  fc.assert(
    fc.property(
      fc.constantFrom(...zones),
      fc.date({ min: new Date('2000-01-01'), max: new Date('2037-12-31'), noInvalidDate: true }),
      (zone, date) => {
        const day = date.toISOString().slice(0, 10)
        const start = startOfDay(day, 0, zone).getTime()
        expect([dayIn(zone, start), dayIn(zone, start - 1) < day]).toEqual([day, true])
      },
    ),
    { numRuns: 1_000 },
  )
})
