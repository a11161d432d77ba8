import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { FREE_SPACE, StackError } from './stack-error'
import { canEnterDirectory, findUnprivilegedUser } from './unprivileged-user'

const MARKER = '.holdfast'
const LARGEST_LOG = 5_000_000
const LARGEST_OPEN_LOG = 50_000_000
const LOOK_AT_LOGS_MS = 10_000
/** Bytes of a path that leave room for what Postgres puts behind it. */
const LONGEST_PATH = 800

/** Everything the stack makes in DATA_DIR; `npm run reset` removes these names and no other. */
const OWN_ENTRIES = [
  'demo.json',
  'exports',
  'files',
  'initdb-password',
  'logs',
  'mail',
  'postgres',
  'secrets.json',
  'seed.json',
  'stack.json',
  MARKER,
]

/** Makes DATA_DIR and its folders. Throws StackError when it cannot be written. */
export function prepareDataDirectory(directory: string): void {
  const length = Buffer.byteLength(directory)
  if (length > LONGEST_PATH) {
    throw new StackError(
      `The path of the data directory is too long for Postgres (${length} bytes, at most ${LONGEST_PATH}).`,
      'Choose a shorter one: DATA_DIR=/path/you/own npm start',
    )
  }
  try {
    makeDirectory(directory)
    // Mails hold links that open accounts, and are nobody else's on this machine to read.
    for (const name of ['logs', 'mail']) {
      makeDirectory(join(directory, name))
      chmodSync(join(directory, name), 0o700)
    }
    writeFileSync(join(directory, MARKER), 'Made by npm start. npm run reset removes what is in here.\n')
    if (process.getuid?.() === 0) chmodSync(directory, 0o711) // the account that Postgres runs under passes through
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error)
    throw new StackError(
      `The data directory ${directory} cannot be written (${words}).`,
      /ENOSPC|EDQUOT/.test(words)
        ? FREE_SPACE
        : 'Make it writable, or choose another: DATA_DIR=/path/you/own npm start',
    )
  }
}

/** `mkdir -p`, step by step: Node's own recursive form never returns where the kernel denies that a parent exists (/proc). */
function makeDirectory(path: string): void {
  if (existsSync(path)) return
  if (dirname(path) !== path) makeDirectory(dirname(path))
  mkdirSync(path)
}

/** Whether the stack made this directory (or it is empty or missing), so that removing our names from it is right. */
export function isOwnDirectory(directory: string): boolean {
  return !existsSync(directory) || existsSync(join(directory, MARKER))
}

/** Path of a log file; a large one of earlier runs is put aside as `<name>.log.old`. */
export function logFile(directory: string, name: string): string {
  const path = join(directory, 'logs', `${name}.log`)
  if (existsSync(path) && statSync(path).size > LARGEST_LOG) renameSync(path, `${path}.old`)
  return path
}

/** Puts aside as `.old` what has become too large while it is written: whoever writes goes on in the same file, emptied. */
export function putLogsAside(directory: string, largest = LARGEST_OPEN_LOG): void {
  const logs = join(directory, 'logs')
  for (const name of readdirSync(logs)) {
    const path = join(logs, name)
    if (!name.endsWith('.log') || statSync(path).size <= largest) continue
    rmSync(`${path}.old`, { force: true })
    copyFileSync(path, `${path}.old`)
    truncateSync(path)
  }
}

/** Keeps the logs from filling the disk for as long as we run: anybody who asks for something makes a line. */
export function watchLogs(directory: string): NodeJS.Timeout {
  const look = () => {
    try {
      putLogsAside(directory)
    } catch (error) {
      process.stderr.write(`  Logs cannot be put aside: ${error instanceof Error ? error.message : String(error)}\n`)
    }
  }
  return setInterval(look, LOOK_AT_LOGS_MS).unref()
}

/**
 * Where the Postgres cluster of this DATA_DIR lives: in it, or, when root started the stack in a place that the account
 * of Postgres cannot reach (root's home), below /var/lib/holdfast.
 */
export function postgresDirectory(dataDir: string): string {
  const inside = join(dataDir, 'postgres')
  const user = findUnprivilegedUser()
  if (!user || canEnterDirectory(user, dataDir)) return inside
  const outside = join('/var/lib/holdfast', createHash('sha256').update(dataDir).digest('hex').slice(0, 12))
  mkdirSync(outside, { recursive: true })
  for (const path of [dirname(outside), outside]) chmodSync(path, 0o711)
  if (!canEnterDirectory(user, outside)) {
    throw new StackError(
      `Postgres cannot run as root, and its account "${user.name}" can enter neither ${dataDir} nor ${outside}.`,
      'Choose a directory that every user can pass through: DATA_DIR=/srv/holdfast npm start',
    )
  }
  return join(outside, 'postgres')
}

/** Removes what the stack made for this DATA_DIR, the cluster outside of it included. */
export function removeOwnEntries(dataDir: string): void {
  const cluster = postgresDirectory(dataDir)
  const outside = dirname(cluster) === dataDir ? cluster : dirname(cluster)
  rmSync(outside, { recursive: true, force: true, maxRetries: 5 })
  for (const name of OWN_ENTRIES) rmSync(join(dataDir, name), { recursive: true, force: true, maxRetries: 5 })
}
