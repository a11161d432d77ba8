import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { lastLines } from './last-lines'
import { inRepository } from './repository'
import { StackError } from './stack-error'
import { runStepProcess, type StepProcess } from './step-process'

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
export async function buildApplication(
  env: NodeJS.ProcessEnv,
  watch: Pick<StepProcess, 'log_file' | 'signal' | 'onPid'>,
): Promise<void> {
  const hash = hashSources()
  // A build that does not come to its end leaves none of the one before that could be taken for whole.
  rmSync(recordPath(), { force: true })
  const code = await runStepProcess({
    ...watch,
    args: [inRepository('node_modules', 'next', 'dist', 'bin', 'next'), 'build'],
    env: { ...env, NODE_ENV: 'production', NEXT_TELEMETRY_DISABLED: '1' },
    append: false,
  })
  if (code !== 0) throw explainFailure(watch.log_file)
  writeFileSync(recordPath(), hash)
}

function explainFailure(logFile: string): StackError {
  const words = lastLines(logFile, 30)
  if (words.includes('Another next build process is already running')) {
    return new StackError(
      'The application is being built in this checkout already, by another start or by hand.',
      'Wait until that build has come to its end, then start again.',
    )
  }
  return new StackError(`The application could not be built:\n${words}`, `The whole log is ${logFile}.`)
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
