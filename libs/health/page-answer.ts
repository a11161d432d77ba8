import { AsyncLocalStorage } from 'node:async_hooks'
import { mapDatabaseError } from '@/libs/db/errors'

/** The answer to one request for a page, as far as the web server must know it. */
type PageAnswer = { unavailable: boolean }

// On the process itself: what Next bundles and the server around it are two copies of the same module.
const KEY = Symbol.for('holdfast.page-answer')
const shared = globalThis as { [KEY]?: AsyncLocalStorage<PageAnswer> }
shared[KEY] ??= new AsyncLocalStorage()
const answers = shared[KEY]

/** Answers a request; what is said by `notePageFailure` on the way is in `answer` from then on. */
export function withPageAnswer(answer: PageAnswer, work: () => void): void {
  answers.run(answer, work)
}

/** Notes of the page under way whether it failed because the database does not answer. */
export function notePageFailure(error: unknown): void {
  const answer = answers.getStore()
  if (answer && error instanceof Error && isUnavailable(error)) answer.unavailable = true
}

// By its code: an AppError of Next's bundle is of another class than ours.
function isUnavailable(error: Error): boolean {
  return ('code' in error && error.code === 'unavailable') || mapDatabaseError(error)?.code === 'unavailable'
}
