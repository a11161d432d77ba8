import { spawn } from 'node:child_process'
import { childEnvironment } from '../dev-stack/child-environment'
import { type Guard, startGuard } from '../dev-stack/guard'
import { inRepository } from '../dev-stack/repository'

let guard: Guard | undefined

/**
 * Runs a tool of node_modules with the Node of the checkout; its output goes to this terminal. Resolves to the exit code. The tool
 * ends with this process, however that ends.
 */
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
      detached: process.platform !== 'win32', // a group of its own: what it starts ends with it
    })
    guard ??= startGuard()
    const { pid } = child
    if (pid) guard.watchProcess(pid, 'SIGTERM')
    child.once('error', reject)
    child.once('exit', (code) => {
      if (pid) guard?.release(pid)
      resolve(code ?? 1)
    })
  })
}
