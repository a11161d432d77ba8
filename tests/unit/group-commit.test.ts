// Group commit: everything that is submitted is answered once, in turn, and what is too much is turned away.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AppError } from '@/libs/errors'
import { createGroupCommit } from '@/libs/ingest/group-commit'

const pause = (ms = 0) => new Promise((resolve) => setTimeout(resolve, ms))
const limits = { writers: 2, worthJoining: 4, maxBatch: 10, maxQueued: 1_000 }

describe('group commit', () => {
  test('answers every item with its own result, in batches that hold', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e'), fc.integer({ min: 1, max: 10 })), {
          maxLength: 60,
        }),
        fc.constantFrom(0, 1, 3),
        async (work, singles) => {
          const running = { single: 0, shared: 0 }
          const commit = createGroupCommit<{ key: string; size: number; n: number }, number>({
            ...limits,
            singles,
            run: async (items) => {
              const size = items.reduce((sum, item) => sum + item.size, 0)
              const kind = singles > 0 && size === 1 ? 'single' : 'shared'
              running[kind] += 1
              // What was taken as part of more, and is the rest of it, is a single with a writer of its own.
              expect(running.single + running.shared).toBeLessThanOrEqual(limits.writers + singles)
              expect(running.shared).toBeLessThanOrEqual(limits.writers)
              expect(new Set(items.map((item) => item.key)).size).toBe(1)
              expect(items.length === 1 || size <= limits.maxBatch).toBe(true)
              await pause()
              running[kind] -= 1
              return items.map(({ n }) => n)
            },
          })
          const answers = await Promise.all(
            work.map(([key, size], n) => commit.submit(key < 'd' ? 'one' : 'other', key, { key, size, n }, size)),
          )
          expect(answers).toEqual(work.map((_, n) => n))
          await commit.drain()
          expect(commit.queued()).toBe(0)
        },
      ),
      { numRuns: 50 },
    )
  })

  test('what arrives together goes together; the next batch gathers meanwhile', async () => {
    const batches: number[] = []
    const commit = createGroupCommit<number, number>({
      ...limits,
      worthJoining: 100,
      run: async (items) => {
        batches.push(items.length)
        await pause(5)
        return items
      },
    })
    await Promise.all([1, 2, 3].map((n) => commit.submit('owner', 'a', n, 1)))
    const first = commit.submit('owner', 'a', 4, 1)
    await pause(2)
    await Promise.all([first, ...[5, 6, 7].map((n) => commit.submit('owner', 'a', n, 1))])
    expect(batches).toEqual([3, 1, 3])
  })

  test('a busy key does not starve a quiet one', async () => {
    const order: string[] = []
    const commit = createGroupCommit<string, string>({
      ...limits,
      writers: 1,
      run: async (items) => {
        order.push(items[0] ?? '')
        await pause()
        return items
      },
    })
    const busy = Array.from({ length: 50 }, () => commit.submit('owner', 'busy', 'busy', 1))
    const quiet = commit.submit('owner', 'quiet', 'quiet', 1)
    await Promise.all([...busy, quiet])
    expect(order.indexOf('quiet')).toBeLessThanOrEqual(1)
  })

  test('a failed batch fails its own items alone', async () => {
    const commit = createGroupCommit<number, number>({
      ...limits,
      run: async (items) => {
        if (items.includes(1)) throw new Error('no')
        return items
      },
    })
    const results = await Promise.allSettled([
      commit.submit('owner', 'bad', 1, 1),
      commit.submit('owner', 'good', 2, 1),
    ])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
    expect(await commit.submit('owner', 'good', 3, 1)).toBe(3)
  })

  test('an item may fail alone', async () => {
    const commit = createGroupCommit<number, number>({
      ...limits,
      run: async (items) => items.map((n) => (n === 2 ? new Error('no') : n)),
    })
    const results = await Promise.allSettled([1, 2, 3].map((n) => commit.submit('owner', 'a', n, 1)))
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  })

  test('a full queue turns away with Retry-After, and takes again once there is room', async () => {
    const commit = createGroupCommit<number, number>({ ...limits, maxQueued: 5, run: async (items) => items })
    const taken = [commit.submit('owner', 'a', 1, 5)]
    const refused = await commit.submit('owner', 'a', 2, 1).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(AppError)
    expect(refused).toMatchObject({ code: 'unavailable', details: { retry_after: 1 } })
    await Promise.all(taken)
    expect(await commit.submit('owner', 'a', 3, 1)).toBe(3)
  })
})

test('one owner fills no more than half of the queue whatever its keys, and others still get in', async () => {
  let open = (): void => undefined
  const gate = new Promise<void>((resolve) => {
    open = resolve
  })
  const commit = createGroupCommit<number, number>({
    ...limits,
    maxQueued: 10,
    run: async (items) => {
      await gate
      return items
    },
  })
  // As many batches are under way as one owner may have; what follows queues up.
  const taken = [commit.submit('busy', 'first', 0, 10)]
  await new Promise((resolve) => setImmediate(resolve))
  taken.push(commit.submit('busy', 'second', 0, 5))
  await new Promise((resolve) => setImmediate(resolve))
  for (let item = 0; item < 5; item += 1) taken.push(commit.submit('busy', `key ${item}`, item, 1))
  await expect(commit.submit('busy', 'another key', 9, 1)).rejects.toMatchObject({ code: 'unavailable' })
  expect(() => commit.requireRoom('busy', 1)).toThrow(AppError)
  commit.requireRoom('quiet', 1)
  taken.push(commit.submit('quiet', 'key', 1, 1))
  open()
  expect(await Promise.all(taken)).toHaveLength(8)
})

/** A few turns of the loop, after which everything that may start has started. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 6; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

/** A run that notes which names are under way, and ends when it is told to. */
function watched() {
  const started: string[] = []
  const open: (() => void)[] = []
  return {
    started,
    end: (name: string) => open[started.indexOf(name)]?.(),
    run: async (items: readonly string[]) => {
      started.push(items[0] ?? '')
      await new Promise<void>((resolve) => open.push(resolve))
      return items
    },
  }
}

test('many keys are written beside each other, one key by no more than two, one owner by no more than half', async () => {
  const { started, end, run } = watched()
  const commit = createGroupCommit<string, string>({ ...limits, writers: 6, worthJoining: 1, maxBatch: 1, run })
  const names = ['a1', 'a2', 'a3', 'b1', 'c1', 'c2']
  const owner = (name: string) => (name === 'other' ? 'other' : 'busy')
  const answers = [...names, 'other'].map((name) => commit.submit(owner(name), name[0] ?? '', name, 1))
  await turns()
  // One turn of each key before the second of any; the third batch of a waits for the first two.
  expect(started).toEqual(['a1', 'other', 'b1', 'c1'])
  end('b1')
  await answers[3]
  await turns()
  expect(started).toEqual(['a1', 'other', 'b1', 'c1', 'a2'])
  end('c1')
  await answers[4]
  await turns()
  expect(started).toEqual(['a1', 'other', 'b1', 'c1', 'a2', 'c2'])
  end('c2')
  await answers[5]
  await turns()
  expect(started).toHaveLength(6)
  for (const name of ['a1', 'a2', 'other']) end(name)
  await answers[0]
  await turns()
  end('a3')
  expect(await Promise.all(answers)).toEqual([...names, 'other'])
})

test('what comes alone waits for no writer, and for no more than its own number, half of it of one owner', async () => {
  const { started, end, run } = watched()
  const commit = createGroupCommit<string, string>({ ...limits, writers: 1, singles: 4, run })
  const answers = [
    commit.submit('one', 'large', 'large', 5),
    commit.submit('two', 'next', 'next', 5),
    ...['a', 'b', 'c'].map((key) => commit.submit('three', key, key, 1)),
    commit.submit('four', 'd', 'd', 1),
  ]
  await turns()
  expect(started).toEqual(['large', 'a', 'd', 'b'])
  end('a')
  await answers[2]
  await turns()
  expect(started).toEqual(['large', 'a', 'd', 'b', 'c'])
  end('large')
  await answers[0]
  await turns()
  expect(started).toEqual(['large', 'a', 'd', 'b', 'c', 'next'])
  for (const name of started) end(name)
  await Promise.all(answers)
  await commit.drain()
})
