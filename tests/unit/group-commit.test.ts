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
            run: async (key, items) => {
              const size = items.reduce((sum, item) => sum + item.size, 0)
              const kind = singles > 0 && size === 1 ? 'single' : 'shared'
              running[kind] += 1
              // What was taken as part of more, and is the rest of it, is a single with a writer of its own.
              expect(running.single + running.shared).toBeLessThanOrEqual(limits.writers + singles)
              expect(running.shared).toBeLessThanOrEqual(limits.writers)
              expect(items.every((item) => item.key === key)).toBe(true)
              expect(items.length === 1 || size <= limits.maxBatch).toBe(true)
              await pause()
              running[kind] -= 1
              return items.map(({ n }) => n)
            },
          })
          const answers = await Promise.all(work.map(([key, size], n) => commit.submit(key, { key, size, n }, size)))
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
      run: async (_key, items) => {
        batches.push(items.length)
        await pause(5)
        return items
      },
    })
    await Promise.all([1, 2, 3].map((n) => commit.submit('a', n, 1)))
    const first = commit.submit('a', 4, 1)
    await pause(2)
    await Promise.all([first, ...[5, 6, 7].map((n) => commit.submit('a', n, 1))])
    expect(batches).toEqual([3, 1, 3])
  })

  test('a busy key does not starve a quiet one', async () => {
    const order: string[] = []
    const commit = createGroupCommit<number, number>({
      ...limits,
      writers: 1,
      run: async (key, items) => {
        order.push(key)
        await pause()
        return items
      },
    })
    const busy = Array.from({ length: 50 }, (_, n) => commit.submit('busy', n, 1))
    const quiet = commit.submit('quiet', 0, 1)
    await Promise.all([...busy, quiet])
    expect(order.indexOf('quiet')).toBeLessThanOrEqual(1)
  })

  test('a failed batch fails its own items alone', async () => {
    const commit = createGroupCommit<number, number>({
      ...limits,
      run: async (key, items) => {
        if (key === 'bad') throw new Error('no')
        return items
      },
    })
    const results = await Promise.allSettled([commit.submit('bad', 1, 1), commit.submit('good', 2, 1)])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
    expect(await commit.submit('good', 3, 1)).toBe(3)
  })

  test('an item may fail alone', async () => {
    const commit = createGroupCommit<number, number>({
      ...limits,
      run: async (_key, items) => items.map((n) => (n === 2 ? new Error('no') : n)),
    })
    const results = await Promise.allSettled([1, 2, 3].map((n) => commit.submit('a', n, 1)))
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  })

  test('a full queue turns away with Retry-After, and takes again once there is room', async () => {
    const commit = createGroupCommit<number, number>({ ...limits, maxQueued: 5, run: async (_key, items) => items })
    const taken = [commit.submit('a', 1, 5)]
    const refused = await commit.submit('a', 2, 1).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(AppError)
    expect(refused).toMatchObject({ code: 'unavailable', details: { retry_after: 1 } })
    await Promise.all(taken)
    expect(await commit.submit('a', 3, 1)).toBe(3)
  })
})

test('one key fills no more than half of the queue, and others still get in', async () => {
  let open = (): void => undefined
  const gate = new Promise<void>((resolve) => {
    open = resolve
  })
  const commit = createGroupCommit<number, number>({
    ...limits,
    maxQueued: 10,
    run: async (_key, items) => {
      await gate
      return items
    },
  })
  // One batch is under way and waits; what follows queues up.
  const taken = [commit.submit('busy', 0, 10)]
  await new Promise((resolve) => setImmediate(resolve))
  for (let item = 0; item < 5; item += 1) taken.push(commit.submit('busy', item, 1))
  await expect(commit.submit('busy', 9, 1)).rejects.toMatchObject({ code: 'unavailable' })
  taken.push(commit.submit('quiet', 1, 1))
  open()
  expect(await Promise.all(taken)).toHaveLength(7)
})

test('many keys are written beside each other, one key by no more than two', async () => {
  const running = new Map<string, number>()
  let most = 0
  let mostOfKey = 0
  const commit = createGroupCommit<number, number>({
    ...limits,
    writers: 6,
    worthJoining: 1,
    maxBatch: 1,
    run: async (key, items) => {
      running.set(key, (running.get(key) ?? 0) + 1)
      most = Math.max(
        most,
        [...running.values()].reduce((sum, count) => sum + count, 0),
      )
      mostOfKey = Math.max(mostOfKey, running.get(key) ?? 0)
      await new Promise((resolve) => setTimeout(resolve, 5))
      running.set(key, (running.get(key) ?? 0) - 1)
      return items
    },
  })
  const keys = ['a', 'b', 'c', 'd']
  await Promise.all(Array.from({ length: 40 }, (_, item) => commit.submit(keys[item % 4] ?? '', item, 1)))
  expect(most).toBe(6)
  expect(mostOfKey).toBe(2)
})

test('what comes alone waits for no writer, and for no more than its own number', async () => {
  const open: (() => void)[] = []
  const running: string[] = []
  const commit = createGroupCommit<number, number>({
    ...limits,
    writers: 1,
    singles: 2,
    run: async (key, items) => {
      running.push(key)
      await new Promise<void>((resolve) => open.push(resolve))
      return items
    },
  })
  const answers = [
    commit.submit('large', 0, 5),
    commit.submit('next', 0, 5),
    ...['a', 'b', 'c'].map((key) => commit.submit(key, 0, 1)),
  ]
  await pause()
  expect(running).toEqual(['large', 'a', 'b'])
  open[1]?.()
  await answers[2]
  await pause()
  expect(running).toEqual(['large', 'a', 'b', 'c'])
  open[0]?.()
  await answers[0]
  await pause()
  expect(running).toEqual(['large', 'a', 'b', 'c', 'next'])
  for (const resolve of open) resolve()
  await Promise.all(answers)
  await commit.drain()
})
