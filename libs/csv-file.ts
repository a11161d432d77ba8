import { type Options, stringify } from 'csv-stringify/sync'

export const CSV_TYPE = 'text/csv; charset=utf-8'

/** Rows as lines of a CSV file, which end as spreadsheets end them unless told otherwise; a cell with a line break of any kind is quoted. */
export function toCsv(rows: readonly unknown[], options: Options = {}): string {
  return stringify([...rows], { record_delimiter: 'windows', ...options, quoted_match: /[\r\n]/ })
}
