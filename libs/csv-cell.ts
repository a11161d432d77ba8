import { expandNumber, type Quantity } from '@/libs/ingest/decimal'

/** Text for a cell of a CSV file that no spreadsheet takes for a formula. Not for numbers: their minus is theirs. */
export function escapeFormula(text: string): string {
  return /^[=+\-@\t\r\n＝＋－＠]/.test(text) ? `'${text}` : text
}

/** An amount for a cell of a CSV file: plain decimal text, never with an exponent; nothing for null. */
export function quantityCell(value: Quantity | null): string {
  if (value === null) return ''
  return typeof value === 'number' ? expandNumber(value) : value
}
