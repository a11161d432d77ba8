// What a range is compared with: the same days a year before, also where the 29th of February is among them, and the days before it,
// without a gap; by the clocks of zones in which midnight comes twice or never.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { shiftSpan, spanOfDays } from '@/libs/metering/load-usage'
import { addDays, addMonths, daysBetween, yearBefore } from '@/libs/metering/trend'
import { asSuperuser, asSystem, createWorld } from '../support/world'

const { acme } = await createWorld()
const ZONES = [
  'UTC',
  'America/New_York',
  'America/Havana',
  'Europe/Berlin',
  'Australia/Lord_Howe',
  'Asia/Beirut',
  'Pacific/Apia',
]

const day = fc.integer({ min: 0, max: 365 * 9 }).map((days) => addDays('2023-06-01', days))
const nearLeapDay = fc
  .tuple(fc.constantFrom('2024-02-29', '2028-02-29'), fc.integer({ min: -3, max: 3 }))
  .map(([leap, add]) => addDays(leap, add))

test('last year: the days of the same name; the 28th stands for the 29th', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(day, nearLeapDay),
      fc.integer({ min: 1, max: 400 }),
      fc.constantFrom(...ZONES),
      async (first, length, zone) => {
        const last = addDays(first, length - 1)
        const [range, shifted, wanted] = await asSystem(acme, async () => {
          const range = await spanOfDays(first, addDays(last, 1), zone)
          const shifted = await shiftSpan(range, zone, { years: 1 })
          const wanted = yearBefore({ from: first, to: addDays(last, 1) })
          return [range, shifted, await spanOfDays(wanted.from, wanted.to, zone)] as const
        })
        expect([first, last, zone, shifted]).toEqual([first, last, zone, wanted])
        expect(shifted.from < shifted.to && shifted.to <= range.to).toBe(true)
      },
    ),
    { numRuns: 250 },
  )
})

test('the days before: as many, up to the first moment of the range', async () => {
  await fc.assert(
    fc.asyncProperty(day, fc.integer({ min: 1, max: 120 }), fc.constantFrom(...ZONES), async (first, length, zone) => {
      await asSystem(acme, async () => {
        const range = await spanOfDays(first, addDays(first, length), zone)
        const before = await shiftSpan(range, zone, { days: length })
        expect([first, length, zone, before]).toEqual([
          first,
          length,
          zone,
          await spanOfDays(addDays(first, -length), first, zone),
        ])
        expect(daysBetween(first, addDays(first, length))).toBe(length)
      })
    }),
    { numRuns: 150 },
  )
})

test('hours within the 29th are those of the 28th, and 24 of them stay 24', async () => {
  const back = (from: string, to: string) =>
    asSystem(acme, () => shiftSpan({ from: new Date(from), to: new Date(to) }, 'UTC', { years: 1 }))
  expect(await back('2028-02-29T08:00:00Z', '2028-02-29T10:00:00Z')).toEqual({
    from: new Date('2027-02-28T08:00:00Z'),
    to: new Date('2027-02-28T10:00:00Z'),
  })
  expect(await back('2028-02-28T10:00:00Z', '2028-02-29T10:00:00Z')).toEqual({
    from: new Date('2027-02-28T10:00:00Z'),
    to: new Date('2027-03-01T10:00:00Z'),
  })
})

test('months from any anchor follow each other without gap or overlap, and the 31st comes back', async () => {
  const lengthOf = (month: string) => daysBetween(`${month}-01`, addMonths(`${month}-01`, 1))
  const startIn = (month: string, anchor: number) => addDays(`${month}-01`, Math.min(anchor, lengthOf(month)) - 1)
  const rows = await asSuperuser<{ day: string; anchor: number; starts_on: string; ends_on: string }>(
    `select d::date::text as day, a as anchor, s::text as starts_on, app.period_end(s, 'month', a)::text as ends_on
     from generate_series('2027-01-01'::date, '2029-03-01', interval '1 day') d, generate_series(1, 31) a,
       lateral (select app.period_start(d::date, 'month', a) as s) x`,
  )
  expect(rows.length).toBeGreaterThan(24_000)
  for (const { day, anchor, starts_on, ends_on } of rows) {
    const own = startIn(day.slice(0, 7), anchor)
    const starts = own <= day ? own : startIn(addMonths(`${day.slice(0, 7)}-01`, -1).slice(0, 7), anchor)
    const ends = own <= day ? startIn(addMonths(`${day.slice(0, 7)}-01`, 1).slice(0, 7), anchor) : own
    if (starts_on !== starts || ends_on !== ends)
      expect({ day, anchor, starts_on, ends_on }).toEqual({ day, anchor, starts_on: starts, ends_on: ends })
  }
})
