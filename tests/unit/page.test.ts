// Lists: a cursor brings back exactly the position it was made from, and nothing else passes for one.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cutPage, encodeCursor, isAnyText, isCount, isCursorMoment, pageQuery, readCursor } from '@/libs/api-utils/page'
import { AppError } from '@/libs/errors'

const value = fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0'))

test('a cursor comes back as it was', () => {
  fc.assert(
    fc.property(fc.array(value, { maxLength: 5 }), (values) => {
      expect(readCursor(encodeCursor(values), ...values.map(() => isAnyText))).toEqual(values)
    }),
  )
})

test('without a cursor there is no position: the first page', () => {
  for (const cursor of [undefined, '']) expect(readCursor(cursor, isCursorMoment, isAnyText)).toEqual([null, null])
})

test('each value has to pass the test of its place', () => {
  const cursor = encodeCursor(['2026-11-21', '7'])
  expect(readCursor(cursor, isCursorMoment, isCount)).toEqual(['2026-11-21', '7'])
  expect(() => readCursor(cursor, isCount, isCursorMoment)).toThrow(AppError)
  expect(() => readCursor(cursor, isCursorMoment)).toThrow(AppError)
})

test('a cursor is safe in a URL', () => {
  fc.assert(fc.property(fc.array(value), (values) => encodeURIComponent(encodeCursor(values)) === encodeCursor(values)))
})

describe('whatever else is sent is a bad request, not a fault', () => {
  const refused = (cursor: string, length: number) => {
    try {
      readCursor(cursor, ...Array.from({ length }, () => isAnyText))
      return false
    } catch (error) {
      return error instanceof AppError && error.code === 'bad_request'
    }
  }
  const encode = (content: unknown) => Buffer.from(JSON.stringify(content)).toString('base64url')

  test.each([
    ['of another list', encode(['a'])],
    ['not a list', encode({ length: 2 })],
    ['of numbers', encode([1, 2])],
    ['with a NUL', encode(['a\0', 'b'])],
    ['nested', encode([['a'], 'b'])],
    ['null', encode(null)],
    ['not base64', '%%%'],
  ])('%s', (_, cursor) => expect(refused(cursor, 2)).toBe(true))

  test('random text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => text === '' || refused(text, 7)))
  })
})

test('pages of any size together give every row once, in order', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(), { maxLength: 60 }), fc.integer({ min: 1, max: 10 }), (numbers, limit) => {
      const all = numbers.sort((a, b) => a - b)
      const seen: number[] = []
      let after = -1
      for (let page = 0; page <= 60; page += 1) {
        const fetched = all.filter((row) => row > after).slice(0, limit + 1)
        const { data, next_cursor } = cutPage(fetched, limit, (row) => [String(row)])
        expect(data.length).toBeLessThanOrEqual(limit)
        seen.push(...data)
        if (!next_cursor) break
        after = Number(readCursor(next_cursor, isAnyText)[0])
      }
      expect(seen).toEqual(all)
    }),
  )
})

test('the size of a page is 1 to 200, 50 unless said otherwise', () => {
  expect(pageQuery.parse({})).toEqual({ limit: 50 })
  expect(pageQuery.parse({ limit: '200' }).limit).toBe(200)
  for (const limit of ['0', '201', '-1', '1.5', 'x', 'Infinity', '1e3'])
    expect(pageQuery.safeParse({ limit }).success).toBe(false)
})

describe('a moment in a cursor', () => {
  test.each(['2026-11-21', '2026-11-21T09:30:00.123Z', '2026-11-21 09:30:00.123456+00', '2026-11-21T09:30:00-05:30'])(
    '%s is one',
    (text) => expect(isCursorMoment(text)).toBe(true),
  )
  test.each([
    '',
    'x',
    '0000-01-01',
    '2026-02-30',
    '2026-13-01',
    '2026-11-01T25:00:00Z',
    '2026-11-01T00:00:00+23:59',
    '275760-09-13',
    'infinity',
    'now',
    '1',
  ])('%j is none', (text) => expect(isCursorMoment(text)).toBe(false))
})

test('a number of a query is written in digits', () => {
  const limitOf = (limit: unknown) => pageQuery.safeParse({ limit }).data?.limit
  expect(['5', '+5', '5.0', 7, undefined].map(limitOf)).toEqual([5, 5, 5, 7, 50])
  for (const text of ['', ' ', ' 5', '5 ', '0x10', '1e1', '٥', 'five', '-1', '0', '201', '1.5'])
    expect([text, limitOf(text)]).toEqual([text, undefined])
})
