import type { z } from 'zod'
import type { InputError } from '@/libs/errors'
import { isExactNumber } from '@/libs/ingest/exact-number'
import { isTaken } from './taken-numbers'

type Issue = z.core.$ZodIssue
type RawIssue = z.core.$ZodRawIssue

/**
 * What is wrong at a place. `kinds` says that the value is of another kind than any of these, and nothing more; `words` that the
 * schema says so in words of its own.
 */
type Problem = { path: PropertyKey[]; detail: string; kinds?: readonly string[]; words?: boolean }

const MOST_ERRORS = 50
const TOO_LONG = 'has more digits than a number keeps here; send fewer, or text'
const LONGEST_LIST = 40

const KINDS: Record<string, string> = {
  string: 'text',
  number: 'a number',
  nan: 'a number',
  int: 'a whole number',
  bigint: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  tuple: 'a list',
  object: 'an object',
  record: 'an object',
  null: 'null',
  undefined: 'left out',
  never: 'left out',
}

const FORMATS: Record<string, string> = {
  email: 'must be an e-mail address',
  url: 'must be a URL',
  uuid: 'must be a UUID',
  date: 'must be a date that exists, such as 2026-11-21',
  datetime: 'must be RFC 3339 with a zone, such as 2026-11-21T09:30:00Z',
  json_string: 'must be JSON',
}

function joinWords(words: readonly string[]): string {
  const different = [...new Set(words)]
  if (different.length < 2) return different[0] ?? 'something else'
  return `${different.slice(0, -1).join(', ')} or ${different.at(-1)}`
}

const kindOf = (expected: string): string => KINDS[expected] ?? expected
const isText = (origin: string): boolean => origin === 'string'
const isNumber = (origin: string): boolean => ['number', 'int', 'bigint'].includes(origin)
const plural = (count: number | bigint, word: string): string => `${count} ${word}${Number(count) === 1 ? '' : 's'}`

function describeSize(issue: RawIssue & { code: 'too_big' | 'too_small' }): string {
  const { origin } = issue
  if (issue.code === 'too_big') {
    if (isNumber(origin)) return `must be ${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}`
    return `may have at most ${isText(origin) ? plural(issue.maximum, 'character') : `${issue.maximum} entries`}`
  }
  if (isNumber(origin)) return `must be ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}`
  if (Number(issue.minimum) === 1) return 'must not be empty'
  return `must have at least ${isText(origin) ? plural(issue.minimum, 'character') : `${issue.minimum} entries`}`
}

/**
 * Words for what a schema finds wrong and has no words of its own for: they say what is expected there. Nothing for
 * unions: what is wrong with those is told from their branches.
 */
export function describeIssue(issue: RawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'is needed' : `must be ${kindOf(issue.expected)}`
    case 'too_big':
    case 'too_small':
      return describeSize(issue as RawIssue & { code: 'too_big' | 'too_small' })
    case 'invalid_format':
      return FORMATS[issue.format] ?? (issue.pattern ? `must match ${issue.pattern}` : `must be ${issue.format}`)
    case 'invalid_value':
      if (issue.input === undefined) return 'is needed'
      if (issue.values.length > LONGEST_LIST) return 'is none of the values that are known'
      return `must be ${issue.values.length > 1 ? 'one of ' : ''}${issue.values.map(String).join(', ')}`
    case 'not_multiple_of':
      return `must be a multiple of ${issue.divisor}`
    case 'invalid_union':
      return ''
    default:
      return 'is not allowed here'
  }
}

const samePlace = (a: readonly PropertyKey[], b: readonly PropertyKey[]): boolean =>
  a.length === b.length && a.every((part, at) => part === b[at])

/** A value that fits no branch: the branch it was meant for is the one whose kind it is, else all kinds are named. */
function problemsOfUnion(branches: readonly (readonly Issue[])[], path: PropertyKey[]): Problem[] {
  const tried = branches.map((issues) => issues.flatMap((issue) => problemsOf(issue, path)))
  const fitting = tried.filter((problems) => !problems.some((it) => it.kinds && samePlace(it.path, path)))
  if (fitting.length === 0) {
    const mismatches = tried.flatMap((problems) => problems.filter((it) => it.kinds && samePlace(it.path, path)))
    const kinds = mismatches.flatMap((it) => it.kinds ?? [])
    const missing = mismatches.find((it) => it.detail === 'is needed')
    const worded = mismatches.find((it) => it.words)
    return [{ path, detail: missing?.detail ?? worded?.detail ?? `must be ${joinWords(kinds)}`, kinds }]
  }
  const here = fitting.map((problems) => problems[0]).filter((it) => it !== undefined && samePlace(it.path, path))
  if (here.length === fitting.length) return [{ path, detail: joinWords(here.map((it) => it?.detail ?? '')) }]
  return fitting.reduce((best, problems) => (problems.length < best.length ? problems : best))
}

/** A union with words of its own, which is still a matter of kind when no branch is for such a value. */
function wordedUnion(issue: Issue & { code: 'invalid_union' }, path: PropertyKey[]): Problem[] {
  const kinds = problemsOfUnion(issue.errors, path).flatMap((it) => (samePlace(it.path, path) ? (it.kinds ?? []) : []))
  return [{ path, detail: issue.message, ...(kinds.length > 0 ? { kinds, words: true } : {}) }]
}

function problemsOf(issue: Issue, base: readonly PropertyKey[]): Problem[] {
  const path = [...base, ...issue.path]
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({ path: [...path, key], detail: 'is not a known field' }))
    case 'invalid_type':
      return [{ path, detail: issue.message, kinds: [kindOf(issue.expected)] }]
    case 'invalid_union':
      return issue.message ? wordedUnion(issue, path) : problemsOfUnion(issue.errors, path)
    case 'invalid_key':
      return [{ path, detail: `is no name that can be used here: it ${issue.issues[0]?.message ?? 'is not allowed'}` }]
    default:
      return [{ path, detail: issue.message }]
  }
}

/** Where something is, as a JSON pointer (RFC 6901). */
export function pointerOf(path: readonly PropertyKey[]): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

/** What a schema found wrong, one entry for each place: the first thing to put right there. */
export function toInputErrors(issues: readonly Issue[]): InputError[] {
  const errors = new Map<string, string>()
  for (const { path, detail } of issues.flatMap((issue) => problemsOf(issue, []))) {
    const pointer = pointerOf(path)
    const found = errors.get(pointer)
    // A whole number is at most what a double holds exactly; a narrower bound of the field's own says more.
    if (found === undefined || found === `must be at most ${Number.MAX_SAFE_INTEGER}`) errors.set(pointer, detail)
    if (errors.size >= MOST_ERRORS) break
  }
  return [...errors].map(([pointer, detail]) => ({ pointer, detail }))
}

/**
 * What JSON can say and nothing can keep: numbers beyond those of a double, which would be read as infinite, numbers with
 * more digits than a double has where no schema reads them exactly, and fields named `__proto__`, which would be lost
 * without a word.
 */
export function findUnusable(
  value: unknown,
  path: readonly PropertyKey[] = [],
  found: InputError[] = [],
): InputError[] {
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) found.push({ pointer: pointerOf(path), detail: 'must be a finite number' })
  } else if (isExactNumber(value)) {
    if (!isTaken(value)) found.push({ pointer: pointerOf(path), detail: TOO_LONG })
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, inner] of Object.entries(value)) {
      if (found.length >= MOST_ERRORS) break
      const place = [...path, name]
      if (name === '__proto__') found.push({ pointer: pointerOf(place), detail: 'is no name that can be used' })
      else if (typeof inner === 'object' || typeof inner === 'number') findUnusable(inner, place, found)
    }
  }
  return found
}
