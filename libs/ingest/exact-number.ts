import { expandNumber, toPlainDecimal } from './decimal'

/** A number of a JSON text that no double holds: JSON.stringify writes its digits again. */
export type ExactNumber = { readonly rawJSON: string }

// Of ECMAScript 2026, before the declarations of TypeScript. Forms ask the same schemas in browsers that may not have it.
const json = JSON as unknown as {
  parse: (text: string, read: (key: string, value: unknown, context: { source?: string }) => unknown) => unknown
  rawJSON?: (text: string) => ExactNumber
  isRawJSON?: (value: unknown) => value is ExactNumber
}

/** Fewest digits that a double may round, the point counted as one. */
const LONG = 16
const LONG_NUMBERS = /(?<=^|[:,[\s])-?\d[\d.]{14,}(?:[eE][+-]?\d+)?(?=[,}\]\s]|$)/g
/** A number so near to zero that a double may take it for zero, however few its digits. */
const TINY = /[eE]-\d{3,}(?=[,}\]\s]|$)/
const NOT_ZERO = /^-?[0.]*[1-9]/
const QUOTE = 0x22

/** Of a digit or a point. */
const isDigit = (code: number): boolean => (code >= 0x30 && code <= 0x39) || code === 0x2e

/** Whether there is so long a run of digits that does not begin a text: looks at every sixteenth character, which none escapes. */
function hasLongRun(text: string): boolean {
  let at = LONG - 1
  while (at < text.length) {
    let end = at
    if (isDigit(text.charCodeAt(at))) {
      let start = at
      while (start > 0 && isDigit(text.charCodeAt(start - 1))) start -= 1
      end += 1
      while (end < text.length && isDigit(text.charCodeAt(end))) end += 1
      if (end - start >= LONG && text.charCodeAt(start - 1) !== QUOTE) return true
    }
    at = end + LONG
  }
  return false
}

function mayLoseDigits(text: string): boolean {
  if (TINY.test(text)) return true
  if (!hasLongRun(text)) return false
  for (const [token] of text.matchAll(LONG_NUMBERS)) if (String(Number(token)) !== token) return true
  return false
}

function keepDigits(_key: string, value: unknown, { source = '' }: { source?: string }): unknown {
  if (typeof value !== 'number' || !Number.isFinite(value) || (source.length < LONG && !TINY.test(source))) return value
  const digits = toPlainDecimal(source)
  // As far below what is kept as others are above it, which are read as infinite: nobody takes either.
  if (digits === null && value === 0 && NOT_ZERO.test(source)) return Number.NaN
  return digits === null || digits === expandNumber(value) ? value : (json.rawJSON?.(digits) ?? value)
}

/**
 * JSON.parse, but for numbers that a double would round: those become an ExactNumber, where the machine knows such (a browser may
 * not). @throws SyntaxError
 */
export function parseExactly(text: string): unknown {
  return json.rawJSON !== undefined && mayLoseDigits(text)
    ? json.parse(text, keepDigits)
    : (JSON.parse(text) as unknown)
}

/** Whether a value of parseExactly is a number that no double holds. */
export function isExactNumber(value: unknown): value is ExactNumber {
  return typeof value === 'object' && json.isRawJSON?.(value) === true
}

/** The digits of such a number, as decimal text without an exponent. */
export function digitsOf({ rawJSON }: ExactNumber): string {
  return rawJSON
}
