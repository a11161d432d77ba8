import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createClient } from '@supabase/supabase-js'
import { jwtVerify } from 'jose'
import { expect, test } from 'vitest'
import { processIdentity } from '../../processes/dev-stack/process-identity'
import { inRepository } from '../../processes/dev-stack/repository'
import { withClient } from '../../processes/dev-stack/roles'
import { createTestDatabase } from '../support/database'

function environment(name: string): string {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set`)
  return value
}

test('each login reaches the database as itself, and none may bypass row security', async () => {
  for (const [variable, role] of [
    ['DATABASE_URL', 'app_server'],
    ['OPERATOR_DATABASE_URL', 'app_operator'],
    ['OWNER_DATABASE_URL', 'holdfast_owner'],
  ] as const) {
    const { rows } = await withClient(environment(variable), (client) =>
      client.query(
        'select current_user as name, rolsuper or rolbypassrls or rolcreaterole as mighty from pg_roles where rolname = current_user',
      ),
    )
    expect(rows).toEqual([{ name: role, mighty: false }])
  }
})

test('two databases share nothing, and a dropped one is gone', async () => {
  const other = await createTestDatabase()
  await withClient(other.owner_url, (client) => client.query('create schema probe'))
  const { rows } = await withClient(environment('OWNER_DATABASE_URL'), (client) =>
    client.query("select to_regnamespace('probe') as schema"),
  )
  expect(rows).toEqual([{ schema: null }])
  await other.drop()
  await expect(withClient(other.owner_url, async () => true)).rejects.toMatchObject({ code: '3D000' })
})

test('the application logins cannot make schemas, tables or temporary tables', async () => {
  for (const variable of ['DATABASE_URL', 'OPERATOR_DATABASE_URL']) {
    await withClient(environment(variable), async (client) => {
      for (const statement of ['create schema mine', 'create table public.mine ()', 'create temporary table mine ()']) {
        await expect(client.query(statement)).rejects.toMatchObject({ code: '42501' })
      }
    })
  }
})

test('nobody but the three logins may connect', async () => {
  const url = new URL(environment('DATABASE_URL'))
  const { rows } = await withClient(environment('SUPERUSER_DATABASE_URL'), (client) =>
    client.query(
      `select rolname from pg_roles where not rolsuper and has_database_privilege(oid, $1, 'connect')
       and rolname not like 'pg\\_%' and rolcanlogin order by rolname`,
      [url.pathname.slice(1)],
    ),
  )
  expect(rows.map((row) => row.rolname)).toEqual(['app_operator', 'app_server', 'holdfast_owner'])
})

test('the Auth API signs people in with tokens that can be checked here', async () => {
  const supabase = createClient(environment('SUPABASE_URL'), environment('SUPABASE_PUBLISHABLE_KEY'), {
    auth: { persistSession: false, autoRefreshToken: false },
  })
  const email = `harness-${Date.now()}@example.test`
  const { data, error } = await supabase.auth.signUp({ email, password: 'correct-horse' })
  expect(error).toBeNull()
  const key = new TextEncoder().encode(environment('SUPABASE_JWT_SECRET'))
  const { payload } = await jwtVerify(data.session?.access_token ?? '', key, {
    algorithms: ['HS256'],
    audience: 'authenticated',
  })
  expect(payload).toMatchObject({ sub: data.user?.id, email })
})

test('an ingest process of the tests ends with whoever started it, also when that one is killed', async () => {
  const script = `
    import { startIngestProcess } from ${JSON.stringify(inRepository('tests', 'support', 'ingest-process.ts'))}
    const { process: ingest } = await startIngestProcess()
    process.stdout.write(String(ingest.pid))`
  const starter = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    cwd: inRepository(),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const pid = Number(String((await once(starter.stdout, 'data'))[0]))
  expect(processIdentity(pid)).not.toBeNull()
  starter.kill('SIGKILL')
  await expect.poll(() => processIdentity(pid)).toBeNull()
})
