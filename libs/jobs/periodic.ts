import { log } from '@/libs/log'

export type PeriodicJob = {
  name: string
  everyMs: number
  /** Safe to run at any time and by several processes at once; looks at `signal` between its steps. */
  run: (signal: AbortSignal) => Promise<unknown>
}

/**
 * Runs jobs at once and then on their clock, each beside the others and never beside itself. A job that fails is logged
 * and runs again at its next time. `stop` waits for the step that is under way.
 */
export function startPeriodicJobs(jobs: readonly PeriodicJob[]): { stop: () => Promise<void> } {
  const stopping = new AbortController()
  const running = new Map<string, Promise<void>>()

  const start = (job: PeriodicJob): void => {
    if (stopping.signal.aborted || running.has(job.name)) return
    const started = performance.now()
    const run = job
      .run(stopping.signal)
      .then(
        (result) => log.info({ job: job.name, ms: Math.round(performance.now() - started), result }, 'job done'),
        (error: unknown) => log.error({ job: job.name, err: error }, 'job failed'),
      )
      .finally(() => running.delete(job.name))
    running.set(job.name, run)
  }

  const timers = jobs.map((job) => setInterval(() => start(job), job.everyMs))
  for (const job of jobs) start(job)
  return {
    stop: async () => {
      stopping.abort()
      for (const timer of timers) clearInterval(timer)
      await Promise.all(running.values())
    },
  }
}
