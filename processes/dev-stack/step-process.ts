import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { inRepository } from './repository'

export type StepProcess = {
  /** Arguments of node. */
  args: string[]
  env: NodeJS.ProcessEnv
  log_file: string
  /** Whether the log goes on where it ended, or begins anew. */
  append: boolean
  /** Ends the process early; the promise is then rejected. */
  signal: AbortSignal
  /** Called with the process id as it starts, and again when it has ended. */
  onPid: (pid: number, running: boolean) => void
}

/** Runs a process that does one step of the start; resolves to its exit code, null when a signal ended it. */
export async function runStepProcess(options: StepProcess): Promise<number | null> {
  const log = openSync(options.log_file, options.append ? 'a' : 'w')
  try {
    return await new Promise((resolve, reject) => {
      const child = spawn(process.execPath, options.args, {
        cwd: inRepository(),
        env: options.env,
        stdio: ['ignore', log, log],
        signal: options.signal,
      })
      const { pid } = child
      const kill = () => child.kill('SIGKILL')
      process.once('exit', kill)
      if (pid) options.onPid(pid, true)
      child.once('error', reject)
      child.once('exit', (code) => {
        process.removeListener('exit', kill)
        if (pid) options.onPid(pid, false)
        resolve(code)
      })
    })
  } finally {
    closeSync(log)
  }
}
