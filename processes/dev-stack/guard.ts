import { spawn } from 'node:child_process'
import { processIdentity } from './process-identity'
import { inRepository } from './repository'

/**
 * A small process that outlives this one and cleans up after it, however it ends (kill -9 included). What is released
 * is left alone.
 */
export type Guard = {
  /** `signal` is sent when this process has gone; SIGKILL follows after 15 s. */
  watchProcess: (pid: number, signal: NodeJS.Signals) => void
  watchDirectory: (path: string) => void
  release: (what: number | string) => void
}

export function startGuard(): Guard {
  const child = spawn(process.execPath, [inRepository('processes', 'dev-stack', 'guard-process.mjs')], {
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  child.on('error', () => {})
  child.stdin.on('error', () => {})
  child.unref()
  if ('unref' in child.stdin && typeof child.stdin.unref === 'function') child.stdin.unref()
  const order = (line: object) => child.stdin.write(`${JSON.stringify(line)}\n`)
  return {
    watchProcess: (pid, signal) => order({ process: pid, identity: processIdentity(pid) ?? '', signal }),
    watchDirectory: (path) => order({ directory: path }),
    release: (what) => order({ release: what }),
  }
}
