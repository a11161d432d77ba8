import { digitsOf, type ExactNumber, isExactNumber } from '@/libs/ingest/exact-number'

const taken = new WeakSet<ExactNumber>()

/** A number that no double holds as its digits, where a schema has use for them; everything else as it is. */
export function takeDigits(value: unknown): unknown {
  if (!isExactNumber(value)) return value
  taken.add(value)
  return digitsOf(value)
}

/** Lets the numbers in an object pass as they were written, where it is kept as JSON or read by who knows them. */
export function takeNumbers(value: unknown): unknown {
  if (typeof value === 'object' && value !== null && !isExactNumber(value))
    for (const inner of Object.values(value)) {
      if (isExactNumber(inner)) taken.add(inner)
      else takeNumbers(inner)
    }
  return value
}

/** Whether some schema has taken a number with all its digits: what none has would be rounded, or lost. */
export function isTaken(number: ExactNumber): boolean {
  return taken.has(number)
}
