// A process of the stack that dies is started again, whatever is in the way of it at first.
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type Child, startChild } from '../../processes/dev-stack/child-process'

const NODE = process.execPath
let directory = ''
let child: Child | undefined
let said = ''

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-child-'))
  said = ''
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    said += text
    return true
  })
})
afterEach(async () => {
  process.execPath = NODE
  vi.restoreAllMocks()
  await child?.stop()
  rmSync(directory, { recursive: true, force: true })
})

const logFile = () => join(directory, 'logs.log')
const pids: number[] = []
/** Starts a process that ends a moment after it is ready, with what it says last. */
async function startMortal(): Promise<void> {
  pids.length = 0
  child = await startChild({
    name: 'mortal',
    args: ['-e', 'setTimeout(() => { console.log("what went wrong"); process.exit(3) }, 100)'],
    env: process.env,
    log_file: logFile(),
    isReady: () => Promise.resolve(true),
    onPid: (pid, running) => void (running && pids.push(pid)),
  })
}
const soon = { timeout: 10_000, interval: 20 }

test('with its last words, from the end of a log that is larger than a text can be', async () => {
  writeFileSync(logFile(), '')
  truncateSync(logFile(), 600_000_000)
  await startMortal()
  await expect.poll(() => pids.length, soon).toBe(2)
  expect(said).toContain('mortal ended (exit code 3) and is started again in 1 s.')
  expect(said).toContain('what went wrong')
})

test('as soon as its log can be written again', async () => {
  await startMortal()
  rmSync(directory, { recursive: true })
  await expect.poll(() => said, soon).toContain('mortal could not be started: ENOENT')
  expect(pids).toHaveLength(1)
  mkdirSync(directory)
  await expect.poll(() => pids.length, soon).toBe(2)
})

test('as soon as the system lets it start', async () => {
  await startMortal()
  process.execPath = join(directory, 'missing')
  await expect.poll(() => said, soon).toMatch(/mortal could not be started: spawn .* ENOENT/)
  expect(pids).toHaveLength(1)
  process.execPath = NODE
  await expect.poll(() => pids.length, soon).toBe(2)
})
