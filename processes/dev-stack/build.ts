import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { lastLines } from './postgres'
import { inRepository, repositoryRoot } from './repository'
import { StackError } from './stack-error'

const SOURCES = [
  'app',
  'features',
  'libs',
  'messages',
  'public',
  'instrumentation.ts',
  'instrumentation-client.ts',
  'middleware.ts',
  'next.config.ts',
  'package-lock.json',
  'postcss.config.mjs',
  'tsconfig.json',
]

/** Whether the last build of Next was made of the sources as they are now. */
export function isBuildCurrent(): boolean {
  const record = recordPath()
  return (
    existsSync(record) &&
    existsSync(inRepository('.next', 'BUILD_ID')) &&
    readFileSync(record, 'utf8') === hashSources()
  )
}

/** Runs `next build` until it ends or `signal` is given. Throws StackError with the end of its output when it fails. */
export async function buildApplication(env: NodeJS.ProcessEnv, logFile: string, signal: AbortSignal): Promise<void> {
  const hash = hashSources()
  // A build that does not come to its end leaves none of the one before that could be taken for whole.
  rmSync(recordPath(), { force: true })
  const log = openSync(logFile, 'w')
  const code = await new Promise<number | null>((resolve, reject) => {
    const build = spawn(process.execPath, [inRepository('node_modules', 'next', 'dist', 'bin', 'next'), 'build'], {
      cwd: repositoryRoot,
      env: { ...env, NODE_ENV: 'production', NEXT_TELEMETRY_DISABLED: '1' },
      stdio: ['ignore', log, log],
      signal,
    })
    build.once('error', reject)
    build.once('exit', resolve)
    process.once('exit', () => build.kill('SIGKILL'))
  })
  closeSync(log)
  if (code !== 0) {
    throw new StackError(
      `The application could not be built:\n${lastLines(logFile, 30)}`,
      `The whole log is ${logFile}.`,
    )
  }
  writeFileSync(recordPath(), hash)
}

function recordPath(): string {
  return inRepository('.next', 'holdfast-sources')
}

/** Hash over names and contents of everything that goes into the build. */
function hashSources(): string {
  const hash = createHash('sha256')
  for (const source of SOURCES) {
    const path = inRepository(source)
    if (existsSync(path)) addToHash(path, source)
  }
  return hash.digest('hex')

  function addToHash(path: string, name: string): void {
    const entries = listDirectory(path)
    if (!entries) {
      hash.update(`${name}\0`).update(readFileSync(path)).update('\0')
      return
    }
    for (const entry of entries) addToHash(join(path, entry), `${name}/${entry}`)
  }
}

function listDirectory(path: string): string[] | null {
  try {
    return readdirSync(path).sort()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOTDIR') return null
    throw error
  }
}
