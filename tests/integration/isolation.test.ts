// The isolation proof: every table the catalog knows x every verb x every kind of intruder. Nothing here is listed by hand
// except what is deliberately open within one tenant; a table, type or function nobody thought of is red.
import { readFile } from 'node:fs/promises'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PERMISSIONS } from '@/libs/auth/permissions'
import { SCOPED_TABLES } from '@/libs/db/scoped-tables'
import { runSupabaseCli } from '@/processes/dev-stack/migrations'
import { inRepository } from '@/processes/dev-stack/repository'
import { withClient } from '@/processes/dev-stack/roles'
import { insertStatement, makeRow, type Row, readTables, type Table } from '../support/catalog'
import { requireVariable } from '../support/variables'
import { createWorld } from '../support/world'

const { acme, globex } = await createWorld()

const superuser = new pg.Client({ connectionString: requireVariable('SUPERUSER_DATABASE_URL') })
await superuser.connect()
const tables = await readTables(superuser)
const owned = tables.filter((table) => table.key !== null)
const planted = new Map<string, Row>()

/** One row in each tenant for every table that has owners, equal but for the owner; so that a leak could not be told apart. */
beforeAll(async () => {
  await superuser.query('set session_replication_role = replica')
  const { rows: checks } = await superuser.query<{ statement: string }>(
    `select format('alter table %s drop constraint %I', conrelid::regclass, conname) as statement from pg_constraint
     where contype = 'c' and connamespace = 'public'::regnamespace and conislocal and coninhcount = 0`,
  )
  // Which rows are sensible is not the question here, whose they are is.
  for (const { statement } of checks) await superuser.query(statement)
  for (const table of owned) {
    if (table.partition) continue
    // Where a tenant has one row only, the world's own are there already.
    if (await isPlanted(table)) continue
    const row = makeRow(table, acme.id)
    planted.set(table.name, row)
    await superuser.query(insertStatement(table.name, row))
    await superuser.query(insertStatement(table.name, await twinOf(table, row)))
  }
  await superuser.query('set session_replication_role = origin')
})

afterAll(() => Promise.all([superuser, ...sessions.values()].map((client) => client.end())))

async function isPlanted(table: Table): Promise<boolean> {
  const { rows } = await superuser.query<{ single: boolean; filled: boolean }>(
    `select exists (select from pg_index where indrelid = $1::regclass and indisunique and indnkeyatts = 1
         and indkey[0] = (select attnum from pg_attribute where attrelid = indrelid and attname = $2)) as single,
       (select count(*) from public.${table.name} where ${table.key} = any($3)) >= 2 as filled`,
    [`public.${table.name}`, table.key, [acme.id, globex.id]],
  )
  return rows[0]?.single === true && rows[0].filled
}

/** The same row for the other tenant; only columns of indexes that are global by declaration get other values. */
async function twinOf(table: Table, row: Row): Promise<Row> {
  const { rows } = await superuser.query<{ column: string }>(
    `select a.attname as column from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey::int2[])
     where i.indrelid = $1::regclass and i.indisunique and obj_description(i.indexrelid, 'pg_class') like '%global-unique%'`,
    [`public.${table.name}`],
  )
  const other = makeRow(table, globex.id)
  const twin: Row = { ...row, tenant_id: globex.id }
  for (const { column } of rows) twin[column] = other[column]
  return twin
}

type Intruder = { name: string; url: string; tenant: string | null; permissions: readonly string[] }
const SERVER = requireVariable('DATABASE_URL')
const OPERATOR = requireVariable('OPERATOR_DATABASE_URL')
const intruders: Intruder[] = [
  { name: 'a session without context', url: SERVER, tenant: null, permissions: [] },
  { name: 'another tenant with every permission', url: SERVER, tenant: globex.id, permissions: PERMISSIONS },
]

const sessions = new Map<string, pg.Client>()

async function sessionOf(url: string): Promise<pg.Client> {
  const open = sessions.get(url)
  if (open) return open
  const client = new pg.Client({ connectionString: url })
  sessions.set(url, client)
  await client.connect()
  return client
}

/** Runs one statement as an intruder, in a transaction that is committed where it can be: an attack that works must show. */
async function attack(intruder: Intruder, statement: pg.QueryConfig): Promise<pg.QueryResult | string> {
  const { url, tenant, permissions } = intruder
  const client = await sessionOf(url)
  await client.query('begin')
  if (tenant) await client.query('select app.begin_tenant($1, 1, $2)', [tenant, { id: 'x', kind: 'user', permissions }])
  try {
    const result = await client.query(statement)
    await client.query('commit')
    return result
  } catch (error) {
    await client.query('rollback')
    return (error as { code?: string }).code ?? String(error)
  }
}

/** Everything a tenant has in a table, as one text. */
async function contentOf(table: Table, tenant: string): Promise<string> {
  const { rows } = await superuser.query<{ content: string | null }>(
    `select string_agg(t::text, chr(10) order by t::text) as content from public.${table.name} t where ${table.key} = $1`,
    [tenant],
  )
  return rows[0]?.content ?? ''
}

const DENIED = '42501'
const touched = (outcome: pg.QueryResult | string): string | number =>
  typeof outcome === 'string' ? outcome : (outcome.rowCount ?? 0)

/** A statement that would change rows of the victim, for every column of a table. */
function* updates({ name, key, columns }: Table, victim: string): Generator<pg.QueryConfig> {
  for (const { name: column, generated } of columns)
    if (!generated)
      yield { text: `update public.${name} set ${column} = ${column} where ${key} = $1`, values: [victim] }
}

describe('the catalog', () => {
  test('every table carries its class, and this proof knows how to treat it', () => {
    const unknown = tables.filter(
      (table) =>
        !table.class ||
        (table.class === 'tenant' && table.key !== 'tenant_id') ||
        (table.class === 'reference' && table.key),
    )
    expect(unknown.map(({ name }) => name)).toEqual([])
    expect(owned.length).toBeGreaterThan(20)
  })

  test('the list of scoped tables in the code is the list in the catalog', () => {
    const scoped = owned.filter(({ key, partition }) => key === 'tenant_id' && !partition).map(({ name }) => name)
    expect([...SCOPED_TABLES].sort()).toEqual(scoped)
  })

  test('every schema rule holds, in this database and in the template', async () => {
    const rules = await readFile(inRepository('supabase', 'checks', 'schema_rules.sql'), 'utf8')
    const here = new URL(requireVariable('OWNER_DATABASE_URL'))
    const template = new URL(here)
    template.pathname = '/template_holdfast'
    for (const url of [here, template]) {
      const { rows } = await withClient(url.href, (client) => client.query(rules))
      expect(rows).toEqual([])
    }
  })

  test('the schema rules can fail', async () => {
    const rules = await readFile(inRepository('supabase', 'checks', 'schema_rules.sql'), 'utf8')
    await withClient(requireVariable('OWNER_DATABASE_URL'), async (client) => {
      await client.query('begin')
      await client.query('create table public.forgotten (id serial, note text)')
      await client.query('grant select on public.forgotten to anon')
      const { rows } = await client.query<{ rule: string }>(rules)
      await client.query('rollback')
      expect(rows.map(({ rule }) => rule.slice(0, 3))).toEqual(
        expect.arrayContaining(['S01', 'S02', 'S04', 'R01', 'P01']),
      )
    })
  })

  test('the advisors of the Supabase CLI have nothing to say at level warn', async () => {
    const { code, output } = await runSupabaseCli([
      'db',
      'advisors',
      `--remote=${requireVariable('OWNER_DATABASE_URL')}`,
      '--level',
      'warn',
      '--fail-on',
      'warn',
      '--agent',
      'no',
    ])
    expect({ code, output }).toMatchObject({ code: 0, output: expect.stringContaining('No issues') })
  })

  test('the functions a tenant session may call that run with other rights are these', async () => {
    const { rows } = await superuser.query<{ name: string }>(
      `select p.proname as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
       where n.nspname in ('app', 'public') and p.prosecdef and p.prorettype <> 'trigger'::regtype
       and has_function_privilege('app_server', p.oid, 'execute') order by 1`,
    )
    // Each was read with one question: what does a session learn or change with it that is another tenant's?
    const reviewed: Record<string, string> = {
      accept_customer_login: 'needs 256 random bits and the address they were sent to',
      activate_pending_tenant: 'changes the current tenant alone',
      begin_tenant: 'opens the context; called by the kernel, its arguments come from proved credentials',
      check_slug: 'whether a public name is free',
      count_auth_attempt: 'counts, by hash; shows no more than how long to wait',
      count_old_keys: 'one number for the whole installation',
      delete_own_tenant: 'deletes the current tenant, for its owner',
      drop_usage_partitions: 'drops only months that every tenant sealed; no data',
      end_sessions: 'shuts out, of one user',
      find_access: 'what one user is to one tenant, before there is a context',
      find_api_key: 'needs the hash of 256 random bits',
      first_api_key_at: 'a time of the current tenant',
      list_email_tenants: 'ids, so that a failed sign-in is recorded where it matters',
      list_user_tenants: 'tenants of one user',
      log_audit: 'writes for the current tenant alone',
      make_usage_partitions: 'no data',
      newest_usage_month: 'a month of the whole installation',
      open_portal_session: 'makes a session good for less',
      portal_branding: 'what a portal shows to every visitor',
      portal_host: 'a name that is public',
      read_session: 'one answer about one session',
      recount_waits: 'yes or no, of the current tenant alone',
      register_tenant: 'makes a tenant',
      return_auth_attempts: 'counts, by hash',
      route_tenant: 'what the address of a tenant shows anyway',
      tenants_to_measure: 'ids, for the worker',
      tenants_to_reconcile: 'ids, for the worker',
      tenants_to_seal: 'ids, for the worker',
      tenants_with_expired_grants: 'ids, for the worker',
      tenants_with_expired_reservations: 'ids, for the worker',
      tenants_with_leftovers: 'ids, for the worker',
      tenants_with_old_keys: 'ids, for the worker',
      tenants_with_outbox: 'ids, for the worker',
      tenants_with_stale_windows: 'ids, for the worker',
      tenants_with_stripe_exports: 'ids, for the worker',
      touch_api_key: 'notes a time',
    }
    expect(rows.map(({ name }) => name)).toEqual(Object.keys(reviewed).sort())
  })
})

describe.each(owned.map((table) => [table.name, table] as const))('%s', (_, table) => {
  test('there is something to steal', async () => {
    if (table.partition) return
    expect(await contentOf(table, acme.id)).not.toBe('')
    expect(await contentOf(table, globex.id)).not.toBe('')
  })

  describe.each(intruders.map((intruder) => [intruder.name, intruder] as const))('%s', (__, intruder) => {
    test('reads nothing', async () => {
      const named = await attack(intruder, {
        text: `select * from public.${table.name} where ${table.key} = $1`,
        values: [acme.id],
      })
      expect([0, DENIED]).toContain(touched(named))
      const every = await attack(intruder, { text: `select ${table.key} as owner from public.${table.name}` })
      if (typeof every === 'string') expect(every).toBe(DENIED)
      else for (const { owner } of every.rows) expect(owner).toBe(intruder.tenant)
    })

    test('changes nothing, moves nothing, deletes nothing', async () => {
      const before = await contentOf(table, acme.id)
      for (const update of updates(table, acme.id)) {
        const outcome = touched(await attack(intruder, update))
        expect([0, DENIED], update.text).toContain(outcome)
      }
      const take = { text: `update public.${table.name} set ${table.key} = $1`, values: [globex.id] }
      expect(touched(await attack(intruder, take))).toBe(DENIED)
      const remove = { text: `delete from public.${table.name} where ${table.key} = $1`, values: [acme.id] }
      expect([0, DENIED]).toContain(touched(await attack(intruder, remove)))
      expect(touched(await attack(intruder, { text: `truncate public.${table.name}` }))).toBe(DENIED)
      expect(await contentOf(table, acme.id)).toBe(before)
    })

    test('plants nothing, not even through a conflict with a row that is there', async () => {
      const before = await contentOf(table, acme.id)
      const existing = planted.get(table.name) ?? makeRow(table, acme.id)
      for (const row of [makeRow(table, acme.id), existing])
        for (const suffix of ['', 'on conflict do nothing'])
          expect(touched(await attack(intruder, insertStatement(table.name, row, suffix)))).toBe(DENIED)
      expect(await contentOf(table, acme.id)).toBe(before)
    })
  })

  test('the registry login reaches no data of a tenant', async () => {
    if (table.class !== 'tenant') return
    const operator: Intruder = { name: '', url: OPERATOR, tenant: null, permissions: [] }
    const before = await contentOf(table, acme.id)
    for (const statement of [
      { text: `select * from public.${table.name}` },
      { text: `delete from public.${table.name}` },
      insertStatement(table.name, makeRow(table, acme.id)),
      ...updates(table, acme.id),
    ])
      expect(touched(await attack(operator, statement))).toBe(DENIED)
    expect(await contentOf(table, acme.id)).toBe(before)
  })
})

describe('within one tenant', () => {
  const somebody: Intruder = { name: 'nobody in particular', url: SERVER, tenant: acme.id, permissions: [] }
  const everybody: Intruder = { name: 'all rights', url: SERVER, tenant: acme.id, permissions: PERMISSIONS }

  // What is open to whoever is in the tenant at all, and why.
  const READABLE: Record<string, string> = {
    brandings: 'a portal shows it to visitors',
    tenant_states: 'state of the own tenant',
    tenants: 'name and state of the own tenant',
  }
  const INSERTABLE: Record<string, string> = {
    analytics_events: 'whatever is done may be counted; reading it needs permission',
    connector_events: 'every way out is recorded; reading it needs permission',
    outbox: 'every act may have something to tell; only the worker reads it',
  }

  const own = owned.filter(({ partition }) => !partition)

  test.each(own.map((table) => [table.name, table] as const))(
    '%s: without permission nothing is read',
    async (name, table) => {
      const outcome = await attack(somebody, { text: `select * from public.${table.name}` })
      if (!table.may_select) expect(outcome).toBe(DENIED)
      else if (name in READABLE) expect(touched(outcome)).toBeGreaterThan(0)
      else expect(touched(outcome)).toBe(0)
    },
  )

  test.each(own.map((table) => [table.name, table] as const))('%s: with permission it is', async (_, table) => {
    const outcome = await attack(everybody, { text: `select * from public.${table.name}` })
    if (!table.may_select) expect(outcome).toBe(DENIED)
    else expect(touched(outcome)).toBeGreaterThan(0)
  })

  test.each(own.map((table) => [table.name, table] as const))(
    '%s: without permission nothing is changed',
    async (name, table) => {
      const before = await contentOf(table, acme.id)
      for (const update of updates(table, acme.id))
        expect([0, DENIED]).toContain(touched(await attack(somebody, update)))
      const remove = { text: `delete from public.${table.name} where ${table.key} = $1`, values: [acme.id] }
      expect([0, DENIED]).toContain(touched(await attack(somebody, remove)))
      expect(await contentOf(table, acme.id)).toBe(before)
      const insert = touched(await attack(somebody, insertStatement(table.name, makeRow(table, acme.id))))
      expect(insert).toBe(name in INSERTABLE ? 1 : DENIED)
    },
  )
})

describe('partitions', () => {
  const partitions = tables.filter(({ partition }) => partition)

  test('there are some', () => expect(partitions.length).toBeGreaterThan(0))

  test.each(partitions.map((table) => [table.name, table] as const))(
    '%s is closed when addressed directly',
    async (_, table) => {
      const insider: Intruder = { name: 'own tenant', url: SERVER, tenant: acme.id, permissions: PERMISSIONS }
      for (const statement of [
        { text: `select * from public.${table.name}` },
        { text: `delete from public.${table.name}` },
        insertStatement(table.name, makeRow(table, acme.id)),
        ...updates(table, acme.id),
      ])
        expect(touched(await attack(insider, statement))).toBe(DENIED)
    },
  )
})

describe('tables of the platform', () => {
  const platform = tables.filter(({ key }) => key === null)
  const insider: Intruder = { name: 'own tenant', url: SERVER, tenant: acme.id, permissions: PERMISSIONS }

  test.each(platform.map((table) => [table.name, table] as const))('%s', async (name, table) => {
    const first = table.columns[0]?.name
    const read = touched(await attack(insider, { text: `select * from public.${name}` }))
    if (table.class === 'reference') expect(read).toBeGreaterThan(0)
    else expect(read).toBe(DENIED)
    for (const text of [
      `update public.${name} set ${first} = ${first}`,
      `delete from public.${name}`,
      `truncate public.${name}`,
    ])
      expect(touched(await attack(insider, { text }))).toBe(DENIED)
    expect(touched(await attack(insider, insertStatement(name, makeRow(table, acme.id))))).toBe(DENIED)
  })
})

describe('no oracle', () => {
  test('a foreign key into another tenant fails exactly like one into nothing', async () => {
    const { rows: keys } = await superuser.query<{ name: string; source: string; target: string; columns: string[] }>(
      `select k.conname as name, k.conrelid::regclass::text as source, k.confrelid::regclass::text as target,
         (select array_agg(a.attname::text order by a.attname) from pg_attribute a
          where a.attrelid = k.conrelid and a.attnum = any(k.conkey) and a.attname <> 'tenant_id') as columns
       from pg_constraint k where k.contype = 'f' and k.conparentid = 0 and k.connamespace = 'public'::regnamespace`,
    )
    const scoped = new Set(owned.filter(({ key }) => key === 'tenant_id').map(({ name }) => name))
    const pairs = keys.filter(
      ({ source, target, columns }) => scoped.has(source) && scoped.has(target) && columns?.length === 1,
    )
    expect(pairs.length).toBeGreaterThan(3)
    const tableOf = (name: string): Table => {
      const found = owned.find((each) => each.name === name)
      if (!found) throw new Error(`no table ${name}`)
      return found
    }
    for (const { name, source, target, columns } of pairs) {
      const theirs = makeRow(tableOf(target), acme.id)
      await superuser.query('begin')
      await superuser.query('set local session_replication_role = replica')
      await superuser.query(insertStatement(target, theirs))
      await superuser.query('set local session_replication_role = origin')
      const outcomes: unknown[] = []
      for (const id of [theirs.id, makeRow(tableOf(target), acme.id).id]) {
        await superuser.query('savepoint try')
        const row = { ...makeRow(tableOf(source), globex.id), [columns[0] ?? '']: id }
        outcomes.push(
          await superuser.query(insertStatement(source, row)).then(
            () => 'inserted',
            ({ code }: { code: string }) => code,
          ),
        )
        await superuser.query('rollback to savepoint try')
      }
      await superuser.query('rollback')
      expect([name, outcomes[0]]).toEqual([name, '23503'])
      expect(outcomes[1]).toEqual(outcomes[0])
    }
  })
})
