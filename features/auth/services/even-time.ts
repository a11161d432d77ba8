import { setTimeout as sleep } from 'node:timers/promises'

const STEP_MS = 300
const LONGEST_MS = 3_000
const REMEMBERED_MS = 60_000
const MOST_REMEMBERED = 50

/** How long the work itself took of late. Hashing a password is the slow part, and the slower the busier the machine is. */
const recent: { at: number; took: number }[] = []

/**
 * Waits until a moment that says nothing of what the work was: a multiple of 300 ms that the slowest answers of the last
 * minute would have kept as well. An account that is not there is found missing early, and answered as late as others.
 */
async function waitForStep(started: number): Promise<void> {
  const now = performance.now()
  const took = now - started
  recent.push({ at: now, took })
  while (recent.length > MOST_REMEMBERED || now - (recent[0]?.at ?? now) > REMEMBERED_MS) recent.shift()
  const slowest = Math.min(Math.max(...recent.map((one) => one.took)) * 1.25, LONGEST_MS)
  await sleep(Math.ceil(Math.max(took, slowest) / STEP_MS) * STEP_MS - took)
}

/** Runs `work` and answers, or fails, in even time. */
export async function inEvenTime<T>(work: () => Promise<T>): Promise<T> {
  const started = performance.now()
  try {
    return await work()
  } finally {
    await waitForStep(started)
  }
}

/** Runs `work`: what succeeds answers at once, what fails does so in even time. */
export async function failEvenly<T>(work: () => Promise<T>): Promise<T> {
  const started = performance.now()
  try {
    return await work()
  } catch (error) {
    await waitForStep(started)
    throw error
  }
}

/** Waits for `work` at most one step; what takes longer goes on by itself. Failures are handed to `onError`. */
export async function startWithin(work: Promise<unknown>, onError: (error: unknown) => void): Promise<void> {
  await Promise.race([work.catch(onError), sleep(STEP_MS)])
}
