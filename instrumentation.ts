let noteFailure: ((error: unknown) => void) | null = null

/** Runs once when the server starts: a wrong environment or an unsafe database ends the process with its reasons. */
export async function register(): Promise<void> {
  if (process.env.NEXT_RUNTIME !== 'nodejs') return
  const { notePageFailure } = await import('@/libs/health/page-answer')
  noteFailure = notePageFailure
  const { checkAtBoot } = await import('@/libs/health/boot')
  await checkAtBoot()
}

/** Runs for every page that fails, before it is answered. */
export function onRequestError(error: unknown): void {
  noteFailure?.(error)
}
