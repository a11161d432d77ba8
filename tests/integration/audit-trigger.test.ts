// The record is written by the database itself, in the transaction it speaks of, and nobody changes it afterwards.
import { createHash } from 'node:crypto'
import type pg from 'pg'
import { describe, expect, test } from 'vitest'
import { PERMISSIONS } from '@/libs/auth/permissions'
import { tenantQuery } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'
import { type Actor, runInTenant } from '@/libs/tenancy/tenant-context'
import { withClient } from '@/processes/dev-stack/roles'
import { requireVariable } from '../support/variables'
import { asSuperuser, asSystem, createApiKey, createWorld } from '../support/world'

const { acme, operators } = await createWorld()

type Row = {
  id: string
  action: string
  outcome: string
  target_type: string
  target_id: string
  before: Record<string, unknown> | null
  after: Record<string, unknown> | null
}

/** Audit rows about one thing, oldest first. */
const recordOf = (targetId: string) =>
  asSuperuser<Row>(
    `select l.id, action, outcome, target_type, target_id, before, after
     from audit_logs l join audit_details d using (tenant_id, id) where target_id = $1 order by l.id`,
    [targetId],
  )

const actor: Actor = {
  id: acme.users.admin.id,
  kind: 'user',
  permissions: PERMISSIONS,
  label: acme.users.admin.email,
  request_id: 'request-1',
  ip: '203.0.113.9',
  user_agent: 'test/1',
  on_behalf_of: operators.support.id,
}
const asAdmin = (text: string, values: unknown[]) => runInTenant(acme.id, actor, () => tenantQuery(text, values))

async function newMeter(): Promise<string> {
  const id = newId()
  await asAdmin("insert into meters (id, slug, name) values ($1, $2, 'Calls')", [id, `m-${id.slice(-12)}`])
  return id
}

describe('verbs', () => {
  test('created, updated with nothing but what changed, archived, restored', async () => {
    const id = await newMeter()
    await asAdmin("update meters set name = 'Requests', unit = unit, updated_at = now() where id = $1", [id])
    await asAdmin('update meters set archived_at = now() where id = $1', [id])
    await asAdmin('update meters set archived_at = null where id = $1', [id])
    const rows = await recordOf(id)
    expect(rows.map(({ action }) => action)).toEqual([
      'meter.created',
      'meter.updated',
      'meter.archived',
      'meter.restored',
    ])
    expect(rows[0]).toMatchObject({ target_type: 'meter', outcome: 'success', before: null, after: { name: 'Calls' } })
    expect([rows[1]?.before, rows[1]?.after]).toEqual([{ name: 'Calls' }, { name: 'Requests' }])
    expect(Object.keys(rows[2]?.after ?? {})).toEqual(['archived_at'])
  })

  test('a change that changes nothing leaves no row', async () => {
    const id = await newMeter()
    await asAdmin('update meters set name = name, updated_at = now() where id = $1', [id])
    expect(await recordOf(id)).toHaveLength(1)
  })

  test('what is written as it was keeps the moment of its last change', async () => {
    const changed = async (table: string, id: string) =>
      String((await asSuperuser(`select updated_at::text as at from ${table} where id = $1`, [id]))[0]?.at)
    const [customer, tier] = [newId(), newId()]
    await asAdmin("insert into customers (id, external_id, name) values ($1, 'kept', 'Kept')", [customer])
    await asAdmin("insert into tiers (id, slug, name) values ($1, 'kept', 'Kept')", [tier])
    for (const [table, id] of [
      ['meters', await newMeter()],
      ['customers', customer],
      ['tiers', tier],
      ['tenants', acme.id],
    ] as const) {
      const before = await changed(table, id)
      await asAdmin(`update ${table} set name = name, updated_at = clock_timestamp() where id = $1`, [id])
      expect([table, await changed(table, id)]).toEqual([table, before])
      await asAdmin(`update ${table} set name = name || '!', updated_at = clock_timestamp() where id = $1`, [id])
      expect([table, await changed(table, id)]).not.toEqual([table, before])
    }
  })

  test('the life of a tenant: suspended, activated, deleted, restored, read-only', async () => {
    const before = (await recordOf(acme.id)).length
    for (const status of ['suspended', 'active', 'deleted', 'suspended', 'deleted', 'active', 'read_only', 'active'])
      await asSuperuser('update tenants set status = $2 where id = $1', [acme.id, status])
    const actions = (await recordOf(acme.id)).slice(before).map(({ action }) => action)
    expect(actions).toEqual([
      'tenant.suspended',
      'tenant.activated',
      'tenant.deleted',
      'tenant.restored',
      'tenant.deleted',
      'tenant.restored',
      'tenant.read_only',
      'tenant.activated',
    ])
  })

  test('a key is revoked, a membership deleted, and no secret ever gets into the record', async () => {
    const { id, key } = await createApiKey(acme, ['usage:write'])
    await asAdmin('update api_keys set revoked_at = now() where id = $1', [id])
    const rows = await recordOf(id)
    expect(rows.map(({ action }) => action)).toEqual(['api_key.created', 'api_key.revoked'])
    const hash = createHash('sha256').update(key).digest('hex')
    const [leak] = await asSuperuser<{ n: number }>(
      "select count(*)::int as n from audit_details where before::text || after::text ~ ($1 || '|' || $2)",
      [hash, key],
    )
    expect(leak?.n).toBe(0)
    expect(rows[0]?.after).not.toHaveProperty('key_hash')

    const membership = newId()
    await asAdmin("insert into memberships (id, user_id, email, role) values ($1, $2, 'x@y.test', 'member')", [
      membership,
      newId(),
    ])
    await asAdmin('delete from memberships where id = $1', [membership])
    const [, deleted] = await recordOf(membership)
    expect(deleted).toMatchObject({ action: 'membership.deleted', before: { email: 'x@y.test' }, after: null })
  })

  test('every table of a tenant whose rows mean something has the trigger', async () => {
    const without = await asSuperuser<{ name: string }>(
      `select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition
       and obj_description(c.oid, 'pg_class') ~ '^@(tenant|control)'
       and not exists (select from pg_trigger g join pg_proc p on p.oid = g.tgfoid
         where g.tgrelid = c.oid and p.proname = 'audit_row')
       order by 1`,
    )
    // Each with the reason why its changes are no acts of their own.
    const reasons: Record<string, string> = {
      alert_firings: 'a record of its own, append-only',
      analytics_events: 'a record of its own, append-only',
      audit_details: 'is the record',
      audit_logs: 'is the record',
      auth_attempts: 'counts by hash, of nobody',
      balance_entries: 'a record of its own, append-only',
      balances: 'follows from grants and usage',
      billing_lines: 'belongs to a billing period, whose closing is recorded',
      billing_periods: 'written once; its closing is recorded as an act',
      connector_events: 'a record of its own, append-only',
      databases: 'made by migrations',
      ended_sessions: 'signing out and a new password are recorded as acts',
      idempotency_keys: 'answers already given',
      operators: 'belongs to no tenant',
      outbox: 'messages of acts that are recorded',
      placements: 'written with the tenant, which is recorded',
      portal_sessions: 'signing in is recorded as an act',
      rate_limit_windows: 'running counts',
      reconciliation_drifts: 'a record of its own, append-only',
      reconciliations: 'a record of its own; a repair is recorded as an act',
      reservations: 'held and settled by usage calls, which are their own record',
      stripe_remainders: 'follow from usage events',
      stripe_deliveries: 'follow from usage events',
      tenant_metric_events: 'a record of its own, append-only',
      tenant_metrics: 'sum of what was measured',
      tenant_states: 'mirror of tenants.status, which is recorded',
      usage_counters: 'sum of usage events',
      usage_events: 'a record of its own, append-only',
      usage_group_totals: 'sum of usage events',
      usage_groups: 'sum of usage events',
      usage_quarters: 'sum of usage events',
      usage_rejections: 'a record of its own, append-only',
      usage_seals: 'a record of its own, append-only',
      usage_totals: 'sum of usage events',
      usage_uniques: 'sum of usage events',
    }
    expect(without.map(({ name }) => name).filter((name) => !(name in reasons))).toEqual([])
  })
})

describe('who and when', () => {
  test('a row names actor, on-behalf-of, address, agent and request', async () => {
    const id = await newMeter()
    const [row] = await asSuperuser(
      `select actor_kind, actor_id, on_behalf_of, request_id, actor_label, host(ip) as ip, user_agent,
         l.created_at between now() - interval '1 minute' and clock_timestamp() as recent
       from audit_logs l join audit_details d using (tenant_id, id) where target_id = $1`,
      [id],
    )
    expect(row).toEqual({
      actor_kind: 'user',
      actor_id: actor.id,
      on_behalf_of: actor.on_behalf_of,
      request_id: 'request-1',
      actor_label: actor.label,
      ip: '203.0.113.9',
      user_agent: 'test/1',
      recent: true,
    })
  })

  test('what is rolled back was never done: no row of it stays', async () => {
    const id = newId()
    const work = runInTenant(acme.id, actor, async () => {
      await tenantQuery("insert into meters (id, slug, name) values ($1, 'rolled-back', 'Gone')", [id])
      throw new Error('no')
    })
    await expect(work).rejects.toThrow('no')
    expect(await recordOf(id)).toEqual([])
  })

  test('log_audit writes for the current tenant alone, and not at all outside of one', async () => {
    const target = newId()
    const log = `select app.log_audit('access.denied', 'request', $1, 'denied', null, null, '{"path":"/x"}')`
    await asSystem(acme, () => tenantQuery(log, [target]))
    const [row] = await asSuperuser('select tenant_id, outcome from audit_logs where target_id = $1', [target])
    expect(row).toEqual({ tenant_id: acme.id, outcome: 'denied' })
    await withClient(requireVariable('DATABASE_URL'), (client) =>
      expect(client.query(log, [target])).rejects.toMatchObject({ code: '42501' }),
    )
  })

  test('the hash in the record is that of the details beside it', async () => {
    const [row] = await asSuperuser<{ n: number; wrong: number }>(
      `select count(*)::int as n, count(*) filter (where details_hash <> sha256(convert_to(
         jsonb_build_array(actor_label, ip, user_agent, before, after, metadata)::text, 'UTF8')))::int as wrong
       from audit_logs join audit_details using (tenant_id, id)`,
    )
    expect(row?.n).toBeGreaterThan(10)
    expect(row?.wrong).toBe(0)
  })
})

describe('append-only', () => {
  const CHANGES = [
    "update audit_logs set action = 'x.y'",
    "update audit_logs set outcome = 'failure' where tenant_id = app.tenant_id()",
    'delete from audit_logs',
    'truncate audit_logs cascade',
    "update audit_details set after = '{}'",
    'truncate audit_details',
  ]
  const digest = async () => {
    const [row] = await asSuperuser<{ digest: string }>(
      'select md5(string_agg(t::text, chr(10) order by t::text)) as digest from audit_logs t',
    )
    return row?.digest
  }

  async function attempt(url: string, statement: string, prepare: string[] = []): Promise<string> {
    return withClient(url, async (client: pg.Client) => {
      await client.query('begin')
      for (const step of prepare) await client.query(step)
      try {
        const { rowCount } = await client.query(statement)
        return rowCount ? `changed ${rowCount}` : 'nothing'
      } catch (error) {
        return (error as { code: string }).code
      } finally {
        await client.query('rollback')
      }
    })
  }

  test('the logins of the application lack the privilege', async () => {
    const start = await digest()
    for (const url of ['DATABASE_URL', 'OPERATOR_DATABASE_URL'])
      for (const statement of [...CHANGES, 'delete from audit_details'])
        expect([statement, await attempt(requireVariable(url), statement)]).toEqual([statement, '42501'])
    expect(await digest()).toBe(start)
  })

  test('the owner and even a superuser are refused by the guard, also while rows are replicated', async () => {
    const superuser = requireVariable('SUPERUSER_DATABASE_URL')
    const owner = requireVariable('OWNER_DATABASE_URL')
    const open = [
      'alter table audit_logs no force row level security',
      'alter table audit_details no force row level security',
    ]
    for (const statement of CHANGES) {
      if (statement.includes('tenant_id()')) continue
      expect([statement, await attempt(owner, statement, open)]).toEqual([statement, '42501'])
      expect([statement, await attempt(superuser, statement)]).toEqual([statement, '42501'])
      const replicating = await attempt(superuser, statement, ['set local session_replication_role = replica'])
      expect([statement, replicating]).toEqual([statement, '42501'])
    }
  })
})
