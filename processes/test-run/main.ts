// Types and lint, unit and integration tests, then the browser journeys against a whole stack of their own. Every part runs
// even when an earlier one failed; the last line sums up.
//   npm test                       all of it
//   npm test -- checks vitest      some of it: checks, vitest, e2e
import { bold, explain, green, red } from '../dev-stack/progress'
import { buildAhead, runBrowserTests } from './browser-tests'
import { runChecks } from './checks'
import { type Count, firstLine } from './count'
import { runVitest } from './vitest-tests'

const PARTS: Record<string, () => Promise<Count>> = {
  checks: runChecks,
  vitest: runVitest,
  e2e: runBrowserTests,
}

const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !(name in PARTS))
if (unknown.length > 0) {
  process.stderr.write(`There is no part "${unknown.join('", "')}"; there are ${Object.keys(PARTS).join(', ')}.\n`)
  process.exit(1)
}

const wants = (name: string) => wanted.length === 0 || wanted.includes(name)
const total: Count = { passed: 0, failed: 0, names: [] }
let build: Promise<void> | undefined
for (const [name, run] of Object.entries(PARTS)) {
  if (!wants(name)) continue
  // Beside the tests, which leave room for it; not beside the checks, which write types to the same place.
  if (name === 'vitest' && wants('e2e')) build = buildAhead()
  if (name === 'e2e') await build
  process.stdout.write(`\n${bold(`== ${name}`)}\n`)
  const started = Date.now()
  const count = await run().catch((error: unknown): Count => {
    explain(error)
    return {
      passed: 0,
      failed: 1,
      names: [`${name}: ${firstLine(error instanceof Error ? error.message : String(error))}`],
    }
  })
  total.passed += count.passed
  total.failed += count.failed
  total.names.push(...count.names)
  const words = `${name}: ${count.passed} passed, ${count.failed} failed in ${Math.round((Date.now() - started) / 1_000)} s`
  process.stdout.write(`${count.failed > 0 ? red(words) : green(words)}\n`)
}
if (total.names.length > 0) process.stdout.write('\n')
for (const name of total.names) process.stdout.write(`${red('failed')} ${name}\n`)
process.stdout.write(`\n${total.passed} passed, ${total.failed} failed\n`)
process.exit(total.failed > 0 || total.passed === 0 ? 1 : 0)
