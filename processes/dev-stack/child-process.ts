import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { lastLines } from './postgres'
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
  /** Resolves to true once the process does its work. Asked every 100 ms. */
  isReady: () => Promise<boolean>
  /** Called with each process id as it starts, and again with null when that process has ended. */
  onPid: (pid: number, running: boolean) => void
}

/** A process of the stack. It is started again when it dies, with growing pauses, until `stop` is called. */
export type Child = { name: string; stop: () => Promise<void> }

const BOOT_PATIENCE_MS = 60_000
const STOP_PATIENCE_MS = 12_000
const LONGEST_PAUSE_MS = 30_000
const CALM_MS = 60_000

/** Starts a process and waits until it is ready. Throws StackError with its last words when it dies before that. */
export async function startChild(options: ChildOptions): Promise<Child> {
  let child = launch(options)
  let stopping = false
  await becomeReady(child, options)
  keepAlive()

  function keepAlive(failures = 0): void {
    const started = Date.now()
    const restart = async (code: number | null, signal: NodeJS.Signals | null) => {
      if (stopping) return
      const soFar = Date.now() - started > CALM_MS ? 0 : failures
      const pause = Math.min(LONGEST_PAUSE_MS, 1_000 * 2 ** soFar)
      note(`${options.name} ended (${signal ?? `exit code ${code}`}) and is started again in ${pause / 1_000} s.`)
      // Who was killed had no time for words; what its log ends with is about something else.
      const words = signal === 'SIGKILL' ? '' : lastLines(options.log_file, 5)
      note(words ? `Its last words (${options.log_file}):\n${words}` : `Its log is ${options.log_file}.`)
      await sleep(pause, undefined, { ref: false })
      if (stopping) return
      child = launch(options)
      keepAlive(soFar + 1)
      await noteReturn(child)
    }
    if (child.exitCode === null && child.signalCode === null) child.once('exit', restart)
    else void restart(child.exitCode, child.signalCode)
  }

  /** Says that a process works again, unless it ends before that. */
  async function noteReturn(again: ChildProcess): Promise<void> {
    const started = Date.now()
    while (
      !stopping &&
      again.exitCode === null &&
      again.signalCode === null &&
      Date.now() - started < BOOT_PATIENCE_MS
    ) {
      if (await options.isReady()) return note(`${options.name} works again.`)
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

/** SIGTERM, and SIGKILL when the process is still there after twelve seconds. Returns when it has gone. */
async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || !child.pid) return
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
  const { pid } = child
  if (pid) {
    options.onPid(pid, true)
    child.once('exit', () => options.onPid(pid, false))
  }
  return child
}

async function becomeReady(child: ChildProcess, options: ChildOptions): Promise<void> {
  const deadline = Date.now() + BOOT_PATIENCE_MS
  while (Date.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null) break
    if (await options.isReady()) return
    await sleep(100)
  }
  const died = child.exitCode !== null || child.signalCode !== null
  await endProcess(child)
  throw new StackError(
    `${options.name} ${died ? 'ended while starting' : 'did not become ready'}:\n${lastLines(options.log_file, 15)}`,
    `The whole log is ${options.log_file}.`,
  )
}
