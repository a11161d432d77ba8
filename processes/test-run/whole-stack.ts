import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { childEnvironment } from '../dev-stack/child-environment'
import { findFreePort } from '../dev-stack/ports'
import { inRepository } from '../dev-stack/repository'

export type WholeStack = { demo_file: string; env: Record<string, string>; stop: () => Promise<void> }

const PATIENCE_MS = 480_000

/**
 * What a shell or a `.env` has set is not for a stack of the tests, least of all a database of somebody's own: everything that
 * .env.example names is set to nothing, which keeps `.env` out too.
 */
export function plainEnvironment(): Record<string, string> {
  const example = readFileSync(inRepository('.env.example'), 'utf8')
  const names = [...example.matchAll(/^# ([A-Z][A-Z0-9_]*)=/gm)].map(([, name = '']) => name)
  return Object.fromEntries(names.filter((name) => name !== 'NODE_ENV').map((name) => [name, '']))
}

/** Starts everything that `npm start` starts, in production mode, on free ports. Resolves when demo.json is written. */
export async function startWholeStack(dataDir: string): Promise<WholeStack> {
  const env: Record<string, string> = { DATA_DIR: dataDir }
  const taken: number[] = []
  for (const variable of ['PORT', 'INGEST_PORT', 'SUPABASE_PORT', 'DATABASE_PORT']) {
    const port = await findFreePort(20_000 + Math.floor(Math.random() * 8_000), taken)
    taken.push(port)
    env[variable] = String(port)
  }
  const child = spawn(process.execPath, ['--import', 'tsx', inRepository('processes', 'dev-stack', 'main.ts')], {
    cwd: inRepository(),
    env: childEnvironment({ ...plainEnvironment(), ...env }),
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const demoFile = join(dataDir, 'demo.json')
  for (let waited = 0; !existsSync(demoFile); waited += 200) {
    if (child.exitCode !== null) throw new Error('The stack for the browser tests did not start; its words are above.')
    if (waited > PATIENCE_MS) {
      child.kill('SIGTERM')
      throw new Error('The stack for the browser tests did not become ready in time.')
    }
    await sleep(200)
  }
  return {
    demo_file: demoFile,
    env,
    stop: async () => {
      child.kill('SIGTERM')
      await ended
    },
  }
}
