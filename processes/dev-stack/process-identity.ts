import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/**
 * Text that tells a running process from any later one with the same id (its start time), or null when there is no such
 * process. A process id alone proves nothing: ids are used again.
 */
export function processIdentity(pid: number): string | null {
  if (process.platform === 'linux') {
    try {
      const start = readStart(readFileSync(`/proc/${pid}/stat`, 'utf8'))
      return start && `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}:${start}`
    } catch {
      return null
    }
  }
  const listed = spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' })
  return listed.status === 0 && listed.stdout.trim() ? listed.stdout.trim() : null
}

/**
 * When a process was started, from its `/proc/<pid>/stat`; null when it has ended. One whose first thread has ended has not, as
 * long as another holds on to its ports and files: a busy machine takes its time to end them all.
 */
export function readStart(stat: string): string | null {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [state, threads, start] = [fields[0], Number(fields[17]), fields[19]]
  return (state === 'Z' && threads <= 1) || start === undefined ? null : start
}

/** The command line of a running process, or an empty string. */
export function commandLine(pid: number): string {
  if (process.platform === 'linux') {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
    } catch {
      return ''
    }
  }
  return spawnSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).stdout?.trim() ?? ''
}
