import type { FilterOperator, MeterFilter } from '@/libs/metering/meter-filter'
import { t } from '@/libs/ui/messages'

const SIGNS: Record<FilterOperator, string> = {
  eq: '=',
  ne: '≠',
  gt: '>',
  gte: '≥',
  lt: '<',
  lte: '≤',
  in: '∈',
  like: '~',
}

/** A filter as one line: `region = eu and (size > 5 or plan ≠ free)`. */
export function describeFilter(filter: MeterFilter): string {
  if ('and' in filter) return filter.and.map(describePart).join(` ${t('meters.filter.and')} `)
  if ('or' in filter) return filter.or.map(describePart).join(` ${t('meters.filter.or')} `)
  const { property, operator, value } = filter
  return `${property} ${SIGNS[operator]} ${Array.isArray(value) ? value.map(String).join(', ') : String(value)}`
}

function describePart(filter: MeterFilter): string {
  return 'property' in filter ? describeFilter(filter) : `(${describeFilter(filter)})`
}
