const DAY = 86_400_000

/** The day (`YYYY-MM-DD`) that the clocks of a time zone show at a moment. */
export function dayIn(zone: string, at: Date | number = Date.now()): string {
  return new Intl.DateTimeFormat('en-CA', { timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit' }).format(
    at,
  )
}

/**
 * Midnight, in a time zone, of a day and `add` days more; the first moment of the day where its midnight is skipped, the first of
 * the two where it comes twice. The database says the same (`app.first_moment`).
 */
export function startOfDay(day: string, add: number, zone: string): Date {
  const wanted = Date.parse(`${day}T00:00:00Z`) + add * DAY
  // Clocks are changed at most once around a midnight: it is one by the offset before, or by the offset after.
  const offsets = [offsetAt(wanted - DAY, zone), offsetAt(wanted + DAY, zone)]
  const earlier = wanted - Math.max(...offsets)
  return new Date(earlier + offsetAt(earlier, zone) === wanted ? earlier : wanted - Math.min(...offsets))
}

/** How far the clocks of a zone are ahead of UTC at a moment, in milliseconds. */
export function offsetAt(moment: number, zone: string): number {
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  }).formatToParts(moment)
  const part = (type: Intl.DateTimeFormatPartTypes) => Number(parts.find((entry) => entry.type === type)?.value ?? 0)
  const shown = Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'))
  return shown - Math.floor(moment / 1000) * 1000
}
