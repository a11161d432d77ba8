type Refusal<E> = abstract new (...args: never[]) => E

/** What a package says of a call that was refused. @throws Error where it was not, or something else went wrong. */
export async function refusedBy<E extends Error>(kind: Refusal<E>, work: Promise<unknown>): Promise<E> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof kind)) throw new Error(`not refused: ${String(error)}`)
  return error
}

/** An answer, where a package says of every answer that it may be missing. */
export async function known<T>(work: Promise<T | undefined>): Promise<T> {
  const value = await work
  if (value === undefined) throw new Error('nothing was answered')
  return value
}
