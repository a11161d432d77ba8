import pino from 'pino'
import { env } from '@/libs/env'

/** The log of the process: JSON lines on standard output, secrets censored. */
export const log = pino({
  level: env().LOG_LEVEL,
  base: null,
  timestamp: pino.stdTimeFunctions.isoTime,
  redact: { paths: ['*.authorization', '*.cookie', '*.password', '*.token', '*.key'], censor: '[hidden]' },
})
