import { z } from 'zod'
import { AppError } from '@/libs/errors'

const WRITTEN = /^[+-]?\d{1,16}(?:\.\d{1,16})?$/

/** A number of a query, written in digits: nothing and blanks are none, and no other notation is guessed at. */
export function numberInQuery<Schema extends z.ZodNumber>(number: Schema) {
  return z.preprocess((text) => (typeof text === 'string' && WRITTEN.test(text) ? Number(text) : text), number)
}

/** Query of every list: `cursor` from the page before, `limit` 1 to 200, default 50. */
export const pageQuery = z.strictObject({
  cursor: z
    .string()
    .max(1_000)
    .optional()
    .meta({ description: '`next_cursor` of the page before; without it the first page' }),
  limit: numberInQuery(z.number().int().min(1).max(200)).prefault(50).meta({ description: 'The most rows of a page' }),
})

export type PageQuery = z.infer<typeof pageQuery>
export type Page<Row> = { data: Row[]; next_cursor: string | null }

/** A position in a list as an opaque text: the sort values of the last row shown. */
export function encodeCursor(values: readonly string[]): string {
  return Buffer.from(JSON.stringify(values)).toString('base64url')
}

type Test = (value: string) => boolean
type Values<Tests, Value> = { [At in keyof Tests]: Value }

/**
 * The sort values of a cursor, one for each test it has to pass, or as many nulls without a cursor: the first page.
 * @throws AppError bad_request when it is not one of ours.
 */
export function readCursor<const Tests extends readonly Test[]>(
  cursor: string | undefined,
  ...tests: Tests
): Values<Tests, string> | Values<Tests, null> {
  if (!cursor) return tests.map(() => null) as Values<Tests, null>
  const values = decode(cursor)
  if (values.length === tests.length && values.every((value, at) => isText(value) && tests[at]?.(value)))
    return values as Values<Tests, string>
  throw new AppError(
    'bad_request',
    'This cursor is not one we gave out. Send `next_cursor` of the page before, or none for the first page.',
  )
}

/** The list in a cursor, empty when it holds none. */
function decode(cursor: string): unknown[] {
  try {
    const values: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    return Array.isArray(values) ? values : []
  } catch {
    return []
  }
}

const isText = (value: unknown): value is string => typeof value === 'string' && !value.includes('\0')

/** A value of a cursor that may be any text, such as a name. */
export const isAnyText: Test = () => true

/** Whether a value of a cursor is a position in a list. */
export const isCount: Test = (text) => /^\d{1,9}$/.test(text)

const MOMENT = /^([12]\d{3}-\d\d-\d\d)(?:[T ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-](?:0\d|1[0-4])(?::?[0-5]\d)?)?)?$/

/** Whether a value of a cursor is a day or a moment that the database can read. */
export function isCursorMoment(text: string): boolean {
  const day = MOMENT.exec(text)?.[1]
  if (day === undefined || Number.isNaN(Date.parse(text))) return false
  return new Date(`${day}T00:00:00Z`).toISOString().startsWith(day)
}

/** As cutPage, of rows that say where they stand as `position` and by their id; the position is for the cursor alone. */
export function cutPositioned<Row extends { position: string; id: string }>(
  rows: Row[],
  limit: number,
): Page<Omit<Row, 'position'>> {
  const { data, next_cursor } = cutPage(rows, limit, ({ position, id }) => [position, id])
  return { data: data.map(({ position: _, ...row }) => row), next_cursor }
}

/** One page of `limit + 1` fetched rows: the extra row only tells that there is a next page. */
export function cutPage<Row>(rows: Row[], limit: number, toCursor: (row: Row) => readonly string[]): Page<Row> {
  const data = rows.slice(0, limit)
  const last = data.at(-1)
  return { data, next_cursor: rows.length > limit && last !== undefined ? encodeCursor(toCursor(last)) : null }
}
