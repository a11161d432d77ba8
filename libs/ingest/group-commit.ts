import { AppError } from '@/libs/errors'

/** A piece of work that waits to be done together with its like. */
export type Waiting<Item, Result> = {
  item: Item
  /** How much of a batch it takes. */
  size: number
  resolve: (result: Result) => void
  reject: (error: unknown) => void
}

export type GroupCommitOptions<Item, Result> = {
  /** Does a batch of one queue: one result for each item, in order. A throw fails the whole batch. */
  run: (key: string, items: readonly Item[]) => Promise<readonly Result[]>
  /** Batches under way at a time. */
  writers: number
  /** Largest batch, in units of `size`. */
  maxBatch: number
  /** Most that may wait, in units of `size`; beyond it callers are turned away with 503 and Retry-After. */
  maxQueued: number
}

export type GroupCommit<Item, Result> = {
  /** Queues an item; resolves when the batch it went with is committed. @throws AppError unavailable when the queue is full. */
  submit: (key: string, item: Item, size: number) => Promise<Result>
  /** Resolves once nothing waits and nothing runs. */
  drain: () => Promise<void>
  /** How much waits at this moment. */
  queued: () => number
}

/**
 * Commits what waits together: a writer takes all that is queued under a key the moment it is free. There is no timer, so
 * that a lone caller never waits for company, and a crowd shares one commit. Keys take turns, so that a busy one cannot
 * starve a quiet one.
 */
export function createGroupCommit<Item, Result>(options: GroupCommitOptions<Item, Result>): GroupCommit<Item, Result> {
  const { run, writers, maxBatch, maxQueued } = options
  // Insertion order is the order of turns.
  const queues = new Map<string, Waiting<Item, Result>[]>()
  const idle = new Set<() => void>()
  let queued = 0
  let running = 0
  let scheduled = false

  function schedule(): void {
    if (scheduled || running >= writers || queued === 0) return
    scheduled = true
    // After the events of this turn of the loop: all requests that arrived together go together.
    setImmediate(() => {
      scheduled = false
      while (running < writers && queued > 0) void write()
    })
  }

  function take(): { key: string; batch: Waiting<Item, Result>[] } | null {
    const next = queues.entries().next()
    if (next.done) return null
    const [key, queue] = next.value
    queues.delete(key)
    let size = 0
    let count = 0
    while (count < queue.length) {
      const more = queue[count]?.size ?? 0
      if (count > 0 && size + more > maxBatch) break
      size += more
      count += 1
    }
    const batch = queue.splice(0, count)
    if (queue.length > 0) queues.set(key, queue)
    queued -= size
    return { key, batch }
  }

  async function write(): Promise<void> {
    const work = take()
    if (!work) return
    running += 1
    const { key, batch } = work
    try {
      const results = await run(
        key,
        batch.map(({ item }) => item),
      )
      for (const [index, waiting] of batch.entries()) {
        const result = results[index]
        if (result === undefined) waiting.reject(new Error('A batch answered fewer items than it was given.'))
        else waiting.resolve(result)
      }
    } catch (error) {
      for (const waiting of batch) waiting.reject(error)
    } finally {
      running -= 1
      if (queued > 0) schedule()
      else if (running === 0) {
        for (const wake of idle) wake()
        idle.clear()
      }
    }
  }

  return {
    submit: (key, item, size) => {
      if (queued + size > maxQueued && queued > 0) {
        return Promise.reject(new AppError('unavailable', 'Too much is waiting to be written.', { retry_after: 1 }))
      }
      return new Promise((resolve, reject) => {
        const queue = queues.get(key)
        const waiting = { item, size, resolve, reject }
        if (queue) queue.push(waiting)
        else queues.set(key, [waiting])
        queued += size
        schedule()
      })
    },
    drain: () => (queued === 0 && running === 0 ? Promise.resolve() : new Promise((resolve) => idle.add(resolve))),
    queued: () => queued,
  }
}
