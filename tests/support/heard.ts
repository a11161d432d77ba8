/**
 * For `expect.poll` on what a process hears of by notification. Without one it would find out after the five seconds for which
 * answers are remembered, so that passing within this proves it was told, on a busy machine too.
 */
export const whenHeard = { timeout: 3_000, interval: 5 }
