/** How long a caller waits for a store of limits before it is judged without it, in milliseconds. */
const PATIENCE_MS = 250

/** The outcome of `work`, or an error when it takes too long; the work itself goes on unheard. */
export function soonEnough<T>(work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${PATIENCE_MS} ms`)), PATIENCE_MS)
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
