// Ids sort by the time they were made and cannot be guessed.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatId, isUuid, newId } from '@/libs/ids'

const FORM = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const LAST_MOMENT = 2 ** 48 - 1

test('every id is a UUID of version 7 that carries its millisecond', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: LAST_MOMENT }), fc.nat({ max: 0xfff }), (now, counter) => {
      const id = formatId(now, counter)
      expect(id).toMatch(FORM)
      expect(isUuid(id)).toBe(true)
      expect(Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16)).toBe(now)
    }),
  )
  const before = Date.now()
  expect(Number.parseInt(newId().replaceAll('-', '').slice(0, 12), 16)).toBeGreaterThanOrEqual(before)
})

test('an id made later sorts later', () => {
  fc.assert(
    fc.property(
      fc.nat({ max: LAST_MOMENT - 1_001 }),
      fc.nat({ max: 1_000 }),
      (now, later) => formatId(now, 0xfff) < formatId(now + later + 1, 0) && formatId(now, 7) < formatId(now, 8),
    ),
  )
})

test('100,000 ids made in a row are all different, and in order', () => {
  const ids = Array.from({ length: 100_000 }, () => newId())
  expect(new Set(ids).size).toBe(100_000)
  expect(ids.toSorted()).toEqual(ids)
})

test('isUuid takes nothing but a UUID', () => {
  expect(isUuid('01934D5C-0000-7000-8000-00000000000A')).toBe(true)
  for (const text of [
    '',
    'acme',
    '01934d5c00007000800000000000000a',
    '01934d5c-0000-7000-8000-00000000000a ',
    '{01934d5c-0000-7000-8000-00000000000a}',
  ])
    expect(isUuid(text)).toBe(false)
})
