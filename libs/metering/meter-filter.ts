import { z } from 'zod'
import { isNegative, subtractDecimals } from '@/libs/ingest/decimal'

/** What a property is compared by. */
export const FILTER_OPERATORS = ['eq', 'ne', 'gt', 'gte', 'lt', 'lte', 'in', 'like'] as const
export type FilterOperator = (typeof FILTER_OPERATORS)[number]

export type FilterScalar = string | number | boolean | null
export type FilterCondition = { property: string; operator: FilterOperator; value: FilterScalar | FilterScalar[] }
/** Which events count: one condition, or several of which all (`and`) or one (`or`) must hold. */
export type MeterFilter = FilterCondition | { and: MeterFilter[] } | { or: MeterFilter[] }

const ORDERED: ReadonlySet<FilterOperator> = new Set(['gt', 'gte', 'lt', 'lte'])
const MOST_CONDITIONS = 20
const DEEPEST = 3
const MOST_CHOICES = 100
const LONGEST_TEXT = 255
const LONGEST_PROPERTY = 128

type Path = (string | number)[]
type Report = (path: Path, message: string) => void

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Why a value cannot be compared with, or null. */
function scalarFault(value: unknown): string | null {
  if (typeof value === 'string')
    return value.length <= LONGEST_TEXT ? null : `must be at most ${LONGEST_TEXT} characters`
  if (typeof value === 'number') return Number.isFinite(value) ? null : 'must be a finite number'
  return typeof value === 'boolean' || value === null ? null : 'must be text, a number, true, false or null'
}

function checkChoices(value: unknown, path: Path, report: Report): void {
  if (!Array.isArray(value) || value.length < 1 || value.length > MOST_CHOICES) {
    report(path, `must be an array of 1 to ${MOST_CHOICES} values with \`in\``)
    return
  }
  for (const [index, one] of value.entries()) {
    const fault = scalarFault(one)
    if (fault) report([...path, index], fault)
  }
}

function checkValue(operator: FilterOperator, value: unknown, path: Path, report: Report): void {
  if (operator === 'in') {
    checkChoices(value, path, report)
    return
  }
  const fault = scalarFault(value)
  if (fault) report(path, fault)
  else if (operator === 'like' && typeof value !== 'string') report(path, 'must be text with `like`')
  else if (operator === 'like' && /^(?:[^\\]|\\.)*\\$/su.test(String(value)))
    report(path, 'must not end with a single backslash')
  else if (ORDERED.has(operator) && typeof value !== 'string' && typeof value !== 'number')
    report(path, `must be a number or text with \`${operator}\``)
}

function checkCondition(filter: Record<string, unknown>, path: Path, report: Report): void {
  for (const key of Object.keys(filter))
    if (key !== 'property' && key !== 'operator' && key !== 'value') report([...path, key], 'is not a known field')
  const { property, operator, value } = filter
  if (typeof property !== 'string' || property.length < 1 || property.length > LONGEST_PROPERTY)
    report([...path, 'property'], `must be the name of a property, 1 to ${LONGEST_PROPERTY} characters`)
  const known = FILTER_OPERATORS.find((one) => one === operator)
  if (known) checkValue(known, value, [...path, 'value'], report)
  else report([...path, 'operator'], `must be one of ${FILTER_OPERATORS.join(', ')}`)
}

/** Checks a filter wherever it is wrong and gives the number of its conditions. */
function checkFilter(filter: unknown, path: Path, depth: number, report: Report): number {
  if (!isObject(filter)) {
    report(path, 'must be {"and": […]}, {"or": […]} or {"property", "operator", "value"}')
    return 0
  }
  const joined = 'and' in filter ? 'and' : 'or' in filter ? 'or' : null
  if (!joined) {
    checkCondition(filter, path, report)
    return 1
  }
  for (const key of Object.keys(filter)) if (key !== joined) report([...path, key], `cannot stand beside \`${joined}\``)
  const parts = filter[joined]
  if (depth > DEEPEST) {
    report([...path, joined], `may be nested at most ${DEEPEST} levels deep`)
    return 0
  }
  if (!Array.isArray(parts) || parts.length === 0) {
    report([...path, joined], 'must be an array of at least one condition')
    return 0
  }
  let conditions = 0
  for (const [index, part] of parts.slice(0, MOST_CONDITIONS + 1).entries())
    conditions += checkFilter(part, [...path, joined, index], depth + 1, report)
  return conditions
}

/** A filter on properties, as meters and queries take it; what is wrong is named by its place. */
export const meterFilter = (z.unknown() as z.ZodType<MeterFilter>)
  .superRefine((value, context) => {
    const report: Report = (path, message) => context.addIssue({ code: 'custom', path, message })
    const conditions = checkFilter(value, [], 1, report)
    if (conditions > MOST_CONDITIONS) report([], `may have at most ${MOST_CONDITIONS} conditions`)
  })
  .meta({
    id: 'MeterFilter',
    description:
      '`{"and": […]}` or `{"or": […]}` of filters, up to three levels deep and 20 conditions, or one condition on a property: `eq`, `ne`, `gt`, `gte`, `lt`, `lte`, `in` (an array) or `like` (`%` any text, `_` any character, a backslash before either means itself). Numbers and numeric text compare as decimals. A property that is missing satisfies `ne` alone.',
    example: { property: 'region', operator: 'eq', value: 'eu' },
    override: {
      type: 'object',
      properties: {
        and: { type: 'array', items: { type: 'object' } },
        or: { type: 'array', items: { type: 'object' } },
        property: { type: 'string' },
        operator: { type: 'string', enum: [...FILTER_OPERATORS] },
        value: {},
      },
    },
  })

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

/**
 * Whether properties pass a filter: the same answer as `app.passes_filter` in the database, which is what decides.
 * A property that is missing satisfies `ne` alone.
 */
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
