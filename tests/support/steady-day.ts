import { setTimeout as sleep } from 'node:timers/promises'
import { localToday } from '@/libs/metering/trend'

const LONG_ENOUGH_MS = 60_000

/** Waits where the day of a time zone ends within a minute: for files that speak of today from their beginning to their end. */
export async function waitForSteadyDay(timeZone = 'UTC'): Promise<void> {
  const dayAt = (moment: number) => localToday(timeZone, new Date(moment)).day
  while (dayAt(Date.now()) !== dayAt(Date.now() + LONG_ENOUGH_MS)) await sleep(500)
}
