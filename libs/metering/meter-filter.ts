import { z } from 'zod'

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

/** The properties that a filter looks at. */
export function propertiesOf(filter: MeterFilter): string[] {
  if ('and' in filter) return filter.and.flatMap(propertiesOf)
  return 'or' in filter ? filter.or.flatMap(propertiesOf) : [filter.property]
}

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
