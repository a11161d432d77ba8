import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { startGuard } from '../dev-stack/guard'
import { inRepository } from '../dev-stack/repository'
import { type Count, countOf } from './count'
import { runTool } from './run-tool'

type Report = {
  numPassedTests: number
  testResults: { name: string; status: string; assertionResults: { fullName: string; status: string }[] }[]
}

/** What did not pass; of a file that could not be loaded, the file. */
function namesOf({ testResults }: Report): string[] {
  return testResults.flatMap(({ name, status, assertionResults }) => {
    const file = relative(inRepository(), name)
    const failed = assertionResults
      .filter((test) => test.status !== 'passed')
      .map((test) => `${file}: ${test.fullName}`)
    return failed.length === 0 && status !== 'passed' ? [`${file}: could not be loaded`] : failed
  })
}

/** The tests of a run of Vitest that ended with `code` and wrote a report (or did not come to that). */
export function countVitest(code: number, reportFile: string): Count {
  if (!existsSync(reportFile)) return { passed: 0, failed: 1, names: [`vitest: ended with ${code} and no report`] }
  const report: Report = JSON.parse(readFileSync(reportFile, 'utf8'))
  return countOf('vitest', code, report.numPassedTests, namesOf(report))
}

/** Unit and integration tests; a file that could not be loaded counts as a failed test. */
export async function runVitest(): Promise<Count> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-report-'))
  const guard = startGuard()
  guard.watchDirectory(directory)
  const reportFile = join(directory, 'vitest.json')
  try {
    const code = await runTool(
      ['vitest', 'vitest.mjs'],
      ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`],
    )
    return countVitest(code, reportFile)
  } finally {
    rmSync(directory, { recursive: true, force: true })
    guard.release(directory)
  }
}
