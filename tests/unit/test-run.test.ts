import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { whyUnusable } from '../../processes/dev-stack/chromium'
import { processIdentity } from '../../processes/dev-stack/process-identity'
import { inRepository } from '../../processes/dev-stack/repository'
import { countBrowserTests } from '../../processes/test-run/browser-tests'
import { countVitest } from '../../processes/test-run/vitest-tests'

const directory = mkdtempSync(join(tmpdir(), 'holdfast-unit-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

function reportOf(content: object): string {
  const path = join(directory, 'report.json')
  writeFileSync(path, JSON.stringify(content))
  return path
}

const file = (name: string, status: string, tests: [string, string][]) => ({
  name: inRepository('tests', 'unit', name),
  status,
  assertionResults: tests.map(([fullName, state]) => ({ fullName, status: state })),
})

test('tests that fail, that are left out and files that do not load are all named and counted', () => {
  const report = reportOf({
    numPassedTests: 1,
    testResults: [
      file('a.test.ts', 'failed', [
        ['one', 'passed'],
        ['two', 'failed'],
        ['three', 'skipped'],
      ]),
      file('b.test.ts', 'failed', []),
    ],
  })
  expect(countVitest(1, report)).toEqual({
    passed: 1,
    failed: 3,
    names: ['tests/unit/a.test.ts: two', 'tests/unit/a.test.ts: three', 'tests/unit/b.test.ts: could not be loaded'],
  })
})

test('an error outside of any test, or no report at all, is a failure with a name', () => {
  const fine = { numPassedTests: 1, testResults: [file('a.test.ts', 'passed', [['one', 'passed']])] }
  expect(countVitest(0, reportOf(fine))).toEqual({ passed: 1, failed: 0, names: [] })
  expect(countVitest(1, reportOf(fine))).toMatchObject({
    passed: 1,
    failed: 1,
    names: [expect.stringContaining('outside of the tests')],
  })
  for (const count of [countVitest(1, join(directory, 'none')), countBrowserTests(1, join(directory, 'none'))])
    expect(count).toMatchObject({ passed: 0, failed: 1, names: [expect.stringContaining('no report')] })
})

test('journeys that fail or did not run are named wherever they are nested, and so is what kept a file from loading', () => {
  const spec = (title: string, ok: boolean, status: string) => ({
    title,
    file: 'a.spec.ts',
    line: 7,
    ok,
    tests: [{ status }],
  })
  const report = reportOf({
    stats: { expected: 1, unexpected: 1, flaky: 0, skipped: 1 },
    suites: [
      {
        specs: [spec('fine', true, 'expected')],
        suites: [{ specs: [spec('bad', false, 'unexpected'), spec('left out', true, 'skipped')] }],
      },
    ],
    errors: [
      {
        message: '\u001b[31mError: Cannot find module\u001b[39m\nmore',
        location: { file: inRepository('x.ts'), line: 1 },
      },
    ],
  })
  expect(countBrowserTests(1, report)).toEqual({
    passed: 1,
    failed: 3,
    names: ['tests/e2e/a.spec.ts:7: bad', 'tests/e2e/a.spec.ts:7: left out', 'x.ts:1: Error: Cannot find module'],
  })
})

test('a browser that does not start is known before the journeys', () => {
  expect(whyUnusable(process.execPath)).toBeNull()
  expect(whyUnusable(join(directory, 'none'))).toContain('ENOENT')
})

test('a tool, and what it started, ends with the run that is ended from outside', async () => {
  const tool = join(directory, 'tool.mjs')
  writeFileSync(
    tool,
    `import { spawn } from 'node:child_process'
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
    process.stdout.write(process.pid + ' ' + child.pid)
    setInterval(() => {}, 1000)`,
  )
  const script = `
    import { runTool } from ${JSON.stringify(inRepository('processes', 'test-run', 'run-tool.ts'))}
    await runTool([${JSON.stringify(relative(inRepository('node_modules'), tool))}], [])`
  const run = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    cwd: inRepository(),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const pids = String((await once(run.stdout, 'data'))[0])
    .split(' ')
    .map(Number)
  expect(pids.map(processIdentity)).not.toContain(null)
  run.kill('SIGTERM')
  await expect.poll(() => pids.map(processIdentity), { timeout: 10_000 }).toEqual([null, null])
})
