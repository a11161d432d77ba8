// What a question reads does not grow with the days behind it.
import { beforeAll, expect, test } from 'vitest'
import { POST as postCustomer } from '@/app/api/v1/customers/route'
import { POST as postMeter } from '@/app/api/v1/meters/route'
import { POST as postTier } from '@/app/api/v1/tiers/route'
import { POST as track } from '@/app/api/v1/usage/track/route'
import { listFirings } from '@/features/alerts/services/alert-firing-service'
import { listAuditLogs } from '@/features/audit-logs/services/audit-log-service'
import { reportMonth } from '@/features/reports/services/report-service'
import { previewTier } from '@/features/tiers/services/tier-preview-service'
import { listCappedCustomers } from '@/features/usage-tracking/services/usage-caps-service'
import { listEvents } from '@/features/usage-tracking/services/usage-event-service'
import { reportUsage } from '@/features/usage-tracking/services/usage-report-service'
import { tenantQuery } from '@/libs/db/tenant-db'
import { claimMessages, listDueTopics } from '@/libs/jobs/outbox'
import { runInTenant, systemActor } from '@/libs/tenancy/tenant-context'
import { waitForSteadyDay } from '../support/steady-day'
import { makePartition } from '../support/usage-history'
import { asSuperuser, asSystem, call, createTenant } from '../support/world'

const DAYS = 1_000
/** One row, and what the planner looks at. */
const FEW = 20
await waitForSteadyDay()
const tenant = await createTenant('large')
let customer = ''

async function post(handler: Parameters<typeof call>[0], path: string, body: unknown) {
  const answer = await call(handler, 'POST', path, { as: tenant.api_key, body })
  expect(answer.status).toBeLessThan(300)
  return answer.body
}

/** How many rows of a table `work` reads, from the table or by an index. */
async function rowsRead(
  table: 'usage_counters' | 'usage_events' | 'customers' | 'balances' | 'outbox' | 'audit_',
  work: () => Promise<unknown>,
): Promise<number> {
  return runInTenant(tenant.id, systemActor(), async () => {
    await work()
    const [read] = await tenantQuery<{ rows: number }>(
      'select sum(seq_tup_read + idx_tup_fetch)::integer as rows from pg_stat_xact_user_tables where starts_with(relname, $1)',
      [table],
    )
    return read?.rows ?? 0
  })
}

beforeAll(async () => {
  await post(postMeter, '/api/v1/meters', { slug: 'calls', name: 'Calls' })
  await post(postTier, '/api/v1/tiers', {
    name: 'Small',
    is_default: true,
    usage_caps: { calls: { limit: 100, period: 'day' } },
  })
  const { id } = await post(postCustomer, '/api/v1/customers', { external_id: 'old' })
  customer = id
  await post(track, '/api/v1/usage/track', { meter_id: 'calls', user_id: 'old', event_value: 90 })
  await asSuperuser(
    `insert into usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events)
     select tenant_id, period, meter_id, starts_on - n, customer_id, 90, 1 from usage_counters, generate_series(1, $2::integer) n
     where tenant_id = $1 and period = 'day'`,
    [tenant.id, DAYS],
  )
  const monthAgo = new Date(Date.now() - 31 * 86_400_000).toISOString().slice(0, 7)
  await makePartition(monthAgo)
  await asSuperuser(
    `insert into usage_events (tenant_id, id, meter_id, customer_id, value, occurred_at, received_at, received_month)
     select tenant_id, gen_random_uuid(), meter_id, customer_id, 1, t.at, t.at, date_trunc('month', t.at at time zone 'UTC')
     from usage_events cross join lateral (select received_at - n * interval '10 minutes' as at from generate_series(1, 3000) n) t
     where tenant_id = $1`,
    [tenant.id],
  )
  await asSuperuser('analyze usage_counters, usage_events')
})

test('where a customer stands with its meters', async () => {
  const read = await rowsRead('usage_counters', () =>
    tenantQuery('select * from app.customer_usage($1, $2, $3)', [tenant.id, customer, 'UTC']),
  )
  expect(read).toBeLessThan(FEW)
})

test('who is near a cap', async () => {
  const found = { customers: [''] }
  const read = await rowsRead('usage_counters', async () => {
    const { data } = await listCappedCustomers({ above: 80, limit: 50 })
    found.customers = data.map((row) => row.customer.external_id)
  })
  expect(found.customers).toEqual(['old'])
  expect(read).toBeLessThan(FEW)
})

test('part of a day long ago', async () => {
  const from = new Date(Date.now() - 20 * 86_400_000 - 3_723_000).toISOString()
  const read = await rowsRead('usage_events', () => reportUsage({ from, meter: 'calls', group_by: 'meter', limit: 50 }))
  expect(read).toBeLessThan(1_000)
})

test('the events of a customer that has none', async () => {
  await post(postCustomer, '/api/v1/customers', { external_id: 'new' })
  const found = { events: -1 }
  const read = await rowsRead('usage_events', async () => {
    found.events = (await listEvents({ customer: 'new', limit: 50 })).data.length
  })
  expect(found.events).toBe(0)
  // A month of very few events may be read as it lies.
  expect(read).toBeLessThan(1_000)
})

test('a page of what alerts fired', async () => {
  const [rule] = await asSuperuser<{ id: string }>(
    `insert into alert_rules (tenant_id, id, name, meter_id, kind, threshold)
     select tenant_id, gen_random_uuid(), 'Rule', id, 'usage', 1 from meters where tenant_id = $1 returning id`,
    [tenant.id],
  )
  await asSuperuser(
    `insert into alert_firings (tenant_id, id, rule_id, customer_id, meter_id, period, period_start, step, used)
     select $1, app.uuid_v7(), r.id, $3, r.meter_id, 'day', current_date - n, 1, 1 from alert_rules r, generate_series(1, 3000) n
     where r.tenant_id = $1 and r.id = $2`,
    [tenant.id, rule?.id, customer],
  )
  await asSuperuser('analyze alert_firings, alert_rules, customers')
  const read = await rowsRead('customers', () => listFirings({ limit: 50 }))
  expect(read).toBeLessThan(100)
})

test('what one customer has of a meter, when nobody has looked at how many have', async () => {
  const [meter] = await asSuperuser<{ id: string }>('select id from meters where tenant_id = $1', [tenant.id])
  await asSuperuser(
    `insert into customers (tenant_id, id, external_id) select $1, app.uuid_v7(), 'many ' || n from generate_series(1, 2000) n`,
    [tenant.id],
  )
  await asSuperuser(
    `insert into balances (tenant_id, customer_id, meter_id, starts_on, allowance, allowance_left, granted, opening, as_of, resets_at)
     select $1, id, $2, current_date, 10, 10, 10, 10, now(), current_date + 1 from customers where tenant_id = $1`,
    [tenant.id, meter?.id],
  )
  const read = await rowsRead('balances', () =>
    tenantQuery('select app.burn_balance($1, $2, $3, 1, now())', [tenant.id, customer, meter?.id]),
  )
  expect(read).toBeLessThan(FEW)
})

test('which messages are next, however many wait or were delivered', async () => {
  await asSuperuser(
    `insert into outbox (tenant_id, id, topic, payload, available_at, delivered_at)
     select $1, gen_random_uuid(), topic, '{}', at, delivered from generate_series(1, 3000), (values
       ('meter.created', now(), now()), ('analytics', now(), null), ('email', 'infinity', null)) v(topic, at, delivered)`,
    [tenant.id],
  )
  await asSuperuser(
    `insert into outbox (tenant_id, id, topic, payload) values ($1, gen_random_uuid(), 'meter.updated', '{}')`,
    [tenant.id],
  )
  await asSuperuser('analyze outbox')
  let topics: string[] = []
  const find = async () => {
    topics = await listDueTopics()
  }
  expect(await rowsRead('outbox', find)).toBeLessThan(FEW)
  expect(topics.toSorted()).toEqual(['analytics', 'events'])
  const take = (topic: string) => () => claimMessages({ topic, limit: 2, ordered: true, leaseMs: 60_000 })
  expect(await rowsRead('outbox', take('events'))).toBeLessThan(FEW)
  expect(await rowsRead('outbox', take('analytics'))).toBeLessThan(FEW)
})

test('a search of the record', async () => {
  await asSuperuser(
    `with rows as (
       insert into audit_logs (tenant_id, id, created_at, action, outcome, actor_kind, actor_id, target_type, target_id, details_hash)
       select $1, app.uuid_v7(), now(), 'tier.updated', 'success', 'user', 'someone', 'tier', case when n = 300 then 'deep' else 'tier' end, ''
       from generate_series(1, 12000) n returning id
     )
     insert into audit_details (tenant_id, id, actor_label) select $1, id, 'Person' from rows`,
    [tenant.id],
  )
  await asSuperuser('analyze audit_logs, audit_details')
  const found = { page: [''], rest: '' }
  const read = await rowsRead('audit_', async () => {
    const page = await listAuditLogs({ q: 'person', limit: 50 })
    found.page = page.data.map(({ id }) => id)
    found.rest = page.next_cursor ?? ''
  })
  expect(read).toBeLessThan(10_000)
  const next = await asSystem(tenant, () => listAuditLogs({ q: 'PERS', limit: 200, cursor: found.rest }))
  expect(next.data).toHaveLength(200)
  expect([...found.page, ...next.data.map(({ id }) => id)]).toEqual(
    (
      await asSuperuser<{ id: string }>(
        `select id from audit_details where tenant_id = $1 and actor_label = 'Person' order by id desc limit 250`,
        [tenant.id],
      )
    ).map(({ id }) => id),
  )
  // Whatever lies deep is found as well, and what is nowhere ends the list.
  const deep = await asSystem(tenant, () => listAuditLogs({ q: 'deep', action: 'tier.updated', limit: 50 }))
  expect(deep.data.map(({ target }) => target.id)).toEqual(['deep'])
  expect(deep.next_cursor).toBeNull()
  expect(await asSystem(tenant, () => listAuditLogs({ q: 'nowhere', limit: 50 }))).toEqual({
    data: [],
    next_cursor: null,
  })
})

test('levels of customers whose months begin on thirty different days', async () => {
  const meter = await post(postMeter, '/api/v1/meters', { slug: 'stored', name: 'Stored', aggregation: 'WEIGHTED_SUM' })
  const tier = await post(postTier, '/api/v1/tiers', { name: 'Stores', usage_caps: { stored: 10 } })
  await asSuperuser(
    `with added as (
       insert into customers (tenant_id, id, external_id) select $1, app.uuid_v7(), 'store ' || n from generate_series(1, 30) n returning id, external_id
     ), numbered as (
       select id, substr(external_id, 7)::integer as n from added
     ), subscribed as (
       insert into subscriptions (tenant_id, id, customer_id, tier_id, tier_version, anchor_day, started_at)
       select $1, app.uuid_v7(), id, $2, 1, n, now() - interval '80 days' from numbered
     ), totals as (
       insert into usage_totals (tenant_id, meter_id, day, used, events, moment)
       select $1, $3, d::date, 30, 30, 30 * extract(epoch from d at time zone 'UTC')
       from generate_series(current_date - 60, current_date - 1, interval '1 day') d
     )
     insert into usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events, moment)
     select $1, 'day', $3, d::date, id, 1, 1, extract(epoch from d at time zone 'UTC')
     from numbered cross join generate_series(current_date - 60, current_date - 1, interval '1 day') d`,
    [tenant.id, tier.id, meter.id],
  )
  await asSuperuser('analyze usage_counters, usage_totals, customers, subscriptions')
  const month = new Date(Date.now() - 25 * 86_400_000).toISOString().slice(0, 7)
  const read = await rowsRead('usage_counters', async () => {
    const report = await reportMonth({ month, format: 'json' })
    const stored = report.meters.find((line) => line.meter.slug === 'stored')
    expect(Number(stored?.overage)).toBeGreaterThan(0)
  })
  expect(read).toBeLessThan(15_000)
})

test('who would be over a cap, of two thousand customers with balances', async () => {
  await asSuperuser(
    `insert into usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events)
     select b.tenant_id, 'day', b.meter_id, (now() at time zone 'UTC')::date, b.customer_id, 1, 1 from balances b where b.tenant_id = $1
     on conflict do nothing`,
    [tenant.id],
  )
  const cap = { behaviour: 'reject', period: 'day', rollover: { min: '0', max: '0' }, preserve_overage: false } as const
  const ask = () => previewTier('small', { usage_caps: { calls: { ...cap, limit: '50' } } }, { limit: 10 })
  await asSuperuser('analyze usage_counters, balances, customers')
  expect(await asSystem(tenant, ask)).toMatchObject({ over_count: 1 })
  expect(await rowsRead('balances', ask)).toBeLessThan(10_000)
  expect(await rowsRead('usage_counters', ask)).toBeLessThan(20_000)
})
