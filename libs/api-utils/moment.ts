import { z } from 'zod'

const YEAR_ZERO = /^0000/
/** Clocks of the world lie at most 14 hours apart from UTC; what is further away no database takes. */
const FAR_ZONE = /[+-](?:1[5-9]|2\d):\d\d$/

const FIRST_MOMENT = Date.parse('0001-01-01T00:00:00Z')
const LAST_MOMENT = Date.parse('9999-12-31T23:59:59.999Z')
/** Moments are answered in UTC, with a year of four digits. */
function hasWritableYear(text: string): boolean {
  const at = Date.parse(text)
  return !(at < FIRST_MOMENT || at > LAST_MOMENT)
}

const exists = (text: string): boolean => !YEAR_ZERO.test(text) && !FAR_ZONE.test(text)

/** A day as `YYYY-MM-DD`, from the year 1 on. */
export const day = z.iso.date().refine(exists, 'must be a date that exists, such as 2026-11-21')

/** Where calendars and clocks can be counted on, and the year before a range lies there too. */
const EARLIEST = '1900-01-01'
const LATEST = '9000-01-01'
export const isCountable = (date: string): boolean => date >= EARLIEST && date < LATEST
export const OUT_OF_RANGE = `must lie between ${EARLIEST} and ${LATEST}`

/** A day of a report. */
export const reportDay = day.refine(isCountable, OUT_OF_RANGE)

/** A moment as RFC 3339 with a zone, in what the database can hold as well. */
export const zonedMoment = z.iso
  .datetime({ offset: true })
  .refine(exists, 'must be RFC 3339 with a zone of at most 14 hours, such as 2026-11-21T09:30:00Z')
  .refine(hasWritableYear, 'must lie in the years 1 to 9999, in UTC')

/** A day, or a moment with a zone. */
export const dayOrMoment = z.union([day, zonedMoment])

/** The same as the query of a report takes it: seconds may be left out; whether the day exists is for its reader to say. */
export const reportMoment = z
  .string()
  .regex(
    /^\d{4}-\d\d-\d\d(T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?(Z|[+-](0\d|1[0-4]):[0-5]\d))?$/,
    'must be a date, or RFC 3339 with a zone (in a URL + is written %2B)',
  )
  .refine((text) => !YEAR_ZERO.test(text), 'must be a date that exists')
