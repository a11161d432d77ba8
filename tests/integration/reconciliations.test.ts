// Running totals against their events: no drift as a rule, and planted drift is named to the row, whatever table it is in. And months
// that are let go of once they are sealed.
import { beforeAll, describe, expect, test } from 'vitest'
import { POST as closeRoute } from '@/app/api/v1/billing-periods/route'
import { GET as driftsRoute } from '@/app/api/v1/reconciliations/[id]/drifts/route'
import { POST as repairRoute } from '@/app/api/v1/reconciliations/[id]/repair/route'
import { GET as oneRoute } from '@/app/api/v1/reconciliations/[id]/route'
import { GET as listRoute, POST as requestRoute } from '@/app/api/v1/reconciliations/route'
import { POST as correctRoute } from '@/app/api/v1/usage/correct/route'
import { POST as trackRoute } from '@/app/api/v1/usage/track/route'
import { dropUsagePartitions } from '@/features/reconciliations/jobs/drop-usage-partitions'
import {
  reconcileTenants,
  reconciliationSink,
  runReconciliation,
} from '@/features/reconciliations/jobs/reconcile-usage'
import { tenantQuery } from '@/libs/db/tenant-db'
import { forgetEnv } from '@/libs/env'
import { newId } from '@/libs/ids'
import { startOutboxWorker } from '@/libs/jobs/outbox-worker'
import {
  type Answer,
  asSuperuser,
  asSystem,
  call,
  createTenant,
  createWorld,
  type RequestOptions,
} from '../support/world'

const { acme, globex, stranger } = await createWorld()
const NEVER = new AbortController().signal
const DAY = 86_400_000

async function arrange(tenant: { id: string }): Promise<void> {
  await asSystem(tenant, async () => {
    for (const [slug, aggregation, property, groups] of [
      ['sum', 'SUM', null, ['region']],
      ['unique', 'UNIQUE_COUNT', 'device', []],
      ['max', 'MAX', null, []],
      ['latest', 'LATEST', null, []],
      ['level', 'WEIGHTED_SUM', null, []],
    ] as const) {
      await tenantQuery(
        `insert into meters (id, slug, name, unit, aggregation, allows_negative, value_property, group_by) values ($1, $2, 'Meter ' || $2::text, '', $3, true, $4, $5)`,
        [newId(), slug, aggregation, property, groups],
      )
    }
  })
}
const track = (body: unknown, as = acme.api_key): Promise<Answer> =>
  call(trackRoute, 'POST', '/api/v1/usage/track', { as, body })
const ask = (options: RequestOptions = { as: acme.api_key }) =>
  call(requestRoute, 'POST', '/api/v1/reconciliations', options)
const one = (id: string, options: RequestOptions = { as: acme.api_key }) =>
  call(oneRoute, 'GET', `/api/v1/reconciliations/${id}`, { ...options, params: { id } })
const drifts = (id: string, query = '') =>
  call(driftsRoute, 'GET', `/api/v1/reconciliations/${id}/drifts${query}`, { as: acme.api_key, params: { id } })
const repair = (id: string, options: RequestOptions = { as: acme.api_key }) =>
  call(repairRoute, 'POST', `/api/v1/reconciliations/${id}/repair`, { ...options, params: { id } })
async function run(tenant = acme): Promise<string> {
  const { body } = await ask({ as: tenant.api_key })
  await runReconciliation(tenant.id, body.id)
  return body.id
}

beforeAll(async () => {
  await arrange(acme)
  await track(
    ['sum', 'unique', 'max', 'latest', 'level'].flatMap((meter_id) =>
      [3, 8, 5].map((event_value, index) => ({
        meter_id,
        user_id: `user-${index % 2}`,
        event_value,
        event_id: `${meter_id}-${index}`,
        timestamp: Date.now() - index * 9 * DAY,
        properties: { region: 'eu', device: `d${index % 2}` },
      })),
    ),
  )
  await call(correctRoute, 'POST', '/api/v1/usage/correct', {
    as: acme.api_key,
    body: { action: 'cancel', event_id: 'max-1' },
  })
  await asSystem(acme, () =>
    tenantQuery(
      `select app.add_grant($1, 'UTC', now(), $2, c.id, m.id, 10, 1, now(), null, null, 0, 0, null)
       from customers c, meters m where c.tenant_id = $1 and m.tenant_id = $1 and c.external_id = 'user-0' and m.slug = 'sum'`,
      [acme.id, newId()],
    ),
  )
})

describe('who may', () => {
  test.each([
    ['nobody', { tenant: acme }, 401, 401],
    ['a stranger', { as: stranger, tenant: acme }, 404, 404],
    ['a member of another tenant', { as: globex.users.owner, tenant: acme }, 404, 404],
    ['a customer', { as: acme.users.customer, tenant: acme }, 403, 403],
    ['a compliance officer', { as: acme.users.compliance, tenant: acme }, 200, 403],
    ['a member', { as: acme.users.member, tenant: acme }, 200, 403],
    ['an admin', { as: acme.users.admin, tenant: acme }, 200, 202],
  ] as [string, RequestOptions, number, number][])('%s reads: %i, asks: %i', async (_who, options, reads, asks) => {
    expect((await call(listRoute, 'GET', '/api/v1/reconciliations', options)).status).toBe(reads)
    expect((await ask(options)).status).toBe(asks)
    expect((await repair(newId(), options)).status).toBe(asks === 202 ? 404 : asks)
  })
  test('a run of another tenant is not there', async () => {
    const { body } = await ask()
    expect((await one(body.id, { as: globex.api_key })).status).toBe(404)
    expect((await one('x')).status).toBe(404)
  })
})

describe('a run', () => {
  test('that is asked for is done by the worker, without drift', async () => {
    const { body } = await ask()
    const worker = startOutboxWorker({ sinks: [reconciliationSink], pollMs: 50 })
    try {
      await expect.poll(async () => (await one(body.id)).body.status, { timeout: 10_000 }).toBe('finished')
    } finally {
      await worker.stop()
    }
    expect((await one(body.id)).body).toMatchObject({
      requested_by: 'person',
      drifts: 0,
      events: 14,
      repaired_at: null,
      error: null,
    })
    expect((await one(body.id)).body.rows_checked).toBeGreaterThan(30)
    expect((await repair(body.id)).status).toBe(200)
    expect((await repair(body.id)).status).toBe(409)
  })

  test('finds what was planted, names the row, and repairs it', async () => {
    const planted = [
      `update usage_counters set used = used + 1 where tenant_id = $1 and period = 'day' and (meter_id, starts_on, customer_id) =
         (select meter_id, starts_on, customer_id from usage_counters where tenant_id = $1 and period = 'day' order by used desc limit 1)`,
      // An event without its counter.
      `delete from usage_counters where tenant_id = $1 and period = 'month' and meter_id = (select id from meters where tenant_id = $1 and slug = 'max')
         and events > 0`,
      // A counter without any event.
      `insert into usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events)
         select $1, 'day', m.id, '2026-01-01', c.id, 5, 1 from meters m, customers c where m.tenant_id = $1 and c.tenant_id = $1 and m.slug = 'sum'
           and c.external_id = 'user-1'`,
      `update usage_counters set last_at = last_at - interval '1 second' where tenant_id = $1 and period = 'month' and last_at is not null`,
      `update usage_counters set moment = moment + 1 where tenant_id = $1 and period = 'day' and moment is not null and customer_id =
         (select id from customers where tenant_id = $1 and external_id = 'user-1')`,
      `update usage_totals set events = events + 1 where tenant_id = $1 and meter_id = (select id from meters where tenant_id = $1 and slug = 'sum')
         and day = (select max(day) from usage_totals where tenant_id = $1)`,
      `update usage_quarters set used = 0 where tenant_id = $1 and meter_id = (select id from meters where tenant_id = $1 and slug = 'latest')
         and quarter = (select max(quarter) from usage_quarters where tenant_id = $1)`,
      `delete from usage_groups where tenant_id = $1 and day = (select max(day) from usage_groups where tenant_id = $1)`,
      `update usage_uniques set events = events + 1 where tenant_id = $1 and period = 'total' and (starts_on, value_hash) =
         (select starts_on, value_hash from usage_uniques where tenant_id = $1 and period = 'total' order by 1 limit 1)`,
      `insert into usage_uniques (tenant_id, meter_id, period, starts_on, customer_id, value_hash, events)
         select $1, m.id, 'day', current_date, c.id, gen_random_uuid(), 1 from meters m, customers c
         where m.tenant_id = $1 and c.tenant_id = $1 and m.slug = 'unique' and c.external_id = 'user-0'`,
      `update balances set used = used + 2 where tenant_id = $1`,
    ]
    for (const sql of planted) {
      await asSuperuser(sql, [acme.id])
      const id = await run()
      const found = await drifts(id)
      expect({ sql, count: (await one(id)).body.drifts }).toEqual({ sql, count: found.body.data.length })
      expect(found.body.data.length).toBeGreaterThan(0)
      const table = /(?:update|from|into) (\w+)/.exec(sql)?.[1]
      for (const row of found.body.data) {
        expect(row).toMatchObject({
          table_name: table,
          row_key: { meter: expect.any(String), meter_id: expect.any(String) },
          meter_name: `Meter ${row.row_key.meter}`,
        })
        expect(row.stored).not.toEqual(row.expected)
      }
      const repaired = await repair(id)
      expect(repaired).toMatchObject({ status: 200, body: { repaired: found.body.data.length } })
      const clean = await run()
      expect({ sql, rest: (await drifts(clean)).body.data }).toEqual({ sql, rest: [] })
    }
    const logged = await asSuperuser("select 1 from audit_logs where tenant_id = $1 and action = 'usage.repaired'", [
      acme.id,
    ])
    expect(logged).toHaveLength(planted.length + 1)
  })

  test('sees one moment while events arrive', async () => {
    let stop = false
    const writer = (async () => {
      for (let index = 0; !stop; index += 1)
        await track(
          Array.from({ length: 20 }, () => ({
            meter_id: ['sum', 'max', 'unique'][index % 3],
            user_id: `busy-${index % 7}`,
            event_value: index,
            properties: { device: index },
          })),
        )
    })()
    for (let round = 0; round < 5; round += 1) {
      const id = await run()
      expect((await drifts(id)).body.data).toEqual([])
    }
    stop = true
    await writer
  })

  test('is made by itself for tenants with new usage, once a day', async () => {
    await asSuperuser("update reconciliations set created_at = created_at - interval '2 days' where tenant_id = $1", [
      acme.id,
    ])
    expect((await reconcileTenants(NEVER)).tenants).toBe(1)
    expect((await reconcileTenants(NEVER)).tenants).toBe(0)
    const { body } = await call(listRoute, 'GET', '/api/v1/reconciliations?limit=1', { as: acme.api_key })
    expect(body.data).toMatchObject([{ requested_by: 'schedule', status: 'finished', drifts: 0 }])
    const next = await call(listRoute, 'GET', `/api/v1/reconciliations?limit=1&cursor=${body.next_cursor}`, {
      as: acme.api_key,
    })
    expect(next.body.data[0].id).not.toBe(body.data[0].id)
  })

  test('whose worker ended in the middle of it has failed, and another is done an hour later', async () => {
    const tenant = await createTenant('abandoned')
    await arrange(tenant)
    await track({ meter_id: 'sum', user_id: 'u', event_value: 1 }, tenant.api_key)
    const id = newId()
    const leave = (ago: string) =>
      asSuperuser(
        `insert into reconciliations (tenant_id, id, requested_by, status, created_at, started_at)
         values ($1, $2, 'schedule', 'running', now() - $3::interval, now() - $3::interval)
         on conflict (tenant_id, id) do update set created_at = excluded.created_at, started_at = excluded.started_at`,
        [tenant.id, id, ago],
      )
    await leave('59 minutes')
    expect((await reconcileTenants(NEVER)).tenants).toBe(0)
    await leave('61 minutes')
    expect((await reconcileTenants(NEVER)).tenants).toBe(1)
    const { body } = await call(listRoute, 'GET', '/api/v1/reconciliations', { as: tenant.api_key })
    expect(body.data).toMatchObject([
      { requested_by: 'schedule', status: 'finished', drifts: 0 },
      { id, status: 'failed', error: 'The worker ended before the run did.' },
    ])
  })
})

describe('retention', () => {
  const months = async (): Promise<string[]> =>
    (await asSuperuser<{ month: string }>('select month::text from app.usage_months()')).map(({ month }) => month)
  const monthsAgo = (count: number): string => {
    const now = new Date()
    return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - count, 1)).toISOString().slice(0, 10)
  }
  /** Events as if they had been received months ago, with all that was counted for them. */
  async function age(tenant: { id: string }, event: string, month: string): Promise<void> {
    const partition = `usage_events_${month.slice(0, 4)}${month.slice(5, 7)}`
    await asSuperuser(
      `create table if not exists public.${partition} partition of public.usage_events
         for values from ('${month}') to (('${month}'::date + interval '1 month')::date)`,
    ).catch((error: Error) => expect(error.message).toMatch(/already/))
    await asSuperuser(
      'update usage_events set received_at = $3::date + 14, received_month = $3::date, occurred_at = $3::date + 14 where tenant_id = $1 and event_id = $2',
      [tenant.id, event, month],
    )
  }
  async function keep(count: number): Promise<string[]> {
    process.env.USAGE_RETENTION_MONTHS = String(count)
    forgetEnv()
    try {
      return await dropUsagePartitions(NEVER)
    } finally {
      delete process.env.USAGE_RETENTION_MONTHS
      forgetEnv()
    }
  }

  test('keeps at least two months, and everything for 0', async () => {
    await expect(asSystem(acme, () => tenantQuery('select app.drop_usage_partitions(1)'))).rejects.toThrow(/two months/)
    await expect(keep(1)).rejects.toThrow(/at least 2/)
    expect(await keep(0)).toEqual([])
  })

  test('a month goes when its totals are sealed; the totals stay, and are compared no more', async () => {
    const tenant = await createTenant('old', {})
    await arrange(tenant)
    await track({ meter_id: 'sum', user_id: 'a', event_value: 4, event_id: 'old' }, tenant.api_key)
    await track({ meter_id: 'sum', user_id: 'a', event_value: 1, event_id: 'new' }, tenant.api_key)
    const month = monthsAgo(30)
    await age(tenant, 'old', month)
    await asSystem(tenant, () => tenantQuery("select app.repair_usage($1, 'UTC', null, null)", [tenant.id]))
    expect(await months()).toContain(month)
    expect(await keep(40)).toEqual([])
    expect(await keep(25)).toEqual([month.slice(0, 7)])
    expect(await months()).not.toContain(month)
    const [seal] = await asSuperuser(
      'select month::text, events::int, drifts::int from usage_seals where tenant_id = $1',
      [tenant.id],
    )
    expect(seal).toEqual({ month, events: 1, drifts: 0 })
    const counted = await asSuperuser(
      "select used::int from usage_counters where tenant_id = $1 and period = 'day' and events > 0 order by starts_on",
      [tenant.id],
    )
    expect(counted).toEqual([{ used: 4 }, { used: 1 }])
    const id = await run(tenant)
    const { body } = await one(id, { as: tenant.api_key })
    expect(body).toMatchObject({ status: 'finished', drifts: 0, events: 1 })
    expect(body.from_day > month).toBe(true)
  })

  test('what a tenant with billing periods has not billed waits, for a year', async () => {
    const tenant = await createTenant('billed', {})
    await arrange(tenant)
    await track({ meter_id: 'sum', user_id: 'a', event_id: 'b' }, tenant.api_key)
    const month = monthsAgo(28)
    await age(tenant, 'b', month)
    const close = (ends_at: string) =>
      call(closeRoute, 'POST', '/api/v1/billing-periods', { as: tenant.api_key, body: { ends_at } })
    expect((await close(`${month.slice(0, 8)}20`)).status).toBe(201)
    expect(await keep(25)).toEqual([])
    expect((await close(monthsAgo(0))).status).toBe(201)
    expect(await keep(25)).toEqual([month.slice(0, 7)])
  })
})
