import { describe, expect, test } from 'vitest'
import { toJsonPath, toProperty } from '@/app/compat/openmeter/json-path'
import { addPeriod, readInterval } from '@/app/compat/openmeter/periods'
import { parseFields } from '@/libs/api-utils/read-form'
import { type EventMeter, flattenData, layOutProperties, readValue } from '@/libs/metering/typed-event'

const meter = (input: Partial<EventMeter> = {}): EventMeter => ({
  slug: 'tokens',
  type: 'prompt',
  aggregation: 'SUM',
  value_property: 'tokens',
  group_by: [],
  property_paths: null,
  filter: null,
  archived: false,
  ...input,
})

describe('what an event says, laid out', () => {
  test('scalars go by their path, the shallower name wins, lists are left out', () => {
    const flat = flattenData({ a: 1, b: { c: 'x', d: { e: null } }, 'b.c': true, list: [1], empty: {} })
    expect(Object.fromEntries(flat)).toEqual({ a: 1, 'b.c': true, 'b.d.e': null })
    let deep: Record<string, unknown> = { end: 1 }
    for (let level = 0; level < 30; level += 1) deep = { deep }
    expect(flattenData(deep).size).toBe(0)
  })

  test('a group takes its value from its own path alone', () => {
    const own = meter({ group_by: ['region'], property_paths: { region: 'request.region' } })
    expect(layOutProperties({ tokens: 1, region: 'x', request: { region: 'eu' } }, own)).toEqual({
      tokens: 1,
      region: 'eu',
      'request.region': 'eu',
    })
    expect(layOutProperties({ tokens: 1, region: 'x' }, own)).toEqual({ tokens: 1 })
  })

  test('what the meter needs is kept, of the rest what fits', () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`p${index}`, index]))
    const filter = { and: [{ property: 'p98', operator: 'eq' as const, value: 1 }] }
    const properties = layOutProperties({ ...many, tokens: 7 }, meter({ group_by: ['p99'], filter }))
    expect(Object.keys(properties)).toHaveLength(64)
    expect(properties).toMatchObject({ tokens: 7, p98: 98, p99: 99, p0: 0 })
    const long = layOutProperties({ long: 'x'.repeat(9_000), ['n'.repeat(200)]: 1, tokens: 7 }, meter())
    expect(long).toEqual({ tokens: 7 })
    expect(Object.keys(layOutProperties(JSON.parse('{"__proto__": {"a": 1}, "constructor": 2}'), meter()))).toEqual([
      'constructor',
      '__proto__.a',
    ])
  })

  test('a meter without a property takes the value', () => {
    const plain = meter({ value_property: null })
    expect([readValue({ value: 4 }, plain), readValue({ value: '4.5' }, plain), readValue({}, plain)]).toEqual([
      4,
      '4.5',
      undefined,
    ])
    expect(readValue({ value: 4 }, meter({ value_property: null, aggregation: 'COUNT' }))).toBeUndefined()
    expect(readValue({ value: 4 }, meter())).toBeUndefined()
  })
})

test('plain JSONPaths are properties, and back', () => {
  for (const [path, property] of [
    ['$.tokens', 'tokens'],
    ['$.a.b-c.d_1', 'a.b-c.d_1'],
    [`$['a b'].c`, 'a b.c'],
    ['$["x"]', 'x'],
  ] as const)
    expect(toProperty(path)).toBe(property)
  for (const path of ['', '$', 'tokens', '$..a', '$.a[0]', '$.*', '$.a[?(@.b)]', `$['']`, `$.${'x'.repeat(129)}`])
    expect([path, toProperty(path)]).toEqual([path, null])
  for (const property of ['tokens', 'a.b', 'a b.c']) expect(toProperty(toJsonPath(property))).toBe(property)
})

test('intervals and expiry by the calendar', () => {
  expect(['DAY', 'P1M', 'YEAR', 'P1W', 'P3D', ''].map(readInterval)).toEqual([
    'day',
    'month',
    'year',
    'week',
    null,
    null,
  ])
  const at = new Date('2026-01-31T10:00:00Z')
  expect(addPeriod(at, 'MONTH', 1).toISOString()).toBe('2026-02-28T10:00:00.000Z')
  expect(addPeriod(at, 'MONTH', 2).toISOString()).toBe('2026-03-31T10:00:00.000Z')
  expect(addPeriod(new Date('2028-02-29T00:00:00Z'), 'YEAR', 1).toISOString()).toBe('2029-02-28T00:00:00.000Z')
  expect(addPeriod(at, 'WEEK', 2).toISOString()).toBe('2026-02-14T10:00:00.000Z')
  expect(addPeriod(at, 'HOUR', 30).toISOString()).toBe('2026-02-01T16:00:00.000Z')
})

describe('forms', () => {
  const parse = (text: string) => JSON.parse(JSON.stringify(parseFields(new URLSearchParams(text)))) as unknown
  test('fields are nested by their names', () => {
    expect(parse('a=1&b[c]=2&b[d][e]=3&list[]=x&list[]=y&expand[0]=z')).toEqual({
      a: '1',
      b: { c: '2', d: { e: '3' } },
      list: { 0: 'x', 1: 'y' },
      expand: { 0: 'z' },
    })
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
    parseFields(new URLSearchParams('__proto__[polluted]=1&a[__proto__][polluted]=1'))
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  })
  test.each(['a=1&a=2', 'a=1&a[b]=2', 'a[b]=1&a=2', '[a]=1', 'a[b=1', '=1', 'a[1][2][3][4][5]=1', 'a=%00'])(
    'not taken: %s',
    (text) => expect(() => parse(text)).toThrow(),
  )
})
