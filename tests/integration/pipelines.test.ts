// Statements of many tenants go down one connection together: each is still a transaction of its own tenant, and what one of
// them meets is its own matter.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import pg from 'pg'
import { expect, test } from 'vitest'
import { closePipelines, queryInPipeline } from '@/libs/db/pipelines'
import { sendStatement } from '@/libs/db/tenant-statement'
import { forgetEnv } from '@/libs/env'
import { log } from '@/libs/log'
import { requireVariable } from '../support/variables'
import { asSuperuser, createTenant, createWorld } from '../support/world'

const { acme, globex } = await createWorld()
const initech = await createTenant('initech')
const tenants = [acme, globex, initech]
const ACTOR = JSON.stringify({ id: 'pipeline', kind: 'api_key', permissions: ['usage:read'] })
const CHECK = "select app.check_usage($1, $2, $3, 'UTC', $4, $5, $6) as value"
const NAME = 'holdfast server pipeline'

const connections = () =>
  asSuperuser<{ pid: number }>(
    'select pid from pg_stat_activity where datname = current_database() and application_name = $1',
    [NAME],
  )

/** How many connections of a name wait for a lock. */
async function waiting(name: string): Promise<number> {
  const rows = await asSuperuser(
    "select 1 from pg_stat_activity where datname = current_database() and application_name = $1 and wait_event_type = 'Lock'",
    [name],
  )
  return rows.length
}

/** What a connection remembers after a transaction, and which one it is. */
async function look(): Promise<{ tenant: string | null; visible: number; pid: number }> {
  const { rows } = await queryInPipeline<{ tenant: string | null; visible: number; pid: number }>({
    text: 'select app.tenant_id() as tenant, (select count(*) from customers)::int as visible, pg_backend_pid() as pid',
  })
  const [row] = rows
  if (!row) throw new Error('A select without a table gives one row.')
  return row
}

async function open(tenantId: string): Promise<string | null> {
  const { rows } = await queryInPipeline<{ tenant: string | null }>({
    text: `select app.tenant_id() as tenant from (select app.begin_tenant($1, 1, $2)) one offset 0`,
    values: [tenantId, ACTOR],
  })
  return rows[0]?.tenant ?? null
}

test('what goes together is apart: tenants, failures and what is left behind', async () => {
  const asked = Array.from({ length: 300 }, (_, index) => {
    const tenant = tenants[index % 3] ?? acme
    if (index % 7 === 0) return queryInPipeline({ text: 'select 1 / 0' }).catch((error: pg.DatabaseError) => error.code)
    if (index % 5 === 0) return look().then(({ tenant: left, visible }) => [left, visible])
    return sendStatement<unknown[][]>(
      CHECK,
      tenant.id,
      [tenant.id, 1, ACTOR, ['none'], [tenant.customer.external_id], ['1']],
      'reads',
    )
  })
  const answers = await Promise.all(asked)
  for (const [index, answer] of answers.entries()) {
    if (index % 7 === 0) expect(answer).toBe('22012')
    else if (index % 5 === 0) expect(answer).toEqual([null, 0])
    else expect(answer).toEqual([expect.arrayContaining(['NOT_FOUND'])])
  }
  expect((await connections()).length).toBeLessThanOrEqual(4)
  expect(await Promise.all(tenants.map(({ id }) => open(id)))).toEqual(tenants.map(({ id }) => id))
})

test('who waits for a lock holds up nobody else, and has its answer once the lock is gone', async () => {
  const holder = new pg.Client(requireVariable('SUPERUSER_DATABASE_URL'))
  await holder.connect()
  await holder.query('begin')
  await holder.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [acme.id])
  const done: string[] = []
  const ask = (tenant: typeof acme) =>
    sendStatement(CHECK, tenant.id, [tenant.id, 1, ACTOR, ['none'], ['nobody'], ['1']], 'reads').then(() =>
      done.push(tenant.slug),
    )
  const blocked = Array.from({ length: 20 }, () => ask(acme))
  await Promise.all(Array.from({ length: 40 }, () => ask(globex)))
  // Not one of those that wait has a connection that the others share, and two of the pool is all they have together.
  await expect.poll(() => waiting('holdfast server pipeline')).toBe(0)
  expect(await waiting('holdfast server')).toBe(2)
  expect(new Set(done)).toEqual(new Set(['globex']))
  await holder.query('commit')
  await holder.end()
  await Promise.all(blocked)
  expect(done.filter((slug) => slug === 'acme')).toHaveLength(20)
})

test('what takes long after all has its answer, and those behind it do not wait for that', async () => {
  const done: string[] = []
  // Five statements for four connections that are opened for them: one goes behind the slow one.
  await closePipelines()
  const slow = sendStatement<string>("select 'slow' as value from pg_sleep(3)", acme.id, [], 'reads')
  const behind = Array.from({ length: 4 }, () => look().then(() => done.push('behind')))
  await Promise.all([slow.then((value) => done.push(value)), ...behind])
  expect(done).toEqual(['behind', 'behind', 'behind', 'behind', 'slow'])
})

test('a connection that is cut fails what was on it; the next statement has another', async () => {
  log.level = 'fatal'
  const before = await look()
  await queryInPipeline({ text: 'set statement_timeout = 0' })
  const hanging = queryInPipeline({ text: 'select pg_sleep(20)' })
  const behind = Array.from({ length: 12 }, () => look())
  const outcome = Promise.allSettled([hanging, ...behind])
  await expect
    .poll(() =>
      asSuperuser(
        "select 1 from pg_stat_activity where datname = current_database() and application_name = $1 and wait_event = 'PgSleep'",
        [NAME],
      ),
    )
    .toHaveLength(1)
  await asSuperuser(
    'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = $1',
    [NAME],
  )
  const [first, ...rest] = await outcome
  expect(first?.status).toBe('rejected')
  for (const result of rest) if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(Error)
  // What is asked before the end of a connection was heard of fails with it, and no more than that.
  const lookAround = () => Promise.all(Array.from({ length: 12 }, () => look()))
  await expect.poll(() => lookAround().catch(() => [])).toHaveLength(12)
  expect((await lookAround()).map(({ pid }) => pid)).not.toContain(before.pid)
})

const WRITE = "select pg_logical_emit_message(true, 'test', 'written')::text as value"

test('what is written together is answered once all of it is on the disk', async () => {
  const places = await Promise.all(
    Array.from({ length: 40 }, () => sendStatement<string>(WRITE, acme.id, [], 'writes')),
  )
  const [row] = await asSuperuser<{ behind: number }>(
    'select count(*)::int as behind from unnest($1::pg_lsn[]) w (place) where w.place >= pg_current_wal_flush_lsn()',
    [places],
  )
  expect(row?.behind).toBe(0)
  // As the server has it, for each of the connections.
  const kept = await Promise.all(
    Array.from({ length: 4 }, () =>
      queryInPipeline<{ kept: string }>({ text: "select current_setting('synchronous_commit') as kept" }),
    ),
  )
  expect(kept.flatMap(({ rows }) => rows.map((one) => one.kept))).toEqual(['off', 'off', 'off', 'off'])
  const [setting] = await asSuperuser<{ own: string }>("select current_setting('synchronous_commit') as own")
  expect(setting?.own).toBe('on')
})

test('what was done, but not known to be on the disk when its connection broke, is no answer', async () => {
  log.level = 'fatal'
  await closePipelines()
  const written = Array.from({ length: 4 }, () => sendStatement<string>(WRITE, acme.id, [], 'writes'))
  // The same connections, behind what is written and before it is flushed.
  const cut = Array.from({ length: 4 }, () =>
    queryInPipeline({ text: 'select pg_terminate_backend(pg_backend_pid())' }),
  )
  const outcome = await Promise.allSettled([...written, ...cut])
  const codes = outcome.slice(0, 4).map((result) => (result.status === 'rejected' ? result.reason.code : result.value))
  expect(codes).toEqual(['08007', '08007', '08007', '08007'])
})

test('behind a pooler, which may drop the time limits of a connection, each has one of its own', async () => {
  process.env.DATABASE_PREPARED_STATEMENTS = 'false'
  forgetEnv()
  await closePipelines()
  const names = Array.from({ length: 3 }, () =>
    sendStatement<string>("select current_setting('application_name') as value", acme.id, [], 'reads'),
  )
  expect(new Set(await Promise.all(names))).toEqual(new Set(['holdfast server']))
  delete process.env.DATABASE_PREPARED_STATEMENTS
  forgetEnv()
})

test('a pooler is handed no connection on which a commit would not wait for the disk', async () => {
  // Introduces each connection as another process, as poolers do.
  const own = requireVariable('DATABASE_URL')
  const { hostname, port } = new URL(own)
  const pooler = createServer((socket) => {
    const server = connect(Number(port), hostname)
    server.on('data', (bytes: Buffer) => {
      const at = bytes.indexOf(Buffer.from([0x4b, 0, 0, 0, 12]))
      if (at >= 0) bytes.writeInt32BE(bytes.readInt32BE(at + 5) + 1, at + 5)
      socket.write(bytes)
    })
    socket.pipe(server)
    for (const end of [socket, server]) end.on('error', () => socket.destroy()).on('close', () => server.destroy())
  })
  pooler.listen(0, '127.0.0.1')
  await once(pooler, 'listening')
  process.env.DATABASE_URL = own.replace(`:${port}/`, `:${(pooler.address() as AddressInfo).port}/`)
  forgetEnv()
  await closePipelines()
  try {
    await sendStatement<string>(WRITE, acme.id, [], 'writes')
    const { rows } = await queryInPipeline<{ kept: string }>({
      text: "select current_setting('synchronous_commit') as kept",
    })
    expect(rows).toEqual([{ kept: 'on' }])
  } finally {
    await closePipelines()
    process.env.DATABASE_URL = own
    forgetEnv()
    pooler.close()
  }
})

test('closing waits for the answers and leaves no connection', async () => {
  const asked = Array.from({ length: 20 }, () => look())
  await asked[0]
  const answers = Promise.all(asked)
  await closePipelines()
  expect(await answers).toHaveLength(20)
  await expect.poll(connections).toEqual([])
})
