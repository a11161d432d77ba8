import { digitsOf, isExactNumber } from '@/libs/ingest/exact-number'

/** What is said of a time that is refused. */
export const TIMES = {
  invalid_timestamp: 'timestamp must be RFC 3339 with a zone, or seconds or milliseconds since 1970.',
  timestamp_too_old: 'The timestamp lies further back than this tenant accepts.',
  timestamp_in_future: 'The timestamp lies further ahead than this tenant accepts.',
} as const
export type WrongTime = { wrong: keyof typeof TIMES }

const RFC3339 =
  /^(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt ](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:[Zz]|[+-](?:0\d|1[0-4]):[0-5]\d)$/
const EPOCH = /^\d{1,15}(?:\.\d{1,6})?$/
/** Years outside of which no tenant accepts anything, whatever it has set. */
const FIRST_YEAR = 2002
const END_YEAR = 2096
const EARLIEST = Date.UTC(FIRST_YEAR, 0)
const LATEST = Date.UTC(END_YEAR, 0)
const LAST_MOMENT = Date.UTC(9999, 0)

const UNREADABLE: WrongTime = { wrong: 'invalid_timestamp' }
const TOO_OLD: WrongTime = { wrong: 'timestamp_too_old' }
const TOO_EARLY: WrongTime = { wrong: 'timestamp_in_future' }

/** When an event happened, as RFC 3339; null when it does not say. Whether it is late is for the tenant's settings to say. */
export function readTime(input: unknown): string | null | WrongTime {
  if (input === undefined || input === null) return null
  if (typeof input === 'number') return fromEpoch(input)
  if (isExactNumber(input)) return fromEpoch(Number(digitsOf(input)))
  if (typeof input !== 'string') return UNREADABLE
  const match = RFC3339.exec(input)
  if (match) {
    const year = Number(match[1])
    const last = new Date(Date.UTC(year, Number(match[2]), 0)).getUTCDate()
    if (Number(match[3]) > last) return UNREADABLE
    return year < FIRST_YEAR ? TOO_OLD : year >= END_YEAR ? TOO_EARLY : input
  }
  return EPOCH.test(input) ? fromEpoch(Number(input)) : UNREADABLE
}

/** Seconds below 100,000,000,000 (the year 5138), milliseconds from there on. */
function fromEpoch(value: number): string | WrongTime {
  const milliseconds = value < 1e11 ? value * 1_000 : value
  // Microseconds would be far ahead, but that is not what is wrong with them.
  if (!(milliseconds >= 0 && milliseconds < LAST_MOMENT)) return UNREADABLE
  if (milliseconds < EARLIEST) return TOO_OLD
  return milliseconds < LATEST ? new Date(Math.round(milliseconds)).toISOString() : TOO_EARLY
}
