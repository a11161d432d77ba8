// Amounts as callers write them: read exactly, without an exponent, or refused in words that hold for whatever is wrong.
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { decimalInput, rolloverInput } from '@/libs/api-utils/decimal-input'

const read = (least: 'any' | 'zero' | 'more', value: unknown) => {
  const result = decimalInput(least).safeParse(value)
  return result.success ? result.data : result.error.issues.map(({ message }) => message)
}
const words = (of: string) => [
  `must be a number or decimal text${of}, with at most 30 digits before the point and 20 after it`,
]

describe('an amount', () => {
  test.each([
    [1, '1'],
    [-0, '0'],
    [0.1, '0.1'],
    [1e-7, '0.0000001'],
    [1.5e-18, '0.0000000000000000015'],
    [1e21, '1000000000000000000000'],
    ['123456789012345678901234567890.12345678901234567890', '123456789012345678901234567890.12345678901234567890'],
  ])('%s is read as %s', (value, text) => expect(read('zero', value)).toBe(text))

  test.each([
    -1,
    1e30,
    1e-30,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    '',
    ' 1',
    '1e3',
    '-1',
    '+1',
    '9'.repeat(31),
    '٣',
    '0x1',
  ])('%j is refused, once', (value) => expect(read('zero', value)).toEqual(words(' of zero or more')))
  test.each([null, true, {}, [], undefined])('%j is refused, once', (value) =>
    expect(read('zero', value)).toEqual(words(' of zero or more')),
  )
  test('may be more than zero alone, or anything', () => {
    for (const value of [0, '0', '0.000', -1, 1e-30]) expect(read('more', value)).toEqual(words(' of more than zero'))
    expect(read('more', '0.1')).toBe('0.1')
    expect(read('any', -1e-7)).toBe('-0.0000001')
    expect(read('any', -1e30)).toEqual(words(''))
  })
  test('is needed unless said otherwise, also in the eyes of who reads the document alone', () => {
    const amounts = z.object({ needed: decimalInput('zero'), free: decimalInput('zero').default('1') })
    expect(z.toJSONSchema(amounts, { io: 'input' })).toMatchObject({ required: ['needed'] })
    expect(amounts.parse({ needed: 2 })).toEqual({ needed: '2', free: '1' })
    expect(amounts.partial().parse({})).toEqual({ free: '1' })
  })
})

describe('a rollover', () => {
  const errors = (value: unknown) =>
    rolloverInput.safeParse(value).error?.issues.map(({ path, message }) => `${path.join('/')} ${message}`)
  test('is both of its ends, or the upper one alone', () => {
    expect(rolloverInput.parse(5)).toEqual({ min: '0', max: '5' })
    expect(rolloverInput.parse({ max: '5' })).toEqual({ min: '0', max: '5' })
  })
  test('compares its ends exactly', () => {
    const max = '900719925474099267.1'
    expect(rolloverInput.safeParse({ min: max, max }).success).toBe(true)
    expect(errors({ min: '900719925474099267.2', max })).toEqual(['min must not be above max'])
  })
  test('says nothing of the order of what is no amount', () => {
    const of = rolloverInput.safeParse({ min: 'x', max: 1 }).error?.issues
    expect(JSON.stringify(of)).not.toContain('above')
  })
})
