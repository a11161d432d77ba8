/**
 * Three letters are an abbreviation to the database: its CET has no summer time, its IST is that of Israel, and AET it does not
 * know. These are the ones that mean the same everywhere.
 */
const ABBREVIATIONS = /^(?:UTC|UCT|GMT|EST|MST|HST|PRC|ROC|ROK)$/i

/** Whether a text is a time zone of the IANA list, with the same clocks here and in the database; offsets are no zones. */
export function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z][A-Za-z0-9_+/-]*$/.test(name)) return false
  if (name.length === 3 && !ABBREVIATIONS.test(name)) return false
  try {
    return Boolean(new Intl.DateTimeFormat('en', { timeZone: name }))
  } catch {
    return false
  }
}

/** Words of such names that are not written as Words are, where Intl knows the name by another one. */
const WORDS = new Map(
  (
    'ACT BajaNorte BajaSur CHAT ComodRivadavia CST6CDT DeNoronha EasterIsland EST EST5EDT GB GMT GMT0 HST IN LHI MST ' +
    'MST7MDT NSW NZ PRC PST8PDT ROC ROK SU UCT US UTC'
  )
    .split(' ')
    .map((word) => [word.toLowerCase(), word]),
)
const spellWord = (word: string): string =>
  WORDS.get(word.toLowerCase()) ?? `${word.charAt(0).toUpperCase()}${word.slice(1).toLowerCase()}`

/** A time zone as the IANA list spells it, in whatever case it was written; an old name stays one, and what is no zone is left as it is. */
export function spellTimeZone(name: string): string {
  if (!isTimeZone(name)) return name
  const { timeZone } = new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions()
  return timeZone.toLowerCase() === name.toLowerCase() ? timeZone : name.replace(/[a-z0-9]+/gi, spellWord)
}
