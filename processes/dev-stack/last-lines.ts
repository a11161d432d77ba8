import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs'

const LAST_WORDS_BYTES = 65_536

/** The last lines of a log file, for error messages; read from its end, however large it has grown. */
export function lastLines(file: string, count: number): string {
  if (!existsSync(file)) return ''
  const log = openSync(file, 'r')
  try {
    const { size } = fstatSync(log)
    const end = Buffer.alloc(Math.min(size, LAST_WORDS_BYTES))
    readSync(log, end, 0, end.length, size - end.length)
    return end.toString('utf8').trimEnd().split('\n').slice(-count).join('\n')
  } finally {
    closeSync(log)
  }
}
