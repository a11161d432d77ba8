const DAY = 86_400_000

/** Midnight, in a time zone, of a day and `add` days more; the first moment of the day where midnight is skipped. */
export function startOfDay(day: string, add: number, zone: string): Date {
  const wanted = Date.parse(`${day}T00:00:00Z`) + add * DAY
  let moment = wanted
  // The offset at the guess, then the offset at the better guess: a change of the clock lies between them at most.
  for (let round = 0; round < 2; round += 1) moment = wanted - offsetAt(moment, zone)
  return new Date(moment)
}

function offsetAt(moment: number, zone: string): number {
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  }).formatToParts(new Date(moment))
  const part = (type: Intl.DateTimeFormatPartTypes) => Number(parts.find((entry) => entry.type === type)?.value ?? 0)
  const shown = Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'))
  return shown - Math.floor(moment / 1000) * 1000
}
