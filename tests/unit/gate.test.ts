import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createGate } from '@/libs/gate'

/** Work that goes on until it is told to end. */
function openWork(done: string[], name: string) {
  const { promise, resolve } = Promise.withResolvers<void>()
  const started = Promise.withResolvers<void>()
  const work = async () => {
    started.resolve()
    await promise
    done.push(name)
  }
  return { work, end: resolve, started: started.promise }
}

test('so many go on at one moment, and the others follow in the order they came', async () => {
  const gate = createGate(1)
  const done: string[] = []
  const [first, second, third] = ['first', 'second', 'third'].map((name) => openWork(done, name))
  const all = [first, second, third].map((each) => gate.run(async () => each?.work()))
  await first?.started
  second?.end()
  third?.end()
  await sleep(0)
  expect(done).toEqual([])
  expect(gate.isEmpty()).toBe(false)
  first?.end()
  await Promise.all(all)
  expect(done).toEqual(['first', 'second', 'third'])
  expect(gate.isEmpty()).toBe(true)
})

test('whoever fails hands its place on', async () => {
  const gate = createGate(1)
  const failing = gate.run(async () => {
    throw new Error('no')
  })
  const next = gate.run(async () => 'yes')
  await expect(failing).rejects.toThrow('no')
  await expect(next).resolves.toBe('yes')
})

test('whose patience ends leaves the line, and takes no place from who comes after', async () => {
  const gate = createGate(1, { ms: 5, refuse: () => new Error('too much') })
  const holding = openWork([], 'holding')
  const held = gate.run(holding.work)
  await expect(gate.run(async () => 'never')).rejects.toThrow('too much')
  const later = gate.run(async () => 'after')
  holding.end()
  await held
  await expect(later).resolves.toBe('after')
  expect(gate.isEmpty()).toBe(true)
})
