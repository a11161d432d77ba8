import pino from 'pino'
import { env } from '@/libs/env'

/** Characters of lines that wait in memory while standard output takes none; further lines are dropped. */
const MOST_WAITING = 1_048_576

/**
 * Standard output, as a place that may be full. What it does not take waits in memory, and is tried again with the next line: that
 * nobody can write down what a process does is no reason to stop it. Left alone, pino ends the process, and tries on and on at its end.
 */
function openOutput() {
  const output = pino.destination({ fd: 1, sync: false, maxLength: MOST_WAITING })
  const flush = output.flushSync.bind(output)
  let takes = true
  output.on('error', () => {
    takes = false
  })
  output.on('write', () => {
    takes = true
  })
  output.flushSync = () => {
    if (takes) flush()
  }
  return output
}

/** The log of the process: JSON lines on standard output, secrets censored. */
export const log = pino(
  {
    level: env().LOG_LEVEL,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: ['*.authorization', '*.cookie', '*.password', '*.token', '*.key'], censor: '[hidden]' },
  },
  openOutput(),
)
