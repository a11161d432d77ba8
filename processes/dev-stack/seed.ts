import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { logFile } from './data-directory'
import { lastLines } from './postgres'
import { inRepository } from './repository'
import type { Settings } from './settings'
import { StackError } from './stack-error'

type Login = { email: string; password: string; role: string }

/** What the seed made, as it writes it to DATA_DIR/seed.json. */
export type SeedResult = {
  tenants: { id: string; slug: string; name: string; status: string; api_key: string; logins: Login[] }[]
  operators: Login[]
}

/** Runs the demo seed (idempotent) with the owner's login in its environment. */
export async function seedDemo(
  settings: Settings,
  env: NodeJS.ProcessEnv,
  ownerUrl: string,
  signal: AbortSignal,
): Promise<void> {
  const file = logFile(settings.data_dir, 'seed')
  const log = openSync(file, 'a')
  const code = await new Promise<number | null>((resolve, reject) => {
    const seed = spawn(process.execPath, ['--import', 'tsx', inRepository('processes', 'seed', 'main.ts')], {
      cwd: inRepository(),
      env: { ...env, OWNER_DATABASE_URL: ownerUrl },
      stdio: ['ignore', log, log],
      signal,
    })
    seed.once('error', reject)
    seed.once('exit', resolve)
    process.once('exit', () => seed.kill('SIGKILL'))
  })
  closeSync(log)
  if (code === 0) return
  throw new StackError(
    `The demo could not be seeded:\n${lastLines(file, 20)}`,
    `The whole log is ${file}. npm run reset starts afresh; SEED_DEMO=false npm start does without the demo.`,
  )
}

/** What the seed made, or nothing when it did not run. */
export function readSeed(dataDir: string): SeedResult {
  const path = join(dataDir, 'seed.json')
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : { tenants: [], operators: [] }
}
