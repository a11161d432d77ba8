// What comes in is read event by event: whatever is sent, there is an answer for each of its places, and none is an accident.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { eventKey, parseEvents } from '@/features/usage-tracking/services/event-parser'
import { layOutBatch } from '@/features/usage-tracking/services/usage-batch'
import { textArray } from '@/libs/db/array-parameters'
import { AppError } from '@/libs/errors'

const good = { meter_id: 'api_calls', user_id: 'u' }

describe('parseEvents', () => {
  test('answers for every event of any JSON, in order', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.jsonValue(), fc.constant(good)), { minLength: 1, maxLength: 50 }), (body) => {
        const { events, rejected } = parseEvents(body)
        const places = [...events, ...rejected].map(({ index }) => index).sort((a, b) => a - b)
        expect(places).toEqual(body.map((_, index) => index))
      }),
    )
  })
  test('refuses nothing, and more than a thousand', () => {
    expect(() => parseEvents([])).toThrow(AppError)
    expect(() => parseEvents({ events: [] })).toThrow(AppError)
    expect(() => parseEvents(Array.from({ length: 1_001 }, () => good))).toThrow(AppError)
    expect(parseEvents(Array.from({ length: 1_000 }, () => good)).events).toHaveLength(1_000)
  })
  test('keeps values as they were written', () => {
    const values = [1, '1.10', '007', 0.1, 1e21, -5, '-0.5', 0]
    const { events } = parseEvents(values.map((event_value) => ({ ...good, event_value })))
    expect(events.map(({ value }) => value)).toEqual(['1', '1.10', '007', '0.1', '1e+21', '-5', '-0.5', '0'])
    expect(parseEvents(good).events[0]?.value).toBe('1')
    const small = [1e-20, -5e-19, 1e-21, 1.5e-20].map((event_value) => ({ ...good, event_value }))
    expect(parseEvents(small).events.map(({ value }) => value)).toEqual(['1e-20', '-5e-19'])
  })
  test.each([
    ['2026-11-21T10:00:00Z', '2026-11-21T10:00:00Z'],
    ['2026-11-21t10:00:00.123456+05:30', '2026-11-21t10:00:00.123456+05:30'],
    [1_795_255_200, '2026-11-21T10:00:00.000Z'],
    [1_795_255_200_123, '2026-11-21T10:00:00.123Z'],
    ['1795255200', '2026-11-21T10:00:00.000Z'],
    ['2028-02-29T00:00:00Z', '2028-02-29T00:00:00Z'],
  ])('reads the time %s', (timestamp, expected) => {
    expect(parseEvents({ ...good, timestamp }).events[0]?.time).toBe(expected)
  })
  test.each([
    '',
    '2026-11-21',
    '2026-11-21T10:00:00',
    '2026-11-31T10:00:00Z',
    '2027-02-29T00:00:00Z',
    '2026-11-21T24:00:00Z',
    '2026-11-21T10:00:60Z',
    -1,
    1_795_255_200_123_456,
    1e20,
    true,
    {},
  ])('refuses the time %j', (timestamp) => {
    expect(parseEvents({ ...good, timestamp }).rejected).toEqual([
      expect.objectContaining({ code: 'invalid_timestamp' }),
    ])
  })
  test.each([
    ['1970-01-01T00:00:00Z', 'timestamp_too_old'],
    ['0001-01-01T00:00:00+14:00', 'timestamp_too_old'],
    ['2001-12-31T23:59:59.999Z', 'timestamp_too_old'],
    [0, 'timestamp_too_old'],
    ['12', 'timestamp_too_old'],
    [1e9, 'timestamp_too_old'],
    ['2096-01-01T00:00:00Z', 'timestamp_in_future'],
    ['9999-12-31T23:59:59Z', 'timestamp_in_future'],
    [5e12, 'timestamp_in_future'],
  ])('says of the time %j which way it is out of range', (timestamp, code) => {
    expect(parseEvents({ ...good, timestamp }).rejected).toEqual([expect.objectContaining({ code })])
  })
})

test('text that cannot be kept refuses its event alone, and is kept without what cannot be', () => {
  const bad = ['a\0', '\ud800', 'b\udc00c'].flatMap((text) => [
    { ...good, user_id: text },
    { ...good, event_id: text },
    { ...good, event_id: 'x', source: text },
    { ...good, meter_id: text },
    { ...good, event_value: text },
    { ...good, timestamp: text },
    { ...good, [text]: 1 },
    { ...good, properties: { [text]: 1 } },
    { ...good, properties: { a: { [text]: 1 } } },
    text,
  ])
  const { events, rejected, refused } = parseEvents([...bad, good])
  expect(events.map(({ index }) => index)).toEqual([bad.length])
  const kept = JSON.stringify([...refused.values(), ...rejected])
  expect([refused.size, rejected.length]).toEqual([bad.length, bad.length])
  expect(kept).not.toMatch(/\\u0000|\\ud[89a-f]/)
  expect(kept).toContain('a\ufffd')
})

test.each([
  [{ a: 'x\u0000' }, 'refused'],
  [{ a: 'x\ud800' }, 'refused'],
  [{ 'n\u0000': 1 }, 'refused'],
  [{ a: 'x\\u0000' }, 'taken'],
  [{ a: '\\' }, 'taken'],
  [{ a: '😀' }, 'taken'],
])('properties %j are %s: Postgres could not keep NUL or half a character', (properties, expected) => {
  expect(parseEvents({ ...good, properties }).events.length === 1 ? 'taken' : 'refused').toBe(expected)
})

describe('keys', () => {
  test('are the same for the same source and id, and no others', () => {
    fc.assert(
      fc.property(
        fc.option(fc.string()),
        fc.string(),
        fc.option(fc.string()),
        fc.string(),
        (sourceA, idA, sourceB, idB) => {
          const same = (sourceA ?? '') === (sourceB ?? '') && idA === idB
          // A source holds no line feed; event-parser sees to that.
          fc.pre(![sourceA, sourceB].some((source) => source?.includes('\n')))
          expect(eventKey(sourceA, idA) === eventKey(sourceB, idB)).toBe(same)
        },
      ),
    )
  })
  test('are UUIDs of version 8, and version 7 without an id', () => {
    expect(eventKey('a', 'b')).toMatch(/^[0-9a-f]{12}8[0-9a-f]{3}[89ab][0-9a-f]{15}$/)
    expect(parseEvents(good).events[0]?.key.replaceAll('-', '')).toMatch(/^[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$/)
  })
})

test('a batch names each meter and user once, whatever they hold', () => {
  const users = ['plain', 'a,b', 'a"b', 'a\\b', '{}', 'null', 'ünï', "o'clock"]
  const { events } = parseEvents([...users, ...users].map((user_id) => ({ ...good, user_id })))
  const batch = layOutBatch(events, 'UTC')
  expect(batch.index.users).toEqual(users)
  expect(batch.arguments(false, { strict: false, report: false, enforce: false })[2]).toEqual(textArray(users))
})
