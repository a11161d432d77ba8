import { type ChildProcess, spawn } from 'node:child_process'
import { chownSync, closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { prepareClusterDirectory } from './cluster-ownership'
import { lastLines } from './last-lines'
import { findPostgresBinaries } from './postgres-binaries'
import { stopLeftoverPostmaster } from './postgres-leftover'
import { DEFAULT_SETTINGS } from './postgres-settings'
import { StackError } from './stack-error'
import { findUnprivilegedUser, type SystemUser } from './unprivileged-user'

/** Superuser of an embedded cluster; it sets up roles and databases and is never handed to the product. */
export const SUPERUSER = 'postgres'

export type PostgresOptions = {
  /** Directory of the cluster; made when missing. The unprivileged user must be able to reach it. */
  directory: string
  port: number
  superuser_password: string
  log_file: string
  /** Server settings on top of DEFAULT_SETTINGS, e.g. `{ shared_buffers: '64MB' }`. */
  settings?: Record<string, string>
  /** How long `stop` waits for a fast shutdown, in milliseconds; usually 30,000. */
  stop_patience_ms?: number
  /** Hears of each postmaster in its first moment, so that a guard may know of those of later starts too. */
  onSpawn?: (pid: number) => void
}

/** A running embedded cluster. `start` after `kill` or `stop` brings the same cluster up again on the same port. */
export type EmbeddedPostgres = {
  port: number
  /** Process id of the postmaster. */
  pid: () => number
  /** Connection string of the superuser for `database`. */
  superuserUrl: (database?: string) => string
  start: () => Promise<void>
  /**
   * Fast shutdown: sessions are ended, everything committed is on disk. Waits until the postmaster has gone; one that does not come
   * to its end (interrupted while it recovers on a full disk, say) is ended at once, and recovers at the next start.
   */
  stop: () => Promise<void>
  /** SIGKILL to the postmaster, as a power cut would have it. Waits until it has gone. */
  kill: () => Promise<void>
  /** Called with how the postmaster ended (`exit code 1`, `SIGKILL`), when that was not by `stop` or `kill`. */
  onUnexpectedExit: (listener: (how: string) => void) => void
}

const START_ATTEMPTS = 20
const STOP_PATIENCE_MS = 30_000
/** How often a running postmaster is looked at. */
const LOOK_MS = 2_000

/** Makes the cluster when it is not there (or was left half made) and starts it. Throws StackError when it cannot. */
export async function startPostgres(options: PostgresOptions): Promise<EmbeddedPostgres> {
  const user = findUnprivilegedUser()
  prepareClusterDirectory(options.directory, user)
  const binaries = findPostgresBinaries(user, join(options.directory, '..'))
  await stopLeftoverPostmaster(dataDirectory(options))
  await initialiseCluster(options, binaries, user)

  let postmaster: ChildProcess | undefined
  let expected = false
  let listener: (how: string) => void = () => {}

  async function start(): Promise<void> {
    expected = false
    const started = await startPostmaster(options, binaries, user, {
      // Known from its first moment, so that whoever stops while it starts stops it too.
      onSpawn: (spawned) => {
        postmaster = spawned
        if (spawned.pid) options.onSpawn?.(spawned.pid)
      },
      isWanted: () => !expected,
    })
    // Told to stop by somebody else's SIGTERM, it lets nobody in and waits for the last connection to go, which ours never do.
    const look = setInterval(() => {
      if (!expected && isStopping(options)) started.kill('SIGINT')
    }, LOOK_MS).unref()
    started.once('exit', (code, signal) => {
      clearInterval(look)
      if (!expected) listener(signal ?? `exit code ${code}`)
    })
  }

  async function end(...signals: NodeJS.Signals[]): Promise<void> {
    expected = true
    for (const signal of signals) {
      if (!postmaster || postmaster.exitCode !== null || postmaster.signalCode !== null) return
      const gone = new Promise((resolve) => postmaster?.once('exit', resolve))
      postmaster.kill(signal)
      await Promise.race([gone, sleep(options.stop_patience_ms ?? STOP_PATIENCE_MS, undefined, { ref: false })])
    }
  }

  await start()
  return {
    port: options.port,
    pid: () => postmaster?.pid ?? 0,
    superuserUrl: (database = 'postgres') =>
      connectionUrl(SUPERUSER, options.superuser_password, options.port, database),
    start,
    stop: () => end('SIGINT', 'SIGQUIT', 'SIGKILL'),
    kill: () => end('SIGKILL'),
    onUnexpectedExit: (next) => {
      listener = next
    },
  }
}

/** Connection string for a login of the embedded cluster. */
export function connectionUrl(user: string, password: string, port: number, database: string): string {
  return `postgresql://${encodeURIComponent(user)}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`
}

function dataDirectory(options: PostgresOptions): string {
  return join(options.directory, 'data')
}

/** Whether the postmaster says of itself, in the eighth line of its file, that it stops. */
function isStopping(options: PostgresOptions): boolean {
  const file = join(dataDirectory(options), 'postmaster.pid')
  try {
    return readFileSync(file, 'utf8').split('\n')[7]?.trim() === 'stopping'
  } catch {
    return false // The file goes with the postmaster.
  }
}

/** `initdb`, once: a marker beside the data says that it came to its end, without it the remains are thrown away. */
async function initialiseCluster(options: PostgresOptions, binaries: string, user: SystemUser | null): Promise<void> {
  const marker = join(options.directory, 'initialised')
  if (existsSync(marker)) return
  rmSync(dataDirectory(options), { recursive: true, force: true })
  const passwordFile = join(options.directory, 'initdb-password')
  writeFileSync(passwordFile, options.superuser_password, { mode: 0o600 })
  if (user) chownSync(passwordFile, user.uid, user.gid)
  const log = openSync(options.log_file, 'a')
  try {
    const initdb = spawn(
      join(binaries, 'initdb'),
      [
        `--pgdata=${dataDirectory(options)}`,
        `--username=${SUPERUSER}`,
        `--pwfile=${passwordFile}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        '--locale=C',
        // In the order of bytes, with the letters of every script: under plain C a search tells Ö from ö.
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
        '--lc-messages=C',
      ],
      { ...runAs(user, options.directory), stdio: ['ignore', log, log] },
    )
    const code = await exitOf(initdb)
    if (code !== 0) throw failedToStart('Postgres could not make its data directory', options.log_file)
  } finally {
    closeSync(log)
    rmSync(passwordFile, { force: true })
  }
  writeFileSync(marker, '')
}

async function startPostmaster(
  options: PostgresOptions,
  binaries: string,
  user: SystemUser | null,
  watch: { onSpawn: (postmaster: ChildProcess) => void; isWanted: () => boolean },
): Promise<ChildProcess> {
  const settings = { ...DEFAULT_SETTINGS, ...options.settings, port: String(options.port) }
  const switches = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  for (let attempt = 1; ; attempt += 1) {
    if (!watch.isWanted()) throw new StackError('Postgres was stopped while it started.', 'Start it again.')
    const log = openSync(options.log_file, 'a')
    const postmaster = spawn(join(binaries, 'postgres'), ['-D', dataDirectory(options), ...switches], {
      ...runAs(user, options.directory),
      stdio: ['ignore', log, log],
      detached: true, // a process group of its own: Ctrl-C in the terminal reaches us alone, and we stop it last
    })
    closeSync(log)
    watch.onSpawn(postmaster)
    if (await waitUntilReady(postmaster, options)) return postmaster
    // After a kill the old backends may hold the shared memory for a moment longer.
    const why = lastLines(options.log_file, 5)
    if (attempt < START_ATTEMPTS && why.includes('shared memory block')) {
      await sleep(250)
      continue
    }
    throw failedToStart('Postgres did not start', options.log_file)
  }
}

/** True when the server answers a query, false when it exited before. */
async function waitUntilReady(postmaster: ChildProcess, options: PostgresOptions): Promise<boolean> {
  let exited = false
  postmaster.once('error', () => {
    exited = true
  })
  postmaster.once('exit', () => {
    exited = true
  })
  while (!exited) {
    const client = new pg.Client({
      connectionString: connectionUrl(SUPERUSER, options.superuser_password, options.port, 'postgres'),
      connectionTimeoutMillis: 2_000,
    })
    client.on('error', () => {})
    try {
      await client.connect()
      return true
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      if (code === '28P01') {
        postmaster.kill('SIGINT')
        throw new StackError(
          'The password kept for the embedded Postgres does not fit its data directory.',
          'Run npm run reset to start afresh, or restore secrets.json beside the data.',
        )
      }
      await sleep(25)
    } finally {
      await client.end().catch(() => {})
    }
  }
  return false
}

function runAs(user: SystemUser | null, cwd: string) {
  const env: NodeJS.ProcessEnv = { PATH: process.env.PATH, LC_ALL: 'C', NODE_ENV: process.env.NODE_ENV }
  return user ? { uid: user.uid, gid: user.gid, cwd, env } : { cwd, env }
}

function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', resolve)
  })
}

function failedToStart(sentence: string, logFile: string): StackError {
  return new StackError(
    `${sentence}:\n${lastLines(logFile, 8)}`,
    `The whole log is ${logFile}; npm run doctor looks for causes.`,
  )
}
