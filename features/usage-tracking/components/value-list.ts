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

/** Values as one part of an address, separated by bars. */
export function joinValues(values: readonly string[]): string {
  return values.map((value) => value.replace(/[%|]/g, encodeURIComponent)).join('|')
}

/** The values of a part of an address. */
export function splitValues(text: string): string[] {
  return text
    .split('|')
    .map((value) => value.replace(/%(25|7C)/gi, decodeURIComponent))
    .filter(Boolean)
}
