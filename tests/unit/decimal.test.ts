// Amounts are exact from the first digit to the last: what goes out as JSON never says more or less than the database.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { addDecimals, isNegative, percentOf, subtractDecimals, toQuantity } from '@/libs/ingest/decimal'
import { fromMinor, toMinor } from '@/libs/ingest/money'
import { slugOf } from '@/libs/ingest/slug'

/** A double as the shortest decimal that means it, written out. */
const BIG = new Intl.NumberFormat('en', { useGrouping: false, maximumFractionDigits: 40 })

const decimal = fc
  .tuple(fc.boolean(), fc.bigInt({ min: 0n, max: 10n ** 30n }), fc.integer({ min: 0, max: 20 }))
  .map(([negative, units, scale]) => {
    const digits = units.toString().padStart(scale + 1, '0')
    const point = digits.length - scale
    return {
      text: `${negative ? '-' : ''}${digits.slice(0, point)}${scale ? `.${digits.slice(point)}` : ''}`,
      units: negative ? -units : units,
      scale,
    }
  })

describe('decimals', () => {
  test('a difference is exact, and undone by a sum', () => {
    fc.assert(
      fc.property(decimal, decimal, (left, right) => {
        const difference = subtractDecimals(left.text, right.text)
        const scale = Math.max(left.scale, right.scale)
        const expected =
          left.units * 10n ** BigInt(scale - left.scale) - right.units * 10n ** BigInt(scale - right.scale)
        expect(isNegative(difference)).toBe(expected < 0n)
        expect(subtractDecimals(addDecimals(difference, right.text), left.text)).toBe('0')
      }),
    )
  })
  test('a quantity is a number only where a double says the same', () => {
    fc.assert(
      fc.property(decimal, ({ text }) => {
        const quantity = toQuantity(text)
        if (typeof quantity === 'string') expect(subtractDecimals(quantity, text)).toBe('0')
        else expect(subtractDecimals(BIG.format(quantity), text)).toMatch(/^-?0$/)
      }),
    )
    expect(toQuantity('12.50')).toBe(12.5)
    expect(toQuantity('0.1')).toBe(0.1)
    expect(toQuantity('9007199254740993')).toBe('9007199254740993')
    expect(toQuantity('1000000000000000000000')).toBe(1e21)
    expect(toQuantity('0.0000001')).toBe(1e-7)
    expect(toQuantity('0.30000000000000001')).toBe('0.30000000000000001')
  })
  test('a share never reads as reached before it is', () => {
    expect(percentOf('99.99', '100')).toBe(99.9)
    expect(percentOf('100', '100')).toBe(100)
    expect(percentOf('9007199254740992.9', '9007199254740993')).toBe(99.9)
    fc.assert(
      fc.property(fc.integer({ min: -2_000, max: 2_000 }), fc.integer({ min: 1, max: 4 }), (tenths, more) => {
        const whole = `0.${'0'.repeat(more)}1`
        const part = `${tenths < 0 ? '-' : ''}0.${String(Math.abs(tenths)).padStart(more + 4, '0')}`
        expect(percentOf(part, whole)).toBe(tenths / 10)
        expect(percentOf(`${part}1`, whole)).toBe((tenths < 0 ? tenths - 1 : tenths) / 10)
      }),
    )
  })
  test('of a cap of zero all is used as soon as anything is', () => {
    expect(['0.01', '0', '-3'].map((used) => percentOf(used, '0'))).toEqual([100, 0, 0])
  })
})

test('money turns into minor units and back', () => {
  expect(toMinor(49.99, 'USD')).toBe(4999)
  expect(toMinor(1.005, 'USD')).toBe(null)
  expect(toMinor(0.1 + 0.2, 'USD')).toBe(30)
  expect(toMinor(1500, 'JPY')).toBe(1500)
  expect(toMinor(1.234, 'KWD')).toBe(1234)
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 10 ** 12 }), fc.constantFrom('USD', 'JPY', 'KWD'), (minor, currency) => {
      expect(toMinor(fromMinor(minor, currency), currency)).toBe(minor)
    }),
  )
})

test('a slug is made from any name, or is empty', () => {
  expect(slugOf('Images rendered (HD)')).toBe('images_rendered_hd')
  expect(slugOf('Überprüfte Einträge: 10 %')).toBe('uberprufte_eintrage_10')
  fc.assert(fc.property(fc.string(), (name) => /^([a-z0-9]+(_[a-z0-9]+)*)?$/.test(slugOf(name))))
})
