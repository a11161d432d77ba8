import { spawn } from 'node:child_process'
import { childEnvironment } from '../dev-stack/child-environment'
import { inRepository } from '../dev-stack/repository'

/** Runs a tool of node_modules with the Node of the checkout; its output goes to this terminal. Resolves to the exit code. */
export function runTool(
  script: string[],
  args: string[],
  env: Record<string, string | undefined> = {},
): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [inRepository('node_modules', ...script), ...args], {
      cwd: inRepository(),
      env: childEnvironment({ NODE_ENV: 'test', ...env }),
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    const end = () => child.kill('SIGTERM')
    process.once('exit', end)
    child.once('error', reject)
    child.once('exit', (code) => {
      process.removeListener('exit', end)
      resolve(code ?? 1)
    })
  })
}
