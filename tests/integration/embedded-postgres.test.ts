import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startGuard } from '../../processes/dev-stack/guard'
import { findFreePort } from '../../processes/dev-stack/ports'
import { type EmbeddedPostgres, startPostgres } from '../../processes/dev-stack/postgres'
import { processIdentity } from '../../processes/dev-stack/process-identity'
import { inRepository } from '../../processes/dev-stack/repository'
import { withClient } from '../../processes/dev-stack/roles'

const guard = startGuard()
let directory = ''
let postgres: EmbeddedPostgres

async function start(stopPatience?: number): Promise<EmbeddedPostgres> {
  return startPostgres({
    directory: join(directory, 'postgres'),
    port: await findFreePort(),
    superuser_password: 'only-for-this-test',
    log_file: join(directory, 'postgres.log'),
    settings: { shared_buffers: '16MB', max_connections: '20' },
    stop_patience_ms: stopPatience,
    onSpawn: (pid) => guard.watchProcess(pid, 'SIGQUIT'),
  })
}

const countRows = (url: string) =>
  withClient(url, async (client) => (await client.query('select count(*)::int as n from kept')).rows[0].n)

/** Process ids of the guards that a process has. */
const guardsOf = (parent: number) =>
  spawnSync('ps', ['-eo', 'pid=,ppid=,stat=,args='], { encoding: 'utf8' })
    .stdout.split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(
      ([, ppid, stat = 'Z', ...args]) =>
        Number(ppid) === parent && stat[0] !== 'Z' && /guard-process/.test(args.join(' ')),
    )
    .map(([pid]) => Number(pid))

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-postgres-'))
  guard.watchDirectory(directory)
  chmodSync(directory, 0o711)
  postgres = await start()
})
afterAll(async () => {
  await postgres.stop()
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
})

test('what was committed is there after a kill', async () => {
  await withClient(postgres.superuserUrl(), (client) =>
    client.query('create table kept as select generate_series(1, 100)'),
  )
  await postgres.kill()
  await postgres.start()
  expect(await countRows(postgres.superuserUrl())).toBe(100)
})

test('told by somebody else to stop, it does not wait for connections that stay', async () => {
  const ended = new Promise<string>((resolve) => postgres.onUnexpectedExit(resolve))
  await withClient(postgres.superuserUrl(), async () => {
    process.kill(postgres.pid(), 'SIGTERM')
    expect(await ended).toBe('exit code 0')
  })
  await postgres.start()
  expect(await countRows(postgres.superuserUrl())).toBe(100)
})

test('an error is in its log, what somebody sent is not', async () => {
  const told = await withClient(postgres.superuserUrl(), async (client) => {
    await client.query('create table named (name text primary key); insert into named values ($$a person$$)')
    return client
      .query('insert into named values ($1)', ['a person'])
      .catch((error: { detail?: string }) => error.detail)
  })
  expect(told).toBe('Key (name)=(a person) already exists.')
  const log = readFileSync(join(directory, 'postgres.log'), 'utf8')
  expect(log).toContain('duplicate key value violates unique constraint')
  expect(log).not.toContain('(a person)')
})

test('one that is stopped while it starts again ends too, and starts once more', async () => {
  await postgres.kill()
  const starting = postgres.start().then(
    () => 'started',
    () => 'stopped',
  )
  await sleep(30)
  const pid = postgres.pid()
  await postgres.stop()
  expect(['started', 'stopped']).toContain(await starting)
  expect(processIdentity(pid)).toBeNull()
  await postgres.start()
  expect(await countRows(postgres.superuserUrl())).toBe(100)
})

test('one that does not come to its end when it is stopped is ended, and nothing is lost', {
  timeout: 30_000,
}, async () => {
  await postgres.stop()
  postgres = await start(300)
  const pid = postgres.pid()
  process.kill(pid, 'SIGSTOP')
  await postgres.stop()
  expect(processIdentity(pid)).toBeNull()
  postgres = await start()
  expect(await countRows(postgres.superuserUrl())).toBe(100)
})

test('a postmaster that an earlier run left behind is stopped first, and nothing is lost', async () => {
  const leftover = postgres.pid()
  postgres = await start()
  expect(processIdentity(leftover)).toBeNull()
  expect(await countRows(postgres.superuserUrl())).toBe(100)
})

test('a cluster that was left half made is made anew', async () => {
  await postgres.stop()
  rmSync(join(directory, 'postgres', 'initialised'))
  rmSync(join(directory, 'postgres', 'data', 'global'), { recursive: true })
  postgres = await start()
  await expect(countRows(postgres.superuserUrl())).rejects.toMatchObject({ code: '42P01' })
})

test.each([
  ['', false],
  [', not even when its guard was killed before', true],
])('a process that is killed leaves neither its children nor its directories behind%s', async (_, guardless) => {
  const left = mkdtempSync(join(tmpdir(), 'holdfast-left-'))
  const script = `
    import { spawn, spawnSync } from 'node:child_process'
    import { startGuard } from ${JSON.stringify(inRepository('processes', 'dev-stack', 'guard.ts'))}
    const guard = startGuard()
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true, stdio: 'ignore' })
    guard.watchProcess(child.pid, 'SIGTERM')
    guard.watchDirectory(${JSON.stringify(left)})
    process.stdout.write(String(child.pid))
    setInterval(() => {}, 1000)
  `
  const parent = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    cwd: inRepository(),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const child = await new Promise<number>((resolve) => parent.stdout.once('data', (pid) => resolve(Number(pid))))
  expect(processIdentity(child)).not.toBeNull()
  await sleep(200)
  if (guardless) {
    const [guard = 0] = guardsOf(parent.pid ?? 0)
    process.kill(guard, 'SIGKILL')
    for (let waited = 0; waited < 5_000 && [guard, undefined].includes(guardsOf(parent.pid ?? 0)[0]); waited += 50)
      await sleep(50)
    await sleep(200)
  }
  parent.kill('SIGKILL')
  for (let waited = 0; waited < 10_000 && (processIdentity(child) !== null || existsSync(left)); waited += 50)
    await sleep(50)
  expect(processIdentity(child)).toBeNull()
  expect(existsSync(left)).toBe(false)
})

test('a process that is killed leaves no Postgres behind, also when it was started again', {
  timeout: 60_000,
}, async () => {
  const left = mkdtempSync(join(tmpdir(), 'holdfast-left-'))
  chmodSync(left, 0o711)
  const module = (name: string) => JSON.stringify(inRepository('processes', 'dev-stack', name))
  const script = `
    import { startGuard } from ${module('guard.ts')}
    import { startPostgres } from ${module('postgres.ts')}
    const guard = startGuard()
    guard.watchDirectory(${JSON.stringify(left)})
    const postgres = await startPostgres({
      directory: ${JSON.stringify(join(left, 'postgres'))},
      port: ${await findFreePort()},
      superuser_password: 'only-for-this-test',
      log_file: ${JSON.stringify(join(left, 'postgres.log'))},
      settings: { shared_buffers: '16MB', max_connections: '20' },
      onSpawn: (pid) => guard.watchProcess(pid, 'SIGQUIT'),
    })
    await postgres.kill()
    await postgres.start()
    process.stdout.write(String(postgres.pid()))
    setInterval(() => {}, 1000)
  `
  const parent = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    cwd: inRepository(),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const postmaster = await new Promise<number>((resolve) => parent.stdout.once('data', (pid) => resolve(Number(pid))))
  expect(processIdentity(postmaster)).not.toBeNull()
  parent.kill('SIGKILL')
  for (let waited = 0; waited < 20_000 && (processIdentity(postmaster) !== null || existsSync(left)); waited += 50)
    await sleep(50)
  expect(processIdentity(postmaster)).toBeNull()
  expect(existsSync(left)).toBe(false)
})
