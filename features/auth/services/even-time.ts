import { setTimeout as sleep } from 'node:timers/promises'

const STEP_MS = 300

async function waitForStep(started: number): Promise<void> {
  const spent = performance.now() - started
  await sleep(Math.ceil(spent / STEP_MS) * STEP_MS - spent)
}

/**
 * Runs `work` and answers, or fails, at the next multiple of 300 ms: how long an answer takes then says nothing of what
 * was found on the way, such as whether an account exists.
 */
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
