import { existsSync, linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { processIdentity } from './process-identity'
import { note } from './progress'
import { StackError } from './stack-error'

type Running = { name: string; pid: number; identity: string }
type Record = { main: Running; children: Running[] }

/** Who runs in a data directory, kept in DATA_DIR/stack.json while the stack runs. */
export type RunRecord = {
  add: (name: string, pid: number) => void
  remove: (pid: number) => void
  clear: () => void
}

/**
 * Claims a data directory. Throws StackError when another stack is running in it; processes that a killed one left behind
 * (and are provably the same processes) are ended first.
 */
export async function claimDataDirectory(dataDir: string): Promise<RunRecord> {
  const path = join(dataDir, 'stack.json')
  const record: Record = { main: describe('stack', process.pid), children: [] }
  const earlier = takePlace(dataDir, record)
  await endLeftovers(earlier)
  record.children = []
  const save = () => {
    writeFileSync(`${path}.partial`, `${JSON.stringify(record, null, 2)}\n`)
    renameSync(`${path}.partial`, path)
  }
  /** A record that cannot be kept (a full disk) is no reason to end what runs; the guard knows of the processes too. */
  const keep = () => {
    try {
      save()
    } catch (error) {
      note(`${path} could not be written: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  save()
  return {
    add: (name, pid) => {
      record.children.push(describe(name, pid))
      keep()
    },
    remove: (pid) => {
      record.children = record.children.filter((child) => child.pid !== pid)
      keep()
    },
    clear: () => rmSync(path, { force: true }),
  }
}

/**
 * Writes our record where there is none, or one of a stack that has gone; of two starts at one moment only one does. Returns the
 * children of the one before, which stay on record until they have ended.
 */
function takePlace(dataDir: string, record: Record): Running[] {
  const path = join(dataDir, 'stack.json')
  const text = existsSync(path) ? readFileSync(path, 'utf8') : null
  const earlier = text === null ? null : parseRecord(text)
  if (earlier) refuseWhenRunning(earlier, dataDir)
  record.children = earlier?.children ?? []
  const aside = `${path}.${process.pid}`
  try {
    if (text !== null) {
      renameSync(path, aside)
      if (readFileSync(aside, 'utf8') !== text) {
        renameSync(aside, path)
        throw anotherStart(dataDir)
      }
    }
    writeFileSync(aside, `${JSON.stringify(record, null, 2)}\n`)
    linkSync(aside, path) // there at once and whole, or not at all
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : ''
    throw code === 'EEXIST' || code === 'ENOENT' ? anotherStart(dataDir) : error
  } finally {
    rmSync(aside, { force: true })
  }
  return record.children
}

function anotherStart(dataDir: string): StackError {
  return new StackError(
    `Another start has just begun in ${dataDir}.`,
    'Use that one, or start a second one with DATA_DIR and ports of its own.',
  )
}

/** Throws StackError when a stack is running in the data directory. */
export function requireNotRunning(dataDir: string): void {
  const record = readRecord(dataDir)
  if (record) refuseWhenRunning(record, dataDir)
}

/** Ends the processes that a killed stack left in the data directory. */
export async function endLeftoversIn(dataDir: string): Promise<void> {
  const record = readRecord(dataDir)
  if (record) await endLeftovers(record.children)
}

/** Whether processes of an earlier run, now without the one that started them, are still there. */
export function hasLeftovers(dataDir: string): boolean {
  return readRecord(dataDir)?.children.some(isRunning) ?? false
}

function refuseWhenRunning(record: Record, dataDir: string): void {
  if (!isRunning(record.main) || record.main.pid === process.pid) return
  throw new StackError(
    `Holdfast is already running in ${dataDir} (process ${record.main.pid}).`,
    `Stop it with Ctrl-C where it runs (or: kill ${record.main.pid}), or start a second one with DATA_DIR and ports of its own.`,
  )
}

async function endLeftovers(children: Running[]): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    const left = children.filter(isRunning)
    if (left.length === 0) return
    for (const { pid } of left) send(pid, signal)
    for (let waited = 0; waited < 5_000 && children.some(isRunning); waited += 50) await sleep(50)
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has gone in the meantime: the guard of the run before ends it too.
  }
}

function describe(name: string, pid: number): Running {
  return { name, pid, identity: processIdentity(pid) ?? '' }
}

function isRunning(running: Running): boolean {
  return running.identity !== '' && processIdentity(running.pid) === running.identity
}

/** What the last run wrote down of itself; null when there is none, or it cannot be read. */
export function readRecord(dataDir: string): Record | null {
  const path = join(dataDir, 'stack.json')
  return existsSync(path) ? parseRecord(readFileSync(path, 'utf8')) : null
}

function parseRecord(text: string): Record | null {
  try {
    const record = JSON.parse(text)
    return typeof record?.main?.pid === 'number' && Array.isArray(record.children) ? record : null
  } catch {
    return null
  }
}
