import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, closeSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { childEnvironment } from '../../processes/dev-stack/child-environment'
import { type Guard, startGuard } from '../../processes/dev-stack/guard'
import { lastLines } from '../../processes/dev-stack/last-lines'
import { applyMigrations } from '../../processes/dev-stack/migrations'
import { findFreePort } from '../../processes/dev-stack/ports'
import { connectionUrl, type EmbeddedPostgres, startPostgres } from '../../processes/dev-stack/postgres'
import { inRepository } from '../../processes/dev-stack/repository'
import {
  applyRoles,
  ensureAuthDatabase,
  ensureProductDatabase,
  type RolePasswords,
} from '../../processes/dev-stack/roles'

/** Name of the migrated, empty database that every test database is a clone of. */
export const TEMPLATE_DATABASE = 'template_holdfast'

/** What test files need to know about the cluster; plain data, handed from the global set-up to the workers. */
export type TestCluster = {
  directory: string
  port: number
  superuser_password: string
  passwords: RolePasswords
  supabase: { url: string; publishable_key: string; secret_key: string; jwt_secret: string }
}

export type RunningTestCluster = { cluster: TestCluster; postgres: EmbeddedPostgres; stop: () => Promise<void> }

const SMALL_SETTINGS = { shared_buffers: '128MB', max_wal_size: '1GB', max_connections: '300' }

/**
 * An embedded Postgres in a temporary directory with roles and the migrated template, and the Auth API beside it, with
 * `settings` of Postgres besides those of the product. Nothing is left behind: `stop` removes all, and a guard process does
 * when this process is killed.
 */
export async function startTestCluster(settings: Record<string, string> = {}): Promise<RunningTestCluster> {
  const guard = startGuard()
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-test-'))
  chmodSync(directory, 0o711) // the account that Postgres runs under has to pass through
  guard.watchDirectory(directory)
  mkdirSync(join(directory, 'mail'))

  const passwords = { owner: secret(), server: secret(), operator: secret(), auth: secret() }
  const superuserPassword = secret()
  const port = await findFreePort()
  const postgres = await startPostgres({
    directory: join(directory, 'postgres'),
    port,
    superuser_password: superuserPassword,
    log_file: join(directory, 'postgres.log'),
    settings: { ...SMALL_SETTINGS, ...settings },
    onSpawn: (pid) => guard.watchProcess(pid, 'SIGQUIT'),
  })
  await applyRoles(postgres.superuserUrl(), passwords)
  await ensureProductDatabase(postgres.superuserUrl, TEMPLATE_DATABASE)
  await ensureAuthDatabase(postgres.superuserUrl, 'supabase')
  const [api] = await Promise.all([
    startAuthServer(guard, directory, connectionUrl('holdfast_auth', passwords.auth, port, 'supabase')),
    applyMigrations(connectionUrl('holdfast_owner', passwords.owner, port, TEMPLATE_DATABASE)),
  ])

  return {
    postgres,
    cluster: { directory, port, superuser_password: superuserPassword, passwords, supabase: api.supabase },
    stop: async () => {
      api.process.kill('SIGTERM')
      await postgres.stop()
      rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

async function startAuthServer(guard: Guard, directory: string, databaseUrl: string) {
  const port = await findFreePort()
  const supabase = {
    url: `http://127.0.0.1:${port}`,
    publishable_key: `sb_publishable_${secret()}`,
    secret_key: `sb_secret_${secret()}`,
    jwt_secret: secret(),
  }
  const logFile = join(directory, 'supabase-api.log')
  const log = openSync(logFile, 'a')
  const child: ChildProcess = spawn(
    process.execPath,
    ['--import', 'tsx', inRepository('processes', 'supabase-api.ts')],
    {
      cwd: inRepository(),
      stdio: ['ignore', log, log],
      env: childEnvironment({
        SUPABASE_DATABASE_URL: databaseUrl,
        SUPABASE_PORT: String(port),
        SUPABASE_JWT_SECRET: supabase.jwt_secret,
        SUPABASE_PUBLISHABLE_KEY: supabase.publishable_key,
        SUPABASE_SECRET_KEY: supabase.secret_key,
        AUTH_SITE_URL: 'http://app.localhost:3000/auth/confirm',
        AUTH_REDIRECT_URLS: 'http://*.localhost:3000/**',
        MAIL_DIR: join(directory, 'mail'),
      }),
    },
  )
  closeSync(log)
  if (child.pid) guard.watchProcess(child.pid, 'SIGTERM')
  for (let waited = 0; waited < 120_000; waited += 50) {
    if (child.exitCode !== null) break
    const healthy = await fetch(`${supabase.url}/auth/v1/health`, {
      headers: { apikey: supabase.publishable_key },
    }).then(
      (response) => response.ok,
      () => false,
    )
    if (healthy) return { process: child, supabase }
    await sleep(50)
  }
  throw new Error(`The Auth API did not start:\n${lastLines(logFile, 20)}`)
}

function secret(): string {
  return randomBytes(24).toString('base64url')
}
