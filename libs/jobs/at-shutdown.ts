import { log } from '@/libs/log'

type Work = () => Promise<void>

// On the process itself: what Next bundles and the server around it are two copies of the same module.
const KEY = Symbol.for('holdfast.at-shutdown')
const registry = globalThis as { [KEY]?: Set<Work> }

/** Has `work` done before this process ends by itself; what is registered twice is done once. */
export function atShutdown(work: Work): void {
  registry[KEY] ??= new Set()
  registry[KEY].add(work)
}

/** Does what was registered, all at once; what fails is logged. */
export async function runShutdown(): Promise<void> {
  const works = [...(registry[KEY] ?? [])]
  registry[KEY]?.clear()
  await Promise.all(
    works.map((work) => work().catch((error: unknown) => log.warn({ err: error }, 'work before the end failed'))),
  )
}
