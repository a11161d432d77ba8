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
