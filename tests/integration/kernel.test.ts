// The kernel in SQL: who may enter a tenant in which state, with which rights, and what the record keeps of it.
import type pg from 'pg'
import { describe, expect, test } from 'vitest'
import { PERMISSIONS } from '@/libs/auth/permissions'
import { newId } from '@/libs/ids'
import { withClient } from '@/processes/dev-stack/roles'
import { requireVariable } from '../support/variables'
import { asSuperuser, createWorld } from '../support/world'

const { acme, globex, operators } = await createWorld()

type Actor = { kind: string; id?: string; permissions: readonly string[]; [more: string]: unknown }
const all = (kind: string): Actor => ({ kind, id: `${kind}-1`, permissions: PERMISSIONS })

const begin = (client: pg.Client, tenant: string, actor: Actor, epoch = 1) =>
  client.query('select app.begin_tenant($1, $2, $3)', [tenant, epoch, actor])

/** Runs `work` as app_server in a transaction that is rolled back. */
function asServer<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  return withClient(requireVariable('DATABASE_URL'), async (client) => {
    await client.query('begin')
    const result = await work(client)
    await client.query('rollback')
    return result
  })
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'ok'
  } catch (error) {
    return (error as { code?: string }).code ?? 'no code'
  }
}

const putState = (status: string, epoch = 1, fenced = false) =>
  asSuperuser('update tenant_states set status = $2, epoch = $3, fenced = $4 where tenant_id = $1', [
    globex.id,
    status,
    epoch,
    fenced,
  ])

test('a transaction stays with the tenant it began with, also behind a savepoint', async () => {
  await asServer(async (client) => {
    await begin(client, acme.id, all('user'))
    await begin(client, acme.id, all('user'))
    await client.query('savepoint one')
    expect(await codeOf(begin(client, globex.id, all('system')))).toBe('TM010')
    await client.query('rollback to one')
    const { rows } = await client.query<{ tenant: string }>('select app.tenant_id() as tenant')
    expect(rows).toEqual([{ tenant: acme.id }])
    await client.query('rollback; begin')
    await begin(client, globex.id, all('user'))
  })
})

describe('state of a tenant x entrance', () => {
  // The promise of LIF-1, written down once more, independently of app.entrance_access.
  const ENTRANCES = ['user', 'customer', 'api_key', 'job', 'operator', 'system'] as const
  const TABLE: Record<string, readonly string[]> = {
    pending: ['write', 'TM003', 'write', 'write', 'write', 'write'],
    active: ['write', 'write', 'write', 'write', 'write', 'write'],
    past_due: ['write', 'write', 'write', 'write', 'write', 'write'],
    read_only: ['read', 'read', 'read', 'read', 'write', 'write'],
    suspended: ['TM002', 'TM002', 'TM002', 'read', 'write', 'write'],
    deleted: ['TM004', 'TM004', 'TM004', 'TM004', 'write', 'write'],
  }

  test('the table names every state there is', async () => {
    const states = await asSuperuser<{ state: string }>('select unnest(enum_range(null::tenant_status))::text as state')
    expect(states.map(({ state }) => state)).toEqual(Object.keys(TABLE))
  })

  for (const [status, row] of Object.entries(TABLE)) {
    test(`${status}: ${row.join(' ')}`, async () => {
      await putState(status)
      const seen: string[] = []
      for (const entrance of ENTRANCES) {
        const outcome = await asServer(async (client) => {
          const code = await codeOf(begin(client, globex.id, all(entrance)))
          if (code !== 'ok') return code
          const { rows } = await client.query<{ p: string }>(
            "select jsonb_array_elements_text(app.actor() -> 'permissions') as p",
          )
          const held = rows.map(({ p }) => p)
          if (held.length === PERMISSIONS.length) return 'write'
          expect(held.sort()).toEqual(PERMISSIONS.filter((permission) => permission.endsWith(':read')).sort())
          return 'read'
        })
        seen.push(outcome)
      }
      await putState('active')
      expect(seen).toEqual(row)
    })
  }

  test('a read-only tenant refuses the write itself, not only the button', async () => {
    await putState('read_only')
    const result = await asServer(async (client) => {
      await begin(client, globex.id, all('user'))
      return codeOf(client.query("insert into customers (id, external_id) values ($1, 'late')", [newId()]))
    })
    await putState('active')
    expect(result).toBe('42501')
  })
})

describe('placement', () => {
  test('a caller with an old or a future epoch is told that its routing is stale', async () => {
    await putState('active', 7)
    expect(await asServer((client) => codeOf(begin(client, globex.id, all('user'), 6)))).toBe('TM001')
    expect(await asServer((client) => codeOf(begin(client, globex.id, all('user'), 8)))).toBe('TM001')
    expect(await asServer((client) => codeOf(begin(client, globex.id, all('user'), 7)))).toBe('ok')
    await putState('active')
  })

  test('nobody enters a fenced tenant', async () => {
    await putState('active', 1, true)
    for (const kind of ['user', 'operator', 'system', 'job'])
      expect(await asServer((client) => codeOf(begin(client, globex.id, all(kind))))).toBe('TM001')
    await putState('active')
  })

  test('a tenant that does not live here is TM004, and a state of one tenant says nothing about another', async () => {
    expect(await asServer((client) => codeOf(begin(client, newId(), all('system'))))).toBe('TM004')
    await putState('suspended')
    expect(await asServer((client) => codeOf(begin(client, acme.id, all('user'))))).toBe('ok')
    await putState('active')
  })

  test('the lock of a move waits for every open transaction of its tenant, and for no other', async () => {
    await withClient(requireVariable('SUPERUSER_DATABASE_URL'), async (mover) => {
      await mover.query("set lock_timeout = '150ms'")
      const fence = (tenant: string) =>
        codeOf(mover.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [tenant]))
      await asServer(async (client) => {
        await begin(client, globex.id, all('user'))
        expect(await fence(globex.id)).toBe('55P03')
        expect(await fence(acme.id)).toBe('ok')
      })
      expect(await fence(globex.id)).toBe('ok')
    })
  })
})

describe('context', () => {
  const context = (client: pg.Client) =>
    client
      .query<{ tenant: string | null; actor: unknown }>('select app.tenant_id() as tenant, app.actor() as actor')
      .then(({ rows }) => rows[0])

  test('without begin_tenant there is no tenant, no actor, no right and no row', async () => {
    await asServer(async (client) => {
      expect(await context(client)).toEqual({ tenant: null, actor: null })
      const { rows } = await client.query(
        "select app.can('customers:read') as can, (select count(*) from customers) as n",
      )
      expect(rows).toEqual([{ can: false, n: '0' }])
    })
  })

  test.each(['commit', 'rollback', 'error'])('it is gone from the connection after %s', async (ending) => {
    await withClient(requireVariable('DATABASE_URL'), async (client) => {
      await client.query('begin')
      await begin(client, acme.id, all('user'))
      expect((await context(client))?.tenant).toBe(acme.id)
      if (ending === 'error') await expect(client.query('select 1 / 0')).rejects.toMatchObject({ code: '22012' })
      await client.query(ending === 'commit' ? 'commit' : 'rollback')
      expect(await context(client)).toEqual({ tenant: null, actor: null })
    })
  })

  test('it does not outlive the savepoint it was made in', async () => {
    await asServer(async (client) => {
      await client.query('savepoint one')
      await begin(client, acme.id, all('user'))
      await client.query('rollback to savepoint one')
      expect(await context(client)).toEqual({ tenant: null, actor: null })
    })
  })

  test('called outside of a transaction it leaves nothing behind', async () => {
    await withClient(requireVariable('DATABASE_URL'), async (client) => {
      await begin(client, acme.id, all('user'))
      expect(await context(client)).toEqual({ tenant: null, actor: null })
    })
  })

  test('an actor travels whole, whatever its texts hold', async () => {
    const actor = { ...all('user'), label: `O'Hara \\ "x" $$ ; select 1 -- \u2028`, request_id: 'r-1', ip: '::1' }
    const seen = await asServer(async (client) => {
      await begin(client, acme.id, actor)
      return (await context(client))?.actor
    })
    expect(seen).toEqual(actor)
  })

  test('can() is exact: no prefix, no pattern, no other noun', async () => {
    const answers = await asServer(async (client) => {
      await begin(client, acme.id, { kind: 'user', id: 'u', permissions: ['meters:read'] })
      const { rows } = await client.query(
        `select array_agg(app.can(p) order by ord) as can
         from unnest(array['meters:read', 'meters:write', 'meters:%', 'meters', 'tiers:read', '', null]) with ordinality u (p, ord)`,
      )
      return rows[0].can
    })
    expect(answers).toEqual([true, false, false, false, false, false, false])
  })

  const ASKED = `select array_agg(p order by p) filter (where app.actor() -> 'permissions' ? p) as held,
      array_agg(p order by p) filter (where app.can(p)) as can,
      array_agg(p order by p) filter (where strpos((select current_setting('app.permissions', true)), ' ' || p || ' ') > 0) as setting,
      array_agg(p order by p) filter (where (select current_setting('app.permissions', true)) like any (array['% ' || p || ' %'])) as pattern
    from unnest($1::text[]) u (p)`

  test('what a policy reads, what app.can says and what the actor holds are one, at every entrance and in every state', async () => {
    const draws = [[], PERMISSIONS.filter((_, index) => index % 3 === 0), PERMISSIONS]
    for (const status of ['active', 'read_only'])
      for (const kind of ['user', 'customer', 'api_key', 'job', 'operator', 'system'])
        for (const permissions of draws) {
          await putState(status)
          const [row] = await asServer(async (client) => {
            await begin(client, globex.id, { kind, id: 'u', permissions })
            return (await client.query(ASKED, [PERMISSIONS])).rows
          })
          expect(row).toEqual({
            held: row.held,
            can: row.held,
            setting: row.held,
            pattern: row.held,
          })
          const reduced = status === 'read_only' && kind !== 'operator' && kind !== 'system'
          const expected = permissions.filter((permission) => !reduced || permission.endsWith(':read'))
          expect(row.held ?? []).toEqual([...expected].sort())
        }
    await putState('active')
  })

  test('the permissions of an operator are read the same way', async () => {
    await withClient(requireVariable('OPERATOR_DATABASE_URL'), async (client) => {
      await client.query('begin')
      const actor = { id: operators.super_admin.id, kind: 'user', permissions: ['plans:read', 'plans:write'] }
      await client.query('select app.begin_operator($1)', [actor])
      const { rows } = await client.query(ASKED, [['plans:read', 'plans:write', 'tenants:read']])
      for (const seen of Object.values(rows[0])) expect(seen).toEqual(actor.permissions)
      await client.query('rollback')
    })
  })

  test('no text of one permission reads as another', async () => {
    for (const permission of [
      'x usage:read y',
      'usage: read',
      'usage:,read',
      'x","usage:read',
      ']usage:read[',
      'usage:read ',
    ]) {
      const outcome = await asServer(async (client) => {
        const code = await codeOf(
          begin(client, acme.id, { kind: 'user', id: 'u', permissions: ['meters:read', permission] }),
        )
        if (code !== 'ok') return code
        return (await client.query(ASKED, [['meters:read', 'usage:read']])).rows[0].setting
      })
      expect([permission, outcome]).toEqual([permission, permission.includes('"') ? '22023' : ['meters:read']])
    }
  })

  test('a second context in the same transaction takes the place of the first, rights and customer included', async () => {
    const id = newId()
    const seen = await asServer(async (client) => {
      const look = async () =>
        (await client.query("select app.can('usage:read') as can, app.customer_id() as customer")).rows[0]
      await begin(client, acme.id, { kind: 'customer', id: 'u', permissions: ['usage:read'], customer_id: id })
      const first = await look()
      await begin(client, acme.id, { kind: 'user', id: 'u', permissions: [] })
      return [first, await look()]
    })
    expect(seen).toEqual([
      { can: true, customer: id },
      { can: false, customer: null },
    ])
  })

  test('an actor without permissions may do nothing, whatever shape its permissions have', async () => {
    for (const permissions of [undefined, null, [], {}, 'meters']) {
      const can = await asServer(async (client) => {
        await begin(client, acme.id, { kind: 'user', id: 'u', permissions: permissions as never })
        return (await client.query("select app.can('meters:read') as can")).rows[0].can
      })
      expect(can).toBe(false)
    }
  })
})

describe('functions', () => {
  test('no policy asks a function for a right: it reads the setting, which costs a tenth', async () => {
    const asking = await asSuperuser<{ name: string }>(
      `select policyname || ' on ' || tablename as name from pg_policies
       where schemaname = 'public' and coalesce(qual, '') || coalesce(with_check, '') ~ 'app\\.(can|customer_id)\\('`,
    )
    expect(asking.map(({ name }) => name)).toEqual([])
  })

  test('every definer belongs to the kernel, which cannot log in, own tables or bypass row security', async () => {
    const definers = await asSuperuser<{ name: string; owner: string }>(
      `select p.proname as name, r.rolname as owner from pg_proc p
       join pg_namespace n on n.oid = p.pronamespace join pg_roles r on r.oid = p.proowner
       where n.nspname in ('app', 'public') and p.prosecdef`,
    )
    expect(definers.length).toBeGreaterThan(8)
    // Only the owner of a partitioned table may add a partition to it, or drop one.
    const ofOwner = new Set(['make_usage_partitions', 'drop_usage_partitions'])
    expect(definers.filter(({ name, owner }) => owner !== 'app_kernel' && !ofOwner.has(name))).toEqual([])
    const [kernel] = await asSuperuser(
      `select rolcanlogin, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb,
         exists (select from pg_class where relowner = r.oid) as owns_tables from pg_roles r where rolname = 'app_kernel'`,
    )
    expect(new Set(Object.values(kernel ?? {}))).toEqual(new Set([false]))
  })

  test('the application cannot become the kernel, name an actor by itself or write the record directly', async () => {
    const attempts = [
      'set role app_kernel',
      'set role app_tenant',
      'set session authorization holdfast_owner',
      `select app.set_actor('{"kind":"system"}')`,
      `select app.record_audit('${acme.id}', 'a.b', 'x', null, 'success', null, null, null)`,
    ]
    for (const statement of attempts)
      expect([statement, await asServer((client) => codeOf(client.query(statement)))]).toEqual([statement, '42501'])
  })

  test('support operators get a transaction that cannot write, strangers none at all', async () => {
    await withClient(requireVariable('OPERATOR_DATABASE_URL'), async (client) => {
      const rename = () => codeOf(client.query("update tenants set description = 'x' where id = $1", [acme.id]))
      const as = async (id: string) => {
        await client.query('begin')
        return codeOf(client.query('select app.begin_operator($1)', [{ id, kind: 'user' }]))
      }
      expect(await as(operators.support.id)).toBe('ok')
      expect(await rename()).toBe('25006')
      await client.query('rollback')
      expect(await as(operators.super_admin.id)).toBe('ok')
      expect(await rename()).toBe('ok')
      await client.query('rollback')
      expect(await as(acme.users.owner.id)).toBe('TM005')
      await client.query('rollback')
    })
  })

  test('without an operator their login sees and changes nothing of the registry', async () => {
    await withClient(requireVariable('OPERATOR_DATABASE_URL'), async (client) => {
      const counts = async () => {
        const found: Record<string, number | string> = {}
        for (const table of ['tenants', 'memberships', 'domains', 'operators', 'placements', 'brandings']) {
          const { rowCount } = await client.query(`select from ${table}`)
          found[table] = rowCount ?? 0
        }
        return found
      }
      const nothing = { tenants: 0, memberships: 0, domains: 0, operators: 0, placements: 0, brandings: 0 }
      expect(await counts()).toEqual(nothing)
      expect((await client.query("update tenants set status = 'deleted'")).rowCount).toBe(0)
      for (const statement of [
        `insert into operators (user_id, email, role) values ('${newId()}', 'sly@example.test', 'super_admin')`,
        `insert into memberships (tenant_id, id, user_id, email, role) values ('${acme.id}', '${newId()}', '${newId()}', 'sly@example.test', 'owner')`,
        `insert into domains (tenant_id, id, hostname, status) values ('${acme.id}', '${newId()}', 'sly.example.test', 'verified')`,
      ])
        expect(await codeOf(client.query(statement))).toBe('42501')
      await client.query('begin')
      await client.query('select app.begin_operator($1)', [{ id: operators.super_admin.id, kind: 'user' }])
      expect((await counts()).tenants).toBeGreaterThan(1)
      await client.query('rollback')
      expect(await counts()).toEqual(nothing)
    })
  })

  test('a support operator cannot make its transaction writable again', async () => {
    await withClient(requireVariable('OPERATOR_DATABASE_URL'), async (client) => {
      await client.query('begin')
      await client.query('select app.begin_operator($1)', [{ id: operators.support.id, kind: 'user' }])
      expect(await codeOf(client.query('set transaction read write'))).toBe('25001')
      await client.query('rollback')
    })
  })

  test('the database looks whether who asked is still there', async () => {
    const { rows } = await asServer((client) => client.query('show client_connection_check_interval'))
    expect(rows).toEqual([{ client_connection_check_interval: '10s' }])
  })

  test('where a customer stands is looked up by index, whatever the statistics were when the plan was made', async () => {
    const functions = await asSuperuser<{ name: string }>(
      `select proname as name from pg_proc where pronamespace = 'app'::regnamespace
         and proconfig @> '{plan_cache_mode=force_generic_plan,enable_seqscan=off,enable_bitmapscan=off}' order by 1`,
    )
    expect(functions.map(({ name }) => name)).toEqual(['read_usage', 'record_one'])
  })

  test('no rows are looked up by a clock that moves meanwhile, which no index can answer', async () => {
    const found = await asSuperuser<{ name: string }>(
      `select p.oid::regprocedure::text as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
       where n.nspname = 'app' and p.prosrc ~* '\\m(where|and)\\s+[a-z_]+\\.[a-z_]+\\s*[<>]=?\\s*clock_timestamp'`,
    )
    expect(found).toEqual([])
  })

  test('UUIDs of version 7 sort by the time they were made, in SQL and in TypeScript', async () => {
    const [row] = await asSuperuser<{ ids: string[] }>(
      'select array_agg(id) as ids from (select app.uuid_v7() as id, pg_sleep(0.002) from generate_series(1, 40)) s',
    )
    const fromSql = row?.ids ?? []
    const fromCode = Array.from({ length: 40 }, () => newId())
    for (const ids of [fromSql, fromCode]) {
      expect([...ids].sort()).toEqual(ids)
      for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    }
    const age = Date.now() - Number.parseInt((fromSql[39] ?? '').replace('-', '').slice(0, 12), 16)
    expect(Math.abs(age)).toBeLessThan(60_000)
  })
})
