import { expect } from 'vitest'

/**
 * For `expect.poll` on what a process hears of by notification. Without one it would find out after the five seconds for which
 * answers are remembered, so that passing within this proves it was told, on a busy machine too.
 */
export const whenHeard = { timeout: 3_000, interval: 5 }

/** Polls until `look` gives `wanted`, as `whenHeard` says, and gives the milliseconds from the call until the look that did. */
export async function timeUntil<T>(look: () => Promise<T>, wanted: T): Promise<number> {
  const began = performance.now()
  await expect.poll(look, whenHeard).toEqual(wanted)
  return performance.now() - began
}
