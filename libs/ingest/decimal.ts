/** An exact amount in JSON: a number where a double says it exactly, else its decimal text. */
export type Quantity = number | string

/** Whole numbers whose sums and differences a double holds exactly. */
const SMALL = /^-?\d{1,15}$/
const PLAIN = /^(-?)(\d+)(?:\.(\d+))?$/

function parts(text: string): { units: bigint; scale: number } {
  const match = PLAIN.exec(text)
  if (!match) throw new RangeError(`not a plain decimal: ${text}`)
  const fraction = match[3] ?? ''
  return { units: BigInt(`${match[1]}${match[2]}${fraction}`), scale: fraction.length }
}

function toText(units: bigint, scale: number): string {
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, '0')
  const whole = digits.slice(0, digits.length - scale)
  const fraction = digits.slice(digits.length - scale).replace(/0+$/, '')
  return `${units < 0n ? '-' : ''}${whole}${fraction ? `.${fraction}` : ''}`
}

/** `left - right` of two decimal texts, exactly. */
export function subtractDecimals(left: string, right: string): string {
  if (SMALL.test(left) && SMALL.test(right)) return String(Number(left) - Number(right))
  const a = parts(left)
  const b = parts(right)
  const scale = Math.max(a.scale, b.scale)
  return toText(a.units * 10n ** BigInt(scale - a.scale) - b.units * 10n ** BigInt(scale - b.scale), scale)
}

/** `left + right` of two decimal texts, exactly. */
export function addDecimals(left: string, right: string): string {
  return subtractDecimals(left, right.startsWith('-') ? right.slice(1) : `-${right}`)
}

/** Whether a decimal text is below zero. */
export function isNegative(text: string): boolean {
  return text.startsWith('-') && /[1-9]/.test(text)
}

/** A decimal text of the database as it goes out in JSON: `"12.50"` becomes 12.5, what a double cannot hold stays text. */
export function toQuantity(text: string): Quantity {
  if (text.length <= 15 && !text.includes('.')) return Number(text)
  const { units, scale } = parts(text)
  const plain = toText(units, scale)
  const value = Number(plain)
  return Number.isFinite(value) && expandNumber(value) === plain ? value : plain
}

/** The shortest decimal text of a double, never with an exponent. */
export function expandNumber(value: number): string {
  const text = String(value)
  const match = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(text)
  if (!match) return text
  const [, sign = '', first = '', rest = ''] = match
  const exponent = Number(match[4])
  const digits = first + rest
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`
  return sign + digits.padEnd(exponent + 1, '0')
}

const NUMBER = /^(-?\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,3}))?$/

/** A number as JSON writes it, as decimal text without exponent or needless zeros; null for exponents of more than three digits. */
export function toPlainDecimal(source: string): string | null {
  const match = NUMBER.exec(source)
  if (!match) return null
  const [, whole = '', fraction = '', exponent = '0'] = match
  const scale = fraction.length - Number(exponent)
  const units = BigInt(whole + fraction) * (scale < 0 ? 10n ** BigInt(-scale) : 1n)
  return toText(units, Math.max(0, scale))
}

/**
 * `part` of `whole` in percent, rounded down to a tenth, so that it never shows a cap as reached before it is. Of a cap of zero
 * all is used as soon as anything is, and nothing before.
 */
export function percentOf(part: string, whole: string): number {
  const a = parts(part)
  const b = parts(whole)
  if (b.units === 0n) return a.units > 0n ? 100 : 0
  const share = a.units * 1_000n * 10n ** BigInt(b.scale)
  const one = b.units * 10n ** BigInt(a.scale)
  const isBelow = share % one !== 0n && share < 0n !== one < 0n
  return Number(share / one - (isBelow ? 1n : 0n)) / 10
}
