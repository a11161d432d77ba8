/** Values written in one line: separated by commas, one with a comma in it in double quotes. Each stands once. */
export function readList(text: string): string[] {
  const words = [...text.matchAll(/\s*"((?:[^"]|"")*)"\s*(?=,|$)|[^,]+/g)].map(([word, quoted]) =>
    quoted === undefined ? word.trim() : quoted.replaceAll('""', '"'),
  )
  return [...new Set(words.filter(Boolean))]
}

/** Values as the line that `readList` reads them from. */
export function writeList(values: readonly string[]): string {
  return values.map((value) => (/[",]|^\s|\s$/.test(value) ? `"${value.replaceAll('"', '""')}"` : value)).join(', ')
}
