import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { lastLines } from './last-lines'
import { note } from './progress'
import { inRepository } from './repository'
import { StackError } from './stack-error'

export type ChildOptions = {
  /** Shown to people, and the name of the log file. */
  name: string
  /** Arguments of node. */
  args: string[]
  env: NodeJS.ProcessEnv
  log_file: string
  /** Resolves to true once the process does its work; asked every 100 ms. Without it: when it has run for a second. */
  isReady?: () => Promise<boolean>
  /** Called with each process id as it starts, and again with null when that process has ended. */
  onPid: (pid: number, running: boolean) => void
}

/** A process of the stack. It is started again when it dies, with growing pauses, until `stop` is called. */
export type Child = { name: string; stop: () => Promise<void> }

const BOOT_PATIENCE_MS = 60_000
const STOP_PATIENCE_MS = 17_000
const LONGEST_PAUSE_MS = 30_000
const CALM_MS = 60_000
const SETTLED_MS = 1_000

/** Starts a process and waits until it is ready. Throws StackError with its last words when it dies before that. */
export async function startChild(options: ChildOptions): Promise<Child> {
  let child = launch(options)
  let stopping = false
  await becomeReady(child, options)
  void keepAlive()

  async function keepAlive(): Promise<void> {
    for (let failures = 0; ; failures += 1) {
      const started = performance.now()
      const how = await endOf(child)
      if (stopping) return
      if (performance.now() - started > CALM_MS) failures = 0
      const pause = Math.min(LONGEST_PAUSE_MS, 1_000 * 2 ** failures)
      note(`${options.name} ended (${how}) and is started again in ${pause / 1_000} s.`)
      // Whatever is in the way of a new one (a disk, a limit of the system) is no reason to end the others.
      try {
        // Who was killed had no time for words; what its log ends with is about something else.
        const words = how === 'SIGKILL' ? '' : lastLines(options.log_file, 5)
        note(words ? `Its last words (${options.log_file}):\n${words}` : `Its log is ${options.log_file}.`)
        await sleep(pause, undefined, { ref: false })
        if (stopping) return
        child = launch(options)
        void noteReturn(child)
      } catch (error) {
        noteFailure(options, error)
      }
    }
  }

  /** Says that a process works again, unless it ends before that. */
  async function noteReturn(again: ChildProcess): Promise<void> {
    const started = performance.now()
    while (!stopping && !hasEnded(again) && performance.now() - started < BOOT_PATIENCE_MS) {
      if (await isReady(options, started)) return note(`${options.name} works again.`)
      await sleep(250, undefined, { ref: false })
    }
  }

  return {
    name: options.name,
    stop: async () => {
      stopping = true
      await endProcess(child)
    },
  }
}

/** How a process ended, once it has. */
function endOf(child: ChildProcess): Promise<string> {
  const how = () => child.signalCode ?? `exit code ${child.exitCode}`
  if (hasEnded(child)) return Promise.resolve(how())
  return new Promise((resolve) => {
    child.once('exit', () => resolve(how()))
    child.once('error', () => resolve(how()))
  })
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

function noteFailure({ name }: ChildOptions, error: unknown): void {
  note(`${name} could not be started: ${error instanceof Error ? error.message : String(error)}`)
}

/** SIGTERM, and SIGKILL when the process is still there after seventeen seconds, more than each of them takes for its end. Returns when it has gone. */
async function endProcess(child: ChildProcess): Promise<void> {
  if (hasEnded(child) || !child.pid) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  signalGroup(child.pid, 'SIGTERM')
  const patience = sleep(STOP_PATIENCE_MS, 'late', { ref: false })
  if ((await Promise.race([gone, patience])) === 'late') {
    signalGroup(child.pid, 'SIGKILL')
    await gone
  }
}

/** To the process and whatever it started: each child leads a group of its own. */
function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, signal)
  } catch {
    // It has gone in the meantime.
  }
}

function launch(options: ChildOptions): ChildProcess {
  const log = openSync(options.log_file, 'a')
  const child = spawn(process.execPath, options.args, {
    cwd: inRepository(),
    env: options.env,
    stdio: ['ignore', log, log],
    detached: process.platform !== 'win32', // Ctrl-C reaches us alone, and we stop the processes in order
  })
  closeSync(log)
  child.once('error', (error) => noteFailure(options, error))
  const { pid } = child
  if (pid) {
    options.onPid(pid, true)
    child.once('exit', () => options.onPid(pid, false))
  }
  return child
}

/** Whether a process that was started at a moment does its work. */
async function isReady(options: ChildOptions, started: number): Promise<boolean> {
  return options.isReady ? options.isReady() : performance.now() - started > SETTLED_MS
}

async function becomeReady(child: ChildProcess, options: ChildOptions): Promise<void> {
  const started = performance.now()
  while (performance.now() - started < BOOT_PATIENCE_MS) {
    if (hasEnded(child)) break
    if (await isReady(options, started)) return
    await sleep(100)
  }
  const died = hasEnded(child)
  await endProcess(child)
  throw new StackError(
    `${options.name} ${died ? 'ended while starting' : 'did not become ready'}:\n${lastLines(options.log_file, 15)}`,
    `The whole log is ${options.log_file}.`,
  )
}
