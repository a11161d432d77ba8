import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { lastLines } from './last-lines'
import { inRepository } from './repository'
import { StackError } from './stack-error'
import { runStepProcess, type StepProcess } from './step-process'

type Login = { email: string; password: string; role: string }

/** What the seed made, as it writes it to DATA_DIR/seed.json. */
export type SeedResult = {
  tenants: { id: string; slug: string; name: string; status: string; api_key: string; logins: Login[] }[]
  operators: Login[]
}

/** Runs the demo seed (idempotent) with the logins of both owners in its environment. */
export async function seedDemo(
  env: NodeJS.ProcessEnv,
  ownerUrl: string,
  authUrl: string | undefined,
  watch: Pick<StepProcess, 'log_file' | 'signal' | 'onPid'>,
): Promise<void> {
  const code = await runStepProcess({
    ...watch,
    args: ['--import', 'tsx', inRepository('processes', 'seed', 'main.ts')],
    env: { ...env, OWNER_DATABASE_URL: ownerUrl, SUPABASE_DATABASE_URL: authUrl },
    append: true,
  })
  if (code === 0) return
  throw new StackError(
    `The demo could not be seeded:\n${lastLines(watch.log_file, 20)}`,
    `The whole log is ${watch.log_file}. npm run reset starts afresh; SEED_DEMO=false npm start does without the demo.`,
  )
}

/** What the seed made, or nothing when it did not run. */
export function readSeed(dataDir: string): SeedResult {
  const path = join(dataDir, 'seed.json')
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : { tenants: [], operators: [] }
}
