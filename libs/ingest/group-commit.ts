import { AppError } from '@/libs/errors'

/** A piece of work that waits to be done together with its like. */
export type Waiting<Item, Result> = {
  item: Item
  /** How much of a batch it takes. */
  size: number
  resolve: (result: Result) => void
  reject: (error: unknown) => void
}

/** What waits under one key, and how many batches of it are under way. */
type Queue<Item, Result> = { waiting: Waiting<Item, Result>[]; size: number; running: number }
/** What waits for one owner under all keys, and how many batches are under way: of singles, and with a writer. */
type Owner<Item, Result> = { queues: Map<string, Queue<Item, Result>>; size: number; singles: number; running: number }

/** Batches of one key under way at a time: more of them would only wait for each other. */
const WRITERS_OF_KEY = 2

export type GroupCommitOptions<Item, Result> = {
  /** Does a batch of one key: one result, or the error, of each item in order. A throw fails the whole batch. */
  run: (items: readonly Item[]) => Promise<readonly (Result | Error)[]>
  /** Batches under way at a time, over all owners; one has half of them at most, if that is two. */
  writers: number
  /**
   * Batches of size 1 under way at a time beside the writers, half of them of one owner, where they cost no connection each;
   * without it they take a writer.
   */
  singles?: number
  /** How much must wait under a key for a second batch of it beside one that is under way; less waits for that to end. */
  worthJoining: number
  /** Largest batch, in units of `size`. */
  maxBatch: number
  /** Most that may wait, in units of `size`, half of it of one owner; beyond that callers are turned away with 503 and Retry-After. */
  maxQueued: number
}

export type GroupCommit<Item, Result> = {
  /** Queues an item; resolves when the batch it went with is committed. @throws AppError unavailable when the queue is full. */
  submit: (owner: string, key: string, item: Item, size: number) => Promise<Result>
  /** Throws what submit would reject with, before anything is spent on an item. @throws AppError unavailable. */
  requireRoom: (owner: string, size: number) => void
  /** Resolves once nothing waits and nothing runs. */
  drain: () => Promise<void>
  /** How much waits at this moment. */
  queued: () => number
}

/**
 * Commits what waits together: a writer takes all that is queued under a key the moment it is free. There is no timer, so
 * that a lone caller never waits for company, and a crowd shares one commit: while a batch of a key is under way, the next
 * one gathers. An owner has as many keys as it likes (a tenant its callers): owners take turns, and the keys of each do, so that
 * a busy one cannot starve a quiet one, and who waits for a lock of its own leaves the others writers to go on with.
 */
export function createGroupCommit<Item, Result>(options: GroupCommitOptions<Item, Result>): GroupCommit<Item, Result> {
  const { run, writers, singles = 0, worthJoining, maxBatch, maxQueued } = options
  const mostRunning = Math.max(WRITERS_OF_KEY, Math.floor(writers / 2))
  const mostSingles = Math.max(1, Math.floor(singles / 2))
  // Insertion order is the order of turns.
  const owners = new Map<string, Owner<Item, Result>>()
  const idle = new Set<() => void>()
  let queued = 0
  let running = 0
  let runningSingles = 0
  let scheduled = false

  function schedule(afterBatch = false): void {
    if (scheduled || queued === 0 || (running >= writers && runningSingles >= singles)) return
    scheduled = true
    // After the events of this turn of the loop: all requests that arrived together go together. After a batch one turn later,
    // because those it answered ask again at once, and the larger the next batch is the less each part of it costs.
    if (afterBatch) setImmediate(() => setImmediate(start))
    else setImmediate(start)
  }

  function start(): void {
    scheduled = false
    for (let next = findBatch(); next; next = findBatch()) void write(...next)
  }

  /** One owner may not fill the queue of all: what it sends while its own writers wait is turned away at half of it. */
  function isFull(owner: string, size: number): boolean {
    const waiting = owners.get(owner)?.size ?? 0
    return (queued + size > maxQueued && queued > 0) || (waiting > 0 && waiting + size > maxQueued / 2)
  }

  const isSingle = (queue: Queue<Item, Result>): boolean => singles > 0 && queue.size === 1

  function findBatch(): [owner: string, key: string] | null {
    for (const [name, owner] of owners) {
      if (owner.size === 0) continue
      const mayWrite = running < writers && owner.running < mostRunning
      const mayGoAlone = runningSingles < singles && owner.singles < mostSingles
      if (!mayWrite && !mayGoAlone) continue
      for (const [key, queue] of owner.queues) {
        if (queue.size === 0 || queue.running >= WRITERS_OF_KEY || (queue.running > 0 && queue.size < worthJoining))
          continue
        if (isSingle(queue) ? mayGoAlone : mayWrite) return [name, key]
      }
    }
    return null
  }

  function take(owner: Owner<Item, Result>, queue: Queue<Item, Result>): Waiting<Item, Result>[] {
    let size = 0
    let count = 0
    for (const { size: more } of queue.waiting) {
      if (count > 0 && size + more > maxBatch) break
      size += more
      count += 1
    }
    queue.size -= size
    owner.size -= size
    queued -= size
    return queue.waiting.splice(0, count)
  }

  function tally(owner: Owner<Item, Result>, queue: Queue<Item, Result>, single: boolean, change: 1 | -1): void {
    queue.running += change
    if (single) {
      owner.singles += change
      runningSingles += change
    } else {
      owner.running += change
      running += change
    }
  }

  async function write(name: string, key: string): Promise<void> {
    const owner = owners.get(name)
    const queue = owner?.queues.get(key)
    if (!owner || !queue) throw new Error('What was found to write is there.')
    // To the end of both lines.
    owners.delete(name)
    owners.set(name, owner)
    owner.queues.delete(key)
    owner.queues.set(key, queue)
    const single = isSingle(queue)
    tally(owner, queue, single, 1)
    const batch = take(owner, queue)
    try {
      const results = await run(batch.map(({ item }) => item))
      for (const [index, waiting] of batch.entries()) {
        const result = results[index]
        if (result === undefined) waiting.reject(new Error('A batch answered fewer items than it was given.'))
        else if (result instanceof Error) waiting.reject(result)
        else waiting.resolve(result)
      }
    } catch (error) {
      for (const waiting of batch) waiting.reject(error)
    } finally {
      tally(owner, queue, single, -1)
      if (queue.running === 0 && queue.size === 0) owner.queues.delete(key)
      if (owner.queues.size === 0) owners.delete(name)
      if (queued > 0) schedule(true)
      else if (running + runningSingles === 0) {
        for (const wake of idle) wake()
        idle.clear()
      }
    }
  }

  return {
    submit: (name, key, item, size) => {
      if (isFull(name, size)) return Promise.reject(tooMuch())
      return new Promise((resolve, reject) => {
        const owner = owners.get(name) ?? { queues: new Map(), size: 0, singles: 0, running: 0 }
        owners.set(name, owner)
        const queue = owner.queues.get(key) ?? { waiting: [], size: 0, running: 0 }
        owner.queues.set(key, queue)
        queue.waiting.push({ item, size, resolve, reject })
        queue.size += size
        owner.size += size
        queued += size
        schedule()
      })
    },
    requireRoom: (owner, size) => {
      if (isFull(owner, size)) throw tooMuch()
    },
    drain: () =>
      queued === 0 && running + runningSingles === 0 ? Promise.resolve() : new Promise((resolve) => idle.add(resolve)),
    queued: () => queued,
  }
}

function tooMuch(): AppError {
  return new AppError('unavailable', 'Too much is waiting to be written.', { retry_after: 1 })
}
