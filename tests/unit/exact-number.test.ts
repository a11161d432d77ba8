// Numbers of JSON to their last digit: what a double holds is a number as ever, what it would round keeps its digits.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { parseEvents } from '@/features/usage-tracking/services/event-parser'
import { decimalInput } from '@/libs/api-utils/decimal-input'
import { parseInput, parseJson } from '@/libs/api-utils/read-json'
import { takeNumbers } from '@/libs/api-utils/taken-numbers'
import { AppError } from '@/libs/errors'
import { toPlainDecimal } from '@/libs/ingest/decimal'
import { digitsOf, isExactNumber, parseExactly } from '@/libs/ingest/exact-number'

const errorsOf = (schema: z.ZodType, text: string) => {
  try {
    return { data: parseInput(schema, parseJson(text)) }
  } catch (error) {
    if (error instanceof AppError) return { errors: error.details.errors }
    throw error
  }
}
/** The value of a number in a text, compared without doubles. */
const plain = (value: unknown): string | null =>
  isExactNumber(value) ? digitsOf(value) : toPlainDecimal(JSON.stringify(value) ?? '')

describe('parseExactly', () => {
  test.each([
    ['9007199254740993', '9007199254740993'],
    ['-9007199254740993', '-9007199254740993'],
    ['0.12345678901234567890', '0.1234567890123456789'],
    ['5.00000000000000000001', '5.00000000000000000001'],
    ['12345678901234567.8e3', '12345678901234567800'],
    ['1234567890123456789e-20', '0.01234567890123456789'],
    ['1e-400', `0.${'0'.repeat(399)}1`],
    ['-2.50E-330', `-0.${'0'.repeat(329)}25`],
    ['4e-324', `0.${'0'.repeat(323)}4`],
  ])('%s keeps its digits', (text, digits) => {
    for (const json of [text, ` ${text}\n`]) {
      const value = parseExactly(json)
      expect(isExactNumber(value) && digitsOf(value)).toBe(digits)
    }
    for (const json of [`[1,${text}]`, `{"a":{"b":[${text} ]}}`, `{"a":\n${text}\n}`])
      expect(JSON.stringify(parseExactly(json))).toBe(json.replace(text, digits).replaceAll(/\s/g, ''))
  })

  test.each([
    '1',
    '-0.5',
    '0.30000000000000004',
    '9007199254740991',
    '1.0000000000000000000',
    '1e400',
    '-0',
    '1e-300',
    '0e-400',
    '0.00e-9999',
  ])('%s is a number', (text) => expect(parseExactly(`[${text}]`)).toEqual(JSON.parse(`[${text}]`)))

  test('what is too near to zero even for that is no number, as what is too large is not', () => {
    expect(parseExactly('[1e-1000, {"a":-2.5e-99999}]')).toEqual([Number.NaN, { a: Number.NaN }])
  })

  test('texts are left alone, whatever their digits', () => {
    const value = {
      tiny: ':1e-400,',
      id: '12345678901234567890',
      escaped: '\\",:12345678901234567890,',
      '12345678901234567890': 'a',
    }
    expect(parseExactly(JSON.stringify(value))).toEqual(value)
    expect(parseExactly(JSON.stringify([value, 1]))).toEqual([value, 1])
  })

  test('whatever is no JSON is refused as ever', () => {
    for (const text of ['', '12345678901234567890 1', '[12345678901234567890', '01234567890123456789', '+1', '1_0'])
      expect(() => parseExactly(text)).toThrow(SyntaxError)
  })

  test('any JSON: the same as JSON.parse, but for what that would round', () => {
    const digits = fc.stringMatching(/^-?(?:0|[1-9]\d{0,24})(?:\.\d{1,24})?(?:[eE][+-]?\d{1,2})?$/)
    fc.assert(
      fc.property(fc.array(fc.oneof(digits, fc.json()), { maxLength: 6 }), (parts) => {
        const text = `[${parts.join(',')}]`
        const exact = parseExactly(text) as unknown[]
        expect(JSON.parse(JSON.stringify(exact))).toEqual(JSON.parse(JSON.stringify(JSON.parse(text))))
        parts.forEach((part, at) => {
          if (/^-?\d/.test(part)) expect(plain(exact[at])).toBe(toPlainDecimal(part))
        })
      }),
      { numRuns: 2_000 },
    )
  })

  test('long runs of digits cost no more than other text', () => {
    const million = '1'.repeat(1_000_000)
    for (const text of [`["${million}"]`, `[" ${million}x"]`, `["${` ${million.slice(0, 20)}x`.repeat(40_000)}"]`]) {
      const began = performance.now()
      parseExactly(text)
      expect(performance.now() - began).toBeLessThan(1_000)
    }
  })
})

describe('an event', () => {
  const parse = (text: string) => parseEvents(parseJson(`[${text}]`))
  test.each([
    ['9007199254740993', '9007199254740993'],
    ['123456789012345678901234567890', '123456789012345678901234567890'],
    ['-0.12345678901234567891', '-0.12345678901234567891'],
  ])('of %s is worth just that', (number, value) => {
    expect(parse(`{"meter_id":"m","user_id":"u","eventValue":${number}}`).events[0]?.value).toBe(value)
  })
  test.each([
    ['invalid_value', '{"meter_id":"m","user_id":"u","event_value":1234567890123456789012345678901}'],
    ['invalid_value', '{"meter_id":"m","user_id":"u","event_value":0.123456789012345678901}'],
    ['invalid_value', '{"meter_id":"m","user_id":"u","event_value":1e-400}'],
    ['invalid_value', '{"meter_id":"m","user_id":"u","event_value":1e-4000}'],
    ['invalid_properties', '{"meter_id":"m","user_id":"u","properties":{"a":1e-4000}}'],
    ['invalid_user_id', '{"meter_id":"m","user_id":9007199254740993}'],
    ['invalid_event_id', '{"meter_id":"m","user_id":"u","event_id":9007199254740993}'],
    ['invalid_meter_id', '{"meter_id":9007199254740993,"user_id":"u"}'],
    ['invalid_properties', '{"meter_id":"m","user_id":"u","properties":9007199254740993}'],
    ['invalid_timestamp', '{"meter_id":"m","user_id":"u","timestamp":12345678901234567890}'],
    ['invalid_event', '9007199254740993'],
  ])('%s: %s', (code, text) => expect(parse(text).rejected).toMatchObject([{ code }]))
  test('has its properties to the last digit, and its time to the millisecond', () => {
    const [event] = parse(
      '{"meter_id":"m","user_id":"u","properties":{"device":9007199254740993},"timestamp":1795254000.12345678901}',
    ).events
    expect(event).toMatchObject({ properties: '{"device":9007199254740993}', time: '2026-11-21T09:40:00.123Z' })
  })
})

describe('input', () => {
  const amounts = z.strictObject({
    amount: decimalInput('any'),
    count: z.number().int().optional(),
    name: z.string().optional(),
  })
  test('is exact where amounts are read', () => {
    expect(errorsOf(amounts, '{"amount":9007199254740993}')).toEqual({ data: { amount: '9007199254740993' } })
    expect(errorsOf(amounts, '{"amount":0.10000000000000000001}')).toEqual({
      data: { amount: '0.10000000000000000001' },
    })
  })
  test.each([
    ['{"amount":1,"count":9007199254740993}', '/count'],
    ['{"amount":1,"name":9007199254740993}', '/name'],
    ['{"amount":{"a":9007199254740993}}', '/amount/a'],
    ['9007199254740993', ''],
  ])('%s is refused where it stands, and never rounded', (text, pointer) =>
    expect(errorsOf(amounts, text).errors).toEqual([
      { pointer, detail: 'has more digits than a number keeps here; send fewer, or text' },
    ]),
  )
  test('is never taken for an object, or rounded in what is kept as it is', () => {
    for (const schema of [z.unknown(), z.record(z.string(), z.unknown()), z.looseObject({}), z.object({})])
      for (const text of ['9007199254740993', '{"a":9007199254740993}', '{"metadata":{"a":[9007199254740993]}}'])
        expect(errorsOf(schema, text).errors).toHaveLength(1)
    const kept = z.preprocess(takeNumbers, z.record(z.string(), z.unknown()))
    expect(JSON.stringify(errorsOf(kept, '{"a":9007199254740993}').data)).toBe('{"a":9007199254740993}')
    expect(errorsOf(kept, '9007199254740993').errors).toHaveLength(1)
  })
  test('an amount out of range is refused as an amount', () => {
    expect(errorsOf(amounts, '{"amount":1234567890123456789012345678901}').errors).toMatchObject([
      { pointer: '/amount' },
    ])
    expect(errorsOf(amounts, '{"amount":0.123456789012345678901}').errors).toMatchObject([{ pointer: '/amount' }])
  })
})
