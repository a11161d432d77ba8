// What a filter means, said once more in plain TypeScript: the database decides, and the tests compare it with this.
import { isNegative, subtractDecimals } from '@/libs/ingest/decimal'
import type { FilterScalar, MeterFilter } from '@/libs/metering/meter-filter'

const PLAIN_DECIMAL = /^[+-]?\d{1,30}(\.\d{1,20})?$/

/** A scalar as text, numbers without an exponent. */
function textOf(value: FilterScalar): string {
  const [digits = '', exponent] = typeof value === 'number' ? String(value).split('e') : [String(value)]
  if (exponent === undefined) return digits
  const [whole = '', fraction = ''] = digits.replace('-', '').split('.')
  const shift = Number(exponent)
  const sign = digits.startsWith('-') ? '-' : ''
  if (shift < 0) return `${sign}0.${'0'.repeat(-shift - whole.length)}${whole}${fraction}`
  return `${sign}${whole}${fraction.padEnd(shift, '0')}`
}

/** The decimal text of a number or numeric text that is not too long; null for everything else. */
function decimalOf(value: FilterScalar): string | null {
  if (typeof value !== 'string' && typeof value !== 'number') return null
  const text = textOf(value)
  return PLAIN_DECIMAL.test(text) ? text.replace('+', '') : null
}

/** By code point, as the database sorts text in its plainest collation. */
function compareText(left: string, right: string): number {
  const [a, b] = [[...left], [...right]]
  for (const [index, char] of a.entries()) {
    const other = b[index]
    if (other === undefined) return 1
    if (char !== other) return (char.codePointAt(0) ?? 0) - (other.codePointAt(0) ?? 0)
  }
  return a.length - b.length
}

const isOrdered = (value: FilterScalar): boolean => typeof value === 'string' || typeof value === 'number'

/** Below 0, 0 or above: by amount where both are decimals, else as text by code point. */
function compare(left: FilterScalar, right: FilterScalar): number {
  const [a, b] = [decimalOf(left), decimalOf(right)]
  if (a !== null && b !== null) {
    const difference = subtractDecimals(a, b)
    return isNegative(difference) ? -1 : /[1-9]/.test(difference) ? 1 : 0
  }
  return compareText(textOf(left), textOf(right))
}

const isSame = (left: FilterScalar, right: FilterScalar): boolean =>
  left === right || (decimalOf(left) !== null && decimalOf(right) !== null && compare(left, right) === 0)

function isLike(text: string, pattern: string): boolean {
  const source = pattern.replace(/\\?./gsu, (part) => {
    if (part === '%') return '[^]*'
    if (part === '_') return '[^]'
    return (part.length > 1 && part.startsWith('\\') ? part.slice(1) : part).replace(/[.*+?^${}()|[\]\\/]/u, '\\$&')
  })
  return new RegExp(`^${source}$`, 'u').test(text)
}

/** Whether properties pass a filter. A property that is missing satisfies `ne` alone. */
export function passesFilter(filter: MeterFilter, properties: Readonly<Record<string, FilterScalar>>): boolean {
  if ('and' in filter) return filter.and.every((part) => passesFilter(part, properties))
  if ('or' in filter) return filter.or.some((part) => passesFilter(part, properties))
  const { property, operator, value } = filter
  const actual = Object.hasOwn(properties, property) ? properties[property] : undefined
  if (actual === undefined) return operator === 'ne'
  if (Array.isArray(value)) return operator === 'in' && value.some((one) => isSame(actual, one))
  if (operator === 'eq') return isSame(actual, value)
  if (operator === 'ne') return !isSame(actual, value)
  if (operator === 'like') return typeof actual === 'string' && typeof value === 'string' && isLike(actual, value)
  if (!isOrdered(actual) || !isOrdered(value)) return false
  if (operator === 'gt') return compare(actual, value) > 0
  if (operator === 'gte') return compare(actual, value) >= 0
  if (operator === 'lt') return compare(actual, value) < 0
  return operator === 'lte' && compare(actual, value) <= 0
}
