/** A text as Postgres can keep it: NUL and half characters become replacement characters. */
export function toStorable(text: string): string {
  return text.replaceAll('\0', '\u{fffd}').toWellFormed()
}

/** The beginning of a text, of so many characters at most; never half of one, which JSON can say and Postgres cannot keep. */
export function cutText(text: string, longest: number): string {
  return text.length <= longest ? text : text.slice(0, longest).replace(/[\ud800-\udbff]$/, '')
}
