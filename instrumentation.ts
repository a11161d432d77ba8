/** Runs once when the server starts: a wrong environment or an unsafe database ends the process with its reasons. */
export async function register(): Promise<void> {
  if (process.env.NEXT_RUNTIME !== 'nodejs') return
  const { checkAtBoot } = await import('@/libs/health/boot')
  await checkAtBoot()
}
