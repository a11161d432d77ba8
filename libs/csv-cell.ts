/** Text for a cell of a CSV file that no spreadsheet takes for a formula. Not for numbers: their minus is theirs. */
export function escapeFormula(text: string): string {
  return /^[=+\-@\t\r＝＋－＠]/.test(text) ? `'${text}` : text
}
