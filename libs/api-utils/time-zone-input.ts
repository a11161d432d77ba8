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
