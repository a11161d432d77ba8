import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureChromium } from '../dev-stack/chromium'
import { startGuard } from '../dev-stack/guard'
import { inRepository } from '../dev-stack/repository'
import type { Count } from './count'
import { runTool } from './run-tool'
import { startWholeStack, type WholeStack } from './whole-stack'

type Spec = { title: string; file: string; line: number; ok: boolean }
type Suite = { specs: Spec[]; suites?: Suite[] }
type Report = { stats: { expected: number; unexpected: number; flaky: number; skipped: number }; suites: Suite[] }

/** What did not pass, wherever it is nested. */
function namesOf({ specs, suites = [] }: Suite): string[] {
  const failed = specs.filter(({ ok }) => !ok).map(({ file, line, title }) => `${file}:${line}: ${title}`)
  return [...failed, ...suites.flatMap(namesOf)]
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
    const { stats, suites }: Report = JSON.parse(readFileSync(reportFile, 'utf8'))
    const failed = stats.unexpected + stats.skipped
    return {
      passed: stats.expected + stats.flaky,
      failed: code === 0 ? failed : Math.max(1, failed),
      names: suites.flatMap(namesOf),
    }
  } finally {
    await stack?.stop()
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  }
}
