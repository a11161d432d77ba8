// A tenant's context lives exactly as long as its transaction, whatever happens to the connection in between.
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { findApiKey } from '@/libs/auth/api-key'
import { findTokenUser } from '@/libs/auth/sessions'
import { findStanding, listUserTenants } from '@/libs/auth/standing'
import { closePools, serverPool } from '@/libs/db/pools'
import { tenantDb, tenantQuery } from '@/libs/db/tenant-db'
import { forgetEnv } from '@/libs/env'
import { newId } from '@/libs/ids'
import { log } from '@/libs/log'
import { findTenantRouting } from '@/libs/tenancy/resolve-tenant'
import { runInTenant, systemActor } from '@/libs/tenancy/tenant-context'
import { asSuperuser, createTenant, createWorld, tokenFor } from '../support/world'

process.env.DATABASE_POOL_SIZE = '1'
forgetEnv()
const { acme, globex } = await createWorld()
const initech = await createTenant('initech')
const tenants = [acme, globex, initech]

type Fate = 'commit' | 'throw' | 'sql error' | 'swallowed error' | 'cancel' | 'cut'
const FATES: readonly Fate[] = ['commit', 'commit', 'commit', 'throw', 'sql error', 'swallowed error', 'cancel', 'cut']

/** Cancels what a connection sleeps in, or cuts it; once it sleeps, because there is nothing to cancel before. */
async function interrupt(how: 'cancel' | 'cut', pid: number | undefined): Promise<void> {
  const end = how === 'cancel' ? 'pg_cancel_backend' : 'pg_terminate_backend'
  for (let ended = 0; ended === 0; ) {
    await sleep(2)
    const rows = await asSuperuser(
      `select ${end}(pid) from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'`,
      [pid],
    )
    ended = rows.length
  }
}

/** Ends the transaction of `tenant` in the given way; true when it must have been committed. */
async function live(tenantId: string, fate: Fate, id: string): Promise<boolean> {
  const work = runInTenant(tenantId, systemActor(), async () => {
    const [context] = await tenantQuery<{ tenant: string; pid: number }>(
      'select app.tenant_id() as tenant, pg_backend_pid() as pid',
    )
    expect(context?.tenant).toBe(tenantId)
    await tenantQuery('insert into customers (id, external_id) values ($1, $2)', [id, id])
    const seen = await tenantDb().selectFrom('customers').select('tenant_id').execute()
    for (const row of seen) expect(row.tenant_id).toBe(tenantId)
    if (fate === 'throw') throw new Error('thrown')
    if (fate === 'sql error') await tenantQuery('select 1 / 0')
    if (fate === 'swallowed error') await tenantQuery('select 1 / 0').catch(() => null)
    if (fate === 'cancel' || fate === 'cut') {
      await Promise.all([tenantQuery('select pg_sleep(20)'), interrupt(fate, context?.pid)])
    }
  })
  const outcome = await work.then(
    () => 'committed',
    (error: Error) => error.message,
  )
  expect(outcome === 'committed').toBe(fate === 'commit')
  return outcome === 'committed'
}

/** What the one connection remembers between two transactions. */
async function remembered(): Promise<unknown> {
  const { rows } = await serverPool().query(
    'select app.tenant_id() as tenant, app.actor() as actor, (select count(*) from customers)::int as visible, now() = statement_timestamp() as fresh',
  )
  return rows[0]
}

test('1,000 interleaved transactions of three tenants on one connection: nothing leaks, nothing is lost', async () => {
  log.level = 'fatal' // connections are cut on purpose
  const lives = fc
    .sample(fc.record({ tenant: fc.constantFrom(...tenants), fate: fc.constantFrom(...FATES) }), 1_000)
    .map((life) => ({ ...life, id: newId() }))
  const committed = new Map<string, string>()
  const queue = [...lives]
  const lane = async () => {
    for (let life = queue.pop(); life; life = queue.pop()) {
      if (await live(life.tenant.id, life.fate, life.id)) committed.set(life.id, life.tenant.id)
      if (life.fate !== 'commit')
        expect(await remembered()).toEqual({ tenant: null, actor: null, visible: 0, fresh: true })
    }
  }
  await Promise.all(Array.from({ length: 8 }, lane))
  expect(serverPool().totalCount).toBeLessThanOrEqual(1)
  const rows = await asSuperuser<{ id: string; tenant_id: string }>(
    'select id, tenant_id from customers where id = any($1)',
    [lives.map(({ id }) => id)],
  )
  expect(new Map(rows.map(({ id, tenant_id }) => [id, tenant_id]))).toEqual(committed)
  expect(committed.size).toBeGreaterThan(200)
})

test('a prepared statement keeps no answer of the tenant it was first planned for', async () => {
  // Seven times over, because from the sixth on Postgres may use one generic plan for all.
  for (let round = 0; round < 7; round += 1) {
    for (const tenant of tenants) {
      const rows = await runInTenant(tenant.id, systemActor(), () =>
        tenantQuery<{ tenant: string; mine: boolean }>(
          'select app.tenant_id() as tenant, bool_and(tenant_id = $1) as mine from customers',
          [tenant.id],
        ),
      )
      expect(rows).toEqual([{ tenant: tenant.id, mine: true }])
    }
  }
})

test('without prepared statements, as a transaction pooler asks for, the same holds', async () => {
  process.env.DATABASE_PREPARED_STATEMENTS = 'false'
  forgetEnv()
  await closePools()
  const [before] = await asSuperuser<{ n: string }>('select count(*) as n from customers')
  for (const tenant of [...tenants, ...tenants]) {
    const rows = await runInTenant(tenant.id, systemActor(), async () => {
      const own = await tenantDb().selectFrom('customers').select('tenant_id').execute()
      return new Set(own.map((row) => row.tenant_id))
    })
    expect(rows).toEqual(new Set([tenant.id]))
  }
  const { owner } = acme.users
  // Nor is anything prepared by what is asked before there is a tenant.
  expect(await findTenantRouting({ slug: 'nobody' })).toBeNull()
  expect(await findApiKey(acme.api_key, { cached: false })).toMatchObject({ tenant_id: acme.id })
  expect(await findTokenUser(await tokenFor(owner), 'app.localhost:3000')).toMatchObject({ id: owner.id })
  expect(await findStanding(owner.id, acme.id)).toMatchObject({ role: 'owner' })
  expect(await listUserTenants(owner.id)).toHaveLength(1)
  const { rows: prepared } = await serverPool().query('select name from pg_prepared_statements')
  expect(prepared).toEqual([])
  expect(await asSuperuser('select count(*) as n from customers')).toEqual([before])
  delete process.env.DATABASE_PREPARED_STATEMENTS
  forgetEnv()
})
