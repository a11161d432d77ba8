import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Writable } from 'node:stream'
import { processIdentity } from './process-identity'
import { inRepository } from './repository'

/**
 * A small process that outlives this one and cleans up after it, however it ends (kill -9 included). What is released
 * is left alone.
 */
export type Guard = {
  /** `signal` is sent when this process has gone; SIGKILL follows after 17 s. */
  watchProcess: (pid: number, signal: NodeJS.Signals) => void
  watchDirectory: (path: string) => void
  release: (what: number | string) => void
}

/** Between the end of a guard and the next one. */
const PAUSE_MS = 500

export function startGuard(): Guard {
  const orders = new Map<number | string, object>()
  let child = launch()

  function launch(): ChildProcessByStdio<Writable, null, null> {
    const launched = spawn(process.execPath, [inRepository('processes', 'dev-stack', 'guard-process.mjs')], {
      cwd: '/',
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    })
    launched.on('error', () => {})
    launched.stdin.on('error', () => {})
    launched.unref()
    if ('unref' in launched.stdin && typeof launched.stdin.unref === 'function') launched.stdin.unref()
    // It ends by itself only after us: somebody ended it, and another takes its place.
    launched.once('exit', () => {
      const replace = () => {
        child = launch()
        for (const order of orders.values()) write(order)
      }
      setTimeout(replace, PAUSE_MS).unref()
    })
    return launched
  }
  const write = (order: object) => child.stdin.write(`${JSON.stringify(order)}\n`)
  const watch = (what: number | string, order: object) => {
    orders.set(what, order)
    write(order)
  }
  return {
    watchProcess: (pid, signal) => watch(pid, { process: pid, identity: processIdentity(pid) ?? '', signal }),
    watchDirectory: (path) => watch(path, { directory: path }),
    release: (what) => {
      orders.delete(what)
      write({ release: what })
    },
  }
}
