import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { commandLine, processIdentity } from './process-identity'
import { StackError } from './stack-error'

const PATIENCE_MS = 20_000

/**
 * Deals with what a killed run left in a data directory: a postmaster still running on it is asked to shut down (fast) and
 * awaited; a pid file whose process is gone, or is somebody else's by now, is removed.
 */
export async function stopLeftoverPostmaster(dataDirectory: string): Promise<void> {
  const pidFile = join(dataDirectory, 'postmaster.pid')
  if (!existsSync(pidFile)) return
  const pid = Number(readFileSync(pidFile, 'utf8').split('\n')[0])
  if (!isPostmasterOf(pid, dataDirectory)) {
    rmSync(pidFile, { force: true })
    return
  }
  process.kill(pid, 'SIGINT')
  for (let waited = 0; waited < PATIENCE_MS; waited += 50) {
    if (processIdentity(pid) === null) return
    await sleep(50)
  }
  throw new StackError(
    `A Postgres of an earlier run (process ${pid}) is still using ${dataDirectory} and does not stop.`,
    `End it with: kill -QUIT ${pid}`,
  )
}

function isPostmasterOf(pid: number, dataDirectory: string): boolean {
  if (!Number.isInteger(pid) || pid <= 1 || processIdentity(pid) === null) return false
  return commandLine(pid).includes(dataDirectory)
}
