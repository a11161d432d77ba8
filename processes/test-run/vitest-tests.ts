import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Count } from './count'
import { runTool } from './run-tool'

type Report = { numPassedTests: number; numTotalTests: number; numFailedTestSuites: number }

/** Unit and integration tests; a file that could not be loaded counts as a failed test. */
export async function runVitest(): Promise<Count> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-report-'))
  const reportFile = join(directory, 'vitest.json')
  try {
    const code = await runTool(
      ['vitest', 'vitest.mjs'],
      ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`],
    )
    const report: Report = JSON.parse(readFileSync(reportFile, 'utf8'))
    const failed = report.numTotalTests - report.numPassedTests
    return { passed: report.numPassedTests, failed: code === 0 ? failed : Math.max(1, failed) }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
