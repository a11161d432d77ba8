import type { Count } from './count'
import { runTool } from './run-tool'

/** Types, lint and format: each counts as one test. */
export async function runChecks(): Promise<Count> {
  // The types of routes and of imported styles are Next's to write; a bare checkout has none yet.
  await runTool(['next', 'dist', 'bin', 'next'], ['typegen'], { NODE_ENV: 'production' })
  const codes = [
    await runTool(['typescript', 'bin', 'tsc'], ['--noEmit']),
    await runTool(['@biomejs', 'biome', 'bin', 'biome'], ['check', '--error-on-warnings']),
  ]
  const failed = codes.filter((code) => code !== 0).length
  return { passed: codes.length - failed, failed }
}
