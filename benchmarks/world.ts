import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { createKey, hashKey } from '@/libs/auth/api-key'
import { KEY_PERMISSIONS } from '@/libs/auth/permissions'
import { newId } from '@/libs/ids'
import { bundleProcess } from '@/processes/dev-stack/bundle'
import { childEnvironment } from '@/processes/dev-stack/child-environment'
import { startGuard } from '@/processes/dev-stack/guard'
import { applyMigrations } from '@/processes/dev-stack/migrations'
import { findFreePort } from '@/processes/dev-stack/ports'
import { connectionUrl, startPostgres } from '@/processes/dev-stack/postgres'
import { inRepository } from '@/processes/dev-stack/repository'
import { applyRoles, ensureProductDatabase } from '@/processes/dev-stack/roles'

export const METERS = ['api_calls', 'storage_bytes', 'projects'] as const

export type BenchTenant = { id: string; slug: string; owner: string; key: string; meters: string[] }
export type BenchWorld = {
  superuser: pg.Client
  superuser_url: string
  server_url: string
  environment: NodeJS.ProcessEnv
  tenant: BenchTenant
  customers: number
  /** Brings what earlier parts left behind to an end, vacuuming and writing back, so that no part pays for another. */
  settle: () => Promise<void>
  stop: () => Promise<void>
}

const secret = (): string => randomBytes(24).toString('base64url')

/** A cluster of its own with the settings of the product, migrated, with one tenant, its key, meters and customers. */
export async function createBenchWorld(customers: number): Promise<BenchWorld> {
  const guard = startGuard()
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-bench-'))
  chmodSync(directory, 0o711)
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
  })
  guard.watchProcess(postgres.pid(), 'SIGQUIT')
  await applyRoles(postgres.superuserUrl(), passwords)
  await ensureProductDatabase(postgres.superuserUrl, 'holdfast')
  await applyMigrations(connectionUrl('holdfast_owner', passwords.owner, port, 'holdfast'))
  const serverUrl = connectionUrl('app_server', passwords.server, port, 'holdfast')
  const superuser = new pg.Client({ connectionString: postgres.superuserUrl('holdfast') })
  await superuser.connect()
  const tenant = await createBenchTenant(superuser, 'bench', customers)
  await superuser.query('analyze')
  return {
    superuser,
    superuser_url: postgres.superuserUrl('holdfast'),
    server_url: serverUrl,
    environment: childEnvironment({
      NODE_ENV: 'production',
      DATABASE_URL: serverUrl,
      OPERATOR_DATABASE_URL: connectionUrl('app_operator', passwords.operator, port, 'holdfast'),
      SUPABASE_URL: 'http://127.0.0.1:9',
      SUPABASE_PUBLISHABLE_KEY: 'none',
      SUPABASE_JWT_SECRET: secret(),
      ROOT_DOMAIN: 'localhost:3000',
      DATA_DIR: directory,
      MAIL_DIR: join(directory, 'mail'),
    }),
    tenant,
    customers,
    settle: async () => {
      await superuser.query('vacuum analyze')
      await superuser.query('checkpoint')
    },
    stop: async () => {
      await superuser.end()
      await postgres.stop()
      rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

/** A tenant with a key, three meters, a soft cap that is far away, and customers. */
export async function createBenchTenant(superuser: pg.Client, slug: string, customers: number): Promise<BenchTenant> {
  const id = newId()
  const owner = randomUUID()
  await superuser.query('select app.register_tenant($1, $2, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)', [
    id,
    slug,
    '',
    'premium',
    'UTC',
    {},
    owner,
    `owner@${slug}.test`,
    'Owner',
    null,
    { id: owner, kind: 'user', permissions: [], label: 'Owner' },
  ])
  await superuser.query("update tenants set status = 'active' where id = $1", [id])
  const key = await addKey(superuser, id, owner)
  const meters: string[] = []
  for (const meter of METERS) {
    meters.push(newId())
    await superuser.query('insert into meters (tenant_id, id, slug, name) values ($1, $2, $3, $3)', [
      id,
      meters.at(-1),
      meter,
    ])
  }
  const tier = newId()
  await superuser.query(
    "insert into tiers (tenant_id, id, slug, name, is_default) values ($1, $2, 'standard', 'Standard', true)",
    [id, tier],
  )
  await superuser.query(
    "insert into tier_caps (tenant_id, id, tier_id, meter_id, cap_limit, behaviour) values ($1, $2, $3, $4, 1e12, 'overflow')",
    [id, newId(), tier, meters[0]],
  )
  await superuser.query(
    `insert into customers (tenant_id, id, external_id)
     select $1, gen_random_uuid(), 'customer-' || n from generate_series(0, $2 - 1) n`,
    [id, customers],
  )
  return { id, slug, owner, key, meters }
}

/** One more key of a tenant, with every permission a key may have. */
export async function addKey(superuser: pg.Client, tenant: string, owner: string): Promise<string> {
  const key = createKey('live')
  await superuser.query(
    `insert into api_keys (tenant_id, id, name, prefix, last_four, key_hash, permissions, created_by)
     values ($1, $2, 'Benchmark', $3, $4, $5, $6, $7)`,
    [tenant, newId(), key.slice(0, 12), key.slice(-4), hashKey(key), KEY_PERMISSIONS, owner],
  )
  return key
}

export type Service = { url: string; process: ChildProcess; stop: () => Promise<void> }

/** Starts a process of the product (or of the benchmark) and waits until it answers on a port of its own. */
export async function startService(
  file: string,
  environment: NodeJS.ProcessEnv,
  portName: string,
  probe = '/healthz',
): Promise<Service> {
  const port = await findFreePort()
  // A process of the product as the stack starts it in production.
  const args = file.startsWith('processes/')
    ? bundleProcess(file.slice('processes/'.length))
    : ['--import', 'tsx', inRepository(file)]
  const child = spawn(process.execPath, args, {
    cwd: inRepository(),
    env: { ...environment, [portName]: String(port) },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const url = `http://127.0.0.1:${port}`
  for (let waited = 0; ; waited += 50) {
    const answered = await fetch(url + probe).then(
      (response) => response.status < 500,
      () => false,
    )
    if (answered) break
    if (child.exitCode !== null || waited > 60_000) throw new Error(`${file} did not start`)
    await sleep(50)
  }
  return {
    url,
    process: child,
    stop: async () => {
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      await gone
    },
  }
}
