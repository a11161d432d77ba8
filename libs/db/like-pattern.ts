/** The pattern by which LIKE finds rows that hold a text, whatever wildcards are in it. */
export function containsPattern(text: string): string {
  return `%${text.replace(/[\\%_]/g, '\\$&')}%`
}
