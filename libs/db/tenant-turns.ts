import { env } from '@/libs/env'
import { AppError } from '@/libs/errors'
import { createGate, type Gate } from '@/libs/gate'

const gates = new Map<string, Gate>()
/** As long as others wait for a connection. */
const PATIENCE = {
  ms: 5_000,
  refuse: () =>
    new AppError('unavailable', 'This tenant has too much under way. Try again in a moment.', { retry_after: 1 }),
}

/** Transactions of one tenant that a process has open at one moment: one more than half of the connections. */
function mostOfTenant(): number {
  return Math.floor(env().DATABASE_POOL_SIZE / 2) + 1
}

/**
 * Runs a transaction when it is the turn of whose it is, as a rule a tenant's: one that asks for much at once waits for itself,
 * and never holds all the connections that the others need as well, or no more than `most`.
 * @throws AppError unavailable after five seconds in line.
 */
export async function inTurn<T>(whose: string, work: () => Promise<T>, most: number = mostOfTenant()): Promise<T> {
  const gate = gates.get(whose) ?? createGate(most, PATIENCE)
  gates.set(whose, gate)
  try {
    return await gate.run(work)
  } finally {
    if (gate.isEmpty()) gates.delete(whose)
  }
}
