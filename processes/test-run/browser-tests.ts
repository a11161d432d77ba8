import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { buildApplication, isBuildCurrent } from '../dev-stack/build'
import { childEnvironment } from '../dev-stack/child-environment'
import { ensureChromium } from '../dev-stack/chromium'
import { startGuard } from '../dev-stack/guard'
import { inRepository } from '../dev-stack/repository'
import { type Count, countOf, firstLine } from './count'
import { runTool } from './run-tool'
import { plainEnvironment, startWholeStack, type WholeStack } from './whole-stack'

type Spec = { title: string; file: string; line: number; ok: boolean; tests: { status: string }[] }
type Suite = { specs: Spec[]; suites?: Suite[] }
type Report = {
  stats: { expected: number; unexpected: number; flaky: number; skipped: number }
  suites: Suite[]
  /** What went wrong outside of any test, such as a file that could not be loaded. */
  errors: { message?: string; location?: { file: string; line: number } }[]
}

/** What did not pass or did not run, wherever it is nested. */
function namesOf({ specs, suites = [] }: Suite): string[] {
  const failed = specs
    .filter(({ ok, tests }) => !ok || tests.some(({ status }) => status === 'skipped'))
    .map(({ file, line, title }) => `tests/e2e/${file}:${line}: ${title}`)
  return [...failed, ...suites.flatMap(namesOf)]
}

/** The tests of a run of Playwright that ended with `code` and wrote a report (or did not come to that). */
export function countBrowserTests(code: number, reportFile: string): Count {
  if (!existsSync(reportFile))
    return { passed: 0, failed: 1, names: [`e2e: Playwright ended with ${code} and no report`] }
  const { stats, suites, errors }: Report = JSON.parse(readFileSync(reportFile, 'utf8'))
  const outside = errors.map(({ message = 'an error outside of any test', location }) =>
    [...(location ? [`${relative(inRepository(), location.file)}:${location.line}`] : []), firstLine(message)].join(
      ': ',
    ),
  )
  return countOf('e2e', code, stats.expected + stats.flaky, [...suites.flatMap(namesOf), ...outside])
}

/**
 * Builds the application while something else runs. A failure is for the stack of the browser tests to tell: it builds again what
 * is not there.
 */
export async function buildAhead(): Promise<void> {
  if (isBuildCurrent()) return
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-build-'))
  const guard = startGuard()
  guard.watchDirectory(directory)
  try {
    await buildApplication(childEnvironment(plainEnvironment()), {
      log_file: join(directory, 'build.log'),
      signal: new AbortController().signal,
      onPid: (pid, isRunning) => (isRunning ? guard.watchProcess(pid, 'SIGTERM') : guard.release(pid)),
    }).catch(() => {})
  } finally {
    rmSync(directory, { recursive: true, force: true })
    guard.release(directory)
  }
}

/** The browser journeys, against a seeded stack on free ports in a directory that is removed afterwards. */
export async function runBrowserTests(): Promise<Count> {
  if (!existsSync(inRepository('tests', 'e2e'))) return { passed: 0, failed: 0, names: [] }
  const chromium = ensureChromium()
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-e2e-'))
  chmodSync(directory, 0o711)
  const guard = startGuard()
  guard.watchDirectory(directory)
  let stack: WholeStack | undefined
  try {
    stack = await startWholeStack(join(directory, 'data'))
    const reportFile = join(directory, 'playwright.json')
    const code = await runTool(['@playwright', 'test', 'cli.js'], ['test', '--reporter=list,json'], {
      CHROMIUM_PATH: chromium,
      DEMO_FILE: stack.demo_file,
      PLAYWRIGHT_JSON_OUTPUT_NAME: reportFile,
      // The port of the run's own stack, for tests that start a process with the stack's environment.
      ...stack.env,
    })
    return countBrowserTests(code, reportFile)
  } finally {
    await stack?.stop()
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  }
}
