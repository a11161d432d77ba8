import { z } from 'zod'
import type { FilterCondition, MeterFilter } from '@/libs/metering/meter-filter'

/** What the wire compares a text with: all of the given hold. */
export type FilterString = {
  $eq?: string | null | undefined
  $ne?: string | null | undefined
  $in?: string[] | null | undefined
  $nin?: string[] | null | undefined
  $like?: string | null | undefined
  $nlike?: string | null | undefined
  $ilike?: string | null | undefined
  $nilike?: string | null | undefined
  $gt?: string | null | undefined
  $gte?: string | null | undefined
  $lt?: string | null | undefined
  $lte?: string | null | undefined
  $and?: FilterString[] | null | undefined
  $or?: FilterString[] | null | undefined
}

const text = z.string().max(510).nullish()
const texts = z.array(z.string().max(510)).max(100).nullish()
export const filterString: z.ZodType<FilterString> = z.lazy(() =>
  z.strictObject({
    $eq: text,
    $ne: text,
    $in: texts,
    $nin: texts,
    $like: text,
    $nlike: text,
    $ilike: text,
    $nilike: text,
    $gt: text,
    $gte: text,
    $lt: text,
    $lte: text,
    $and: z.array(filterString).max(20).nullish(),
    $or: z.array(filterString).max(20).nullish(),
  }),
)

/** A pattern in pieces: any text (`%`), any character (`_`), or one that means itself, as after a backslash. */
function readPattern(pattern: string): ('any' | 'one' | { char: string })[] {
  return [...pattern.matchAll(/\\?./gsu)].map(([part]) =>
    part === '%' ? 'any' : part === '_' ? 'one' : { char: [...part].at(-1) ?? '' },
  )
}

/**
 * Whether a text is like a pattern. Only the last `%` that was passed is ever tried at another place, so that no pattern costs more than
 * its length times that of the text: a regular expression of many `.*` keeps the process for hours.
 */
export function isLike(text: string, pattern: string): boolean {
  const [chars, pieces] = [[...text], readPattern(pattern)]
  let at = 0
  let open: { piece: number; from: number } | null = null
  for (let index = 0; index < chars.length; ) {
    const piece = pieces[at]
    if (piece === 'any') {
      open = { piece: at, from: index }
      at += 1
    } else if (piece !== undefined && (piece === 'one' || piece.char === chars[index])) {
      at += 1
      index += 1
    } else if (open) {
      open.from += 1
      index = open.from
      at = open.piece + 1
    } else return false
  }
  return pieces.slice(at).every((piece) => piece === 'any')
}

const lower = (text: string) => text.toLowerCase()

const CHECKS: Readonly<Record<string, (value: string, wanted: string) => boolean>> = {
  $eq: (value, wanted) => value === wanted,
  $ne: (value, wanted) => value !== wanted,
  $like: (value, wanted) => isLike(value, wanted),
  $nlike: (value, wanted) => !isLike(value, wanted),
  $ilike: (value, wanted) => isLike(lower(value), lower(wanted)),
  $nilike: (value, wanted) => !isLike(lower(value), lower(wanted)),
  $gt: (value, wanted) => value > wanted,
  $gte: (value, wanted) => value >= wanted,
  $lt: (value, wanted) => value < wanted,
  $lte: (value, wanted) => value <= wanted,
}

/** Whether a text is what a filter asks for. */
export function passesFilter(value: string, filter: FilterString): boolean {
  const { $in, $nin, $and, $or, ...plain } = filter
  return (
    Object.entries(plain).every(([name, wanted]) => typeof wanted !== 'string' || CHECKS[name]?.(value, wanted)) &&
    ($in?.includes(value) ?? true) &&
    !$nin?.includes(value) &&
    ($and?.every((part) => passesFilter(value, part)) ?? true) &&
    ($or?.some((part) => passesFilter(value, part)) ?? true)
  )
}

const OPERATORS = { $eq: 'eq', $ne: 'ne', $gt: 'gt', $gte: 'gte', $lt: 'lt', $lte: 'lte', $like: 'like' } as const

/** A filter of a group as ours; null for one that asks nothing, or by its name what cannot be asked. */
export function toMeterFilter(property: string, filter: FilterString): MeterFilter | null | { impossible: string } {
  const parts: MeterFilter[] = []
  for (const [name, wanted] of Object.entries(filter)) {
    if (wanted === null || wanted === undefined) continue
    const operator = OPERATORS[name as keyof typeof OPERATORS]
    if (operator && typeof wanted === 'string') parts.push({ property, operator, value: wanted })
    else if (name === '$in' && Array.isArray(wanted)) parts.push(oneOf(property, wanted as string[]))
    else if (name === '$nin' && Array.isArray(wanted))
      parts.push(...(wanted as string[]).map((value): FilterCondition => ({ property, operator: 'ne', value })))
    else if ((name === '$and' || name === '$or') && Array.isArray(wanted)) {
      const inner = (wanted as FilterString[]).map((part) => toMeterFilter(property, part))
      const known: MeterFilter[] = []
      for (const one of inner) {
        if (one === null) continue
        if ('impossible' in one) return one
        known.push(one)
      }
      if (known.length > 0) parts.push(name === '$and' ? { and: known } : { or: known })
    } else return { impossible: name }
  }
  const [only] = parts
  return parts.length > 1 ? { and: parts } : (only ?? null)
}

function oneOf(property: string, values: string[]): FilterCondition {
  // A list of none is something nothing can be.
  return values.length > 0
    ? { property, operator: 'in', value: values }
    : { property, operator: 'in', value: ['\u0001'] }
}
