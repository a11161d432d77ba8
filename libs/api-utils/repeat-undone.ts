import { setTimeout as sleep } from 'node:timers/promises'
import { isRetryable } from '@/libs/db/errors'

const ATTEMPTS = 4
const LONGEST_PAUSE_MS = 50

/**
 * Runs `work`, one transaction, on a request. A deadlock or serialisation failure has changed nothing: it is done all over,
 * up to four times in all, with the same request, body included, so that callers never see that two of them met.
 * @throws whatever `work` throws otherwise, and the last failure.
 */
export async function repeatUndone<T>(request: Request, work: (request: Request) => Promise<T>): Promise<T> {
  let current = request
  for (let attempt = 1; ; attempt += 1) {
    const spare = attempt < ATTEMPTS && current.body ? current.clone() : current
    try {
      return await work(current)
    } catch (error) {
      if (attempt === ATTEMPTS || !isRetryable(error)) throw error
      await sleep(Math.random() * LONGEST_PAUSE_MS)
      current = spare
    }
  }
}
