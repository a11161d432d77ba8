import { env } from '@/libs/env'
import { AppError } from '@/libs/errors'

const PATIENCE_MS = 5_000

type Line = { open: number; waiting: (() => void)[] }
const lines = new Map<string, Line>()

/** Transactions of one tenant that a process has open at one moment: one more than half of the connections. */
function mostOfTenant(): number {
  return Math.floor(env().DATABASE_POOL_SIZE / 2) + 1
}

/** Waits in line, as long as others wait for a connection. @throws AppError unavailable. */
function wait(line: Line): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(() => {
    line.waiting.splice(line.waiting.indexOf(called), 1)
    reject(
      new AppError('unavailable', 'This tenant has too much under way. Try again in a moment.', { retry_after: 1 }),
    )
  }, PATIENCE_MS)
  const called = () => {
    clearTimeout(timer)
    resolve()
  }
  line.waiting.push(called)
  return promise
}

/**
 * Runs a transaction when it is the turn of whose it is, as a rule a tenant's: one that asks for much at once waits for itself,
 * and never holds all the connections that the others need as well, or no more than `most`.
 * @throws AppError unavailable after five seconds in line.
 */
export async function inTurn<T>(whose: string, work: () => Promise<T>, most: number = mostOfTenant()): Promise<T> {
  const line = lines.get(whose) ?? { open: 0, waiting: [] }
  lines.set(whose, line)
  // Whoever ends hands its place on, so that nobody who comes meanwhile is before who waits.
  if (line.open < most) line.open += 1
  else await wait(line)
  try {
    return await work()
  } finally {
    const next = line.waiting.shift()
    if (next) next()
    else line.open -= 1
    if (line.open === 0) lines.delete(whose)
  }
}
