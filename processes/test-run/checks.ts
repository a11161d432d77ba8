import type { Count } from './count'
import { runTool } from './run-tool'

/** Types, lint and format: each counts as one test. */
export async function runChecks(): Promise<Count> {
  // The types of routes and of imported styles are Next's to write; a bare checkout has none yet.
  await runTool(['next', 'dist', 'bin', 'next'], ['typegen'], { NODE_ENV: 'production' })
  const tools = [
    { name: 'types', script: ['typescript', 'bin', 'tsc'], args: ['--noEmit'] },
    { name: 'lint and format', script: ['@biomejs', 'biome', 'bin', 'biome'], args: ['check', '--error-on-warnings'] },
  ]
  const names: string[] = []
  for (const { name, script, args } of tools) if ((await runTool(script, args)) !== 0) names.push(name)
  return { passed: tools.length - names.length, failed: names.length, names }
}
