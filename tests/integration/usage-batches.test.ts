// What one statement does for many customers is what it does for each of them, to the last digit and in no more than a little work for each.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { TenantUsageTrackingService } from '@/features/usage-tracking/services/tenant-usage-tracking-service'
import { closePools } from '@/libs/db/pools'
import { tenantQuery } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'
import { runWithoutTransaction, systemActor } from '@/libs/tenancy/tenant-context'
import { asSuperuser, asSystem, createTenant, createWorld, type TestTenant } from '../support/world'

const { acme } = await createWorld()
const HOUR = 3_600_000
const DAY = 24 * HOUR
const toMoment = (at: number) => new Date(at).toISOString()
let made = 0

const tier = newId()
await asSystem(acme, () => tenantQuery("insert into tiers (id, slug, name) values ($1, 'plain', 'Plain')", [tier]))

const amount = fc.integer({ min: 0, max: 40 })
const grant = fc.record({
  amount: fc.integer({ min: 1, max: 30 }),
  priority: fc.integer({ min: 0, max: 2 }),
  delay: fc.integer({ min: -DAY, max: 20 * DAY }),
  life: fc.option(fc.integer({ min: 2 * DAY, max: 60 * DAY })),
  recurrence: fc.constantFrom(null, 'day', 'week', 'month'),
  rollover_max: amount,
})
const pair = fc.record({
  limit: amount,
  rollover_max: amount,
  preserve_overage: fc.boolean(),
  period: fc.constantFrom('day', 'month'),
  anchor: fc.constantFrom(1, 15, 31),
  grants: fc.array(grant, { maxLength: 3 }),
  deltas: fc.tuple(
    fc.integer({ min: -10, max: 60 }),
    fc.integer({ min: -10, max: 60 }),
    fc.integer({ min: -10, max: 60 }),
  ),
})
type Pair = typeof pair extends fc.Arbitrary<infer P> ? P : never
type Place = { customer: string; meter: string }

async function arrange(terms: Pair, start: number, zone: string): Promise<Place> {
  const [customer, meter] = [newId(), newId()]
  await tenantQuery('insert into customers (id, external_id) values ($1, $2)', [customer, customer])
  await tenantQuery(
    "insert into meters (id, slug, name, aggregation, allows_negative) values ($1, $2, 'Metered', 'SUM', true)",
    [meter, `m_${meter.replaceAll('-', '')}`],
  )
  await tenantQuery(
    'insert into subscriptions (id, customer_id, tier_id, anchor_day, started_at) values ($1, $2, $3, $4, $5)',
    [newId(), customer, tier, terms.anchor, toMoment(start)],
  )
  await tenantQuery(
    `insert into entitlements (id, customer_id, kind, feature_key, meter_id, cap_limit, behaviour, period, rollover_max, preserve_overage, created_at)
     values ($1, $2, 'metered', 'metered', $3, $4, 'overflow', $5, $6, $7, $8)`,
    [newId(), customer, meter, terms.limit, terms.period, terms.rollover_max, terms.preserve_overage, toMoment(start)],
  )
  await tenantQuery('select app.open_balance($1, $2, $3, $4, $5)', [acme.id, customer, meter, toMoment(start), zone])
  for (const { amount, priority, delay, life, recurrence, rollover_max } of terms.grants)
    await tenantQuery('select app.add_grant($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, $12, null)', [
      acme.id,
      zone,
      toMoment(start),
      newId(),
      customer,
      meter,
      amount,
      priority,
      toMoment(start + delay),
      life === null ? null : toMoment(start + delay + life),
      recurrence,
      rollover_max,
    ])
  return { customer, meter }
}

/** All that is known of a balance but its keys: itself, its grants and its history. */
async function readBalances(places: readonly Place[]): Promise<unknown[]> {
  const read: unknown[] = []
  for (const { customer, meter } of places)
    read.push(
      await tenantQuery(
        `select to_jsonb(b) - array['customer_id', 'meter_id'] as balance,
           (select jsonb_agg(to_jsonb(g) - array['id', 'customer_id', 'meter_id', 'created_at'] order by g.id) from grants g
            where g.customer_id = b.customer_id and g.tenant_id = b.tenant_id) as grants,
           (select jsonb_agg(to_jsonb(e) - array['id', 'customer_id', 'meter_id', 'grant_id'] order by e.id) from balance_entries e
            where e.customer_id = b.customer_id and e.tenant_id = b.tenant_id) as entries
         from balances b where b.tenant_id = $1 and b.customer_id = $2 and b.meter_id = $3`,
        [acme.id, customer, meter],
      ),
    )
  return read
}

describe('balances of a batch', () => {
  test('become what each would become by itself', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(pair, { minLength: 1, maxLength: 5 }),
        fc.constantFrom('UTC', 'America/New_York', 'Asia/Kathmandu'),
        fc.integer({ min: Date.UTC(2025, 0, 1), max: Date.UTC(2026, 6, 1) }),
        fc.array(fc.oneof(fc.integer({ min: 0, max: 3 * DAY }), fc.integer({ min: 0, max: 50 * DAY })), {
          minLength: 1,
          maxLength: 3,
        }),
        async (pairs, zone, start, waits) => {
          await asSystem(acme, async () => {
            const alone: Place[] = []
            const together: Place[] = []
            for (const terms of pairs) {
              alone.push(await arrange(terms, start, zone))
              together.push(await arrange(terms, start, zone))
            }
            // One that has no balance is passed over.
            const keys = [
              [...together.map(({ customer }) => customer), newId()],
              [...together.map(({ meter }) => meter), newId()],
            ]
            let now = start
            for (const [round, wait] of waits.entries()) {
              now += wait
              const deltas = pairs.map((terms) => terms.deltas[round] ?? 0)
              for (const [index, { customer, meter }] of alone.entries()) {
                await tenantQuery('select app.settle_balance($1, $2, $3, $4, $5)', [
                  acme.id,
                  customer,
                  meter,
                  toMoment(now),
                  zone,
                ])
                await tenantQuery('select app.burn_balance($1, $2, $3, $4, $5)', [
                  acme.id,
                  customer,
                  meter,
                  deltas[index],
                  toMoment(now),
                ])
              }
              await tenantQuery('select app.hold_balances($1, $2, $3, $4, $5)', [acme.id, ...keys, toMoment(now), zone])
              await tenantQuery('select app.burn_balances($1, $2, $3, $4, $5)', [
                acme.id,
                ...keys,
                [...deltas, 1],
                toMoment(now),
              ])
              expect(await readBalances(together)).toEqual(await readBalances(alone))
            }
          })
        },
      ),
      { numRuns: 25 },
    )
  })

  const COUNT = 40
  type Sent = { meter_id: string; user_id: string; event_value: string; timestamp?: string }
  const track = (tenant: TestTenant, events: readonly Sent[], enforce = false) =>
    runWithoutTransaction(tenant.id, systemActor(), () => TenantUsageTrackingService.trackUsage(events, { enforce }))

  /** A tenant whose default tier lets 10 roll over, and its customers, none of whom has used anything. */
  async function createRolling(behaviour: 'reject' | 'overflow'): Promise<TestTenant> {
    made += 1
    const tenant = await createTenant(`rolling-${made}`)
    await asSystem(tenant, async () => {
      const [meter, tier] = [newId(), newId()]
      await tenantQuery("insert into meters (id, slug, name) values ($1, 'calls', 'Calls')", [meter])
      await tenantQuery("insert into tiers (id, slug, name, is_default) values ($1, 'default', 'Default', true)", [
        tier,
      ])
      await tenantQuery(
        'insert into tier_caps (id, tier_id, meter_id, cap_limit, behaviour, rollover_max) values ($1, $2, $3, 10, $4, 5)',
        [newId(), tier, meter, behaviour],
      )
      await tenantQuery(
        "insert into customers (id, external_id) select app.uuid_v7(), 'user-' || n from generate_series(1, $1::integer) n",
        [COUNT],
      )
    })
    return tenant
  }
  const readUsed = (tenant: TestTenant) =>
    asSuperuser<{ external_id: string; used: string; left: string; overage: string; opened: string; counted: string }>(
      `select c.external_id, b.used::text, b.allowance_left::text as left, b.overage::text,
         (select count(*)::text from balance_entries e where e.tenant_id = c.tenant_id and e.customer_id = c.id) as opened,
         (select sum(k.used)::text from usage_counters k where k.tenant_id = c.tenant_id and k.customer_id = c.id and k.period = 'month') as counted
       from customers c join balances b on b.tenant_id = c.tenant_id and b.customer_id = c.id where c.tenant_id = $1 order by c.id`,
      [tenant.id],
    )

  test.each(['reject', 'overflow'] as const)(
    'are opened by their first usage, and by no more than fits, where caps %s',
    async (behaviour) => {
      const tenant = await createRolling(behaviour)
      const batch = Array.from({ length: COUNT }, (_, index) =>
        [6, 7, (index % 3) * 2].map((value) => ({
          meter_id: 'calls',
          user_id: `user-${index + 1}`,
          event_value: String(value),
        })),
      ).flat()
      const answers = [await track(tenant, batch), await track(tenant, batch)]
      const model = Array.from({ length: COUNT }, (_, index) => {
        let used = 0
        for (const value of [6, 7, (index % 3) * 2, 6, 7, (index % 3) * 2])
          if (behaviour === 'overflow' || used + value <= 10) used += value
        return {
          external_id: `user-${index + 1}`,
          used: String(used),
          left: String(Math.max(10 - used, 0)),
          overage: String(Math.max(used - 10, 0)),
          opened: '1',
          counted: String(used),
        }
      })
      expect(await readUsed(tenant)).toEqual(model)
      if (behaviour === 'overflow') expect(answers.map(({ rejected }) => rejected)).toEqual([[], []])
    },
  )

  test('are opened, brought up to date and burnt from by one statement for all of them', async () => {
    const [{ name } = { name: '' }] = await asSuperuser<{ name: string }>('select current_database() as name')
    await asSuperuser(`alter database ${name} set track_functions = 'pl'`)
    await closePools()
    const tenant = await createRolling('overflow')
    const batch = Array.from({ length: COUNT }, (_, index) => ({
      meter_id: 'calls',
      user_id: `user-${index + 1}`,
      event_value: '1',
    }))
    const calls = () =>
      asSystem(tenant, async () => {
        await TenantUsageTrackingService.trackUsage(batch)
        return tenantQuery(
          `select funcname as name, calls::integer from pg_stat_xact_user_functions
           where funcname ~ '_balances?$' and calls > 0 order by funcname`,
        )
      })
    const once = ['burn_balances', 'hold_balances', 'open_balances'].map((name) => ({ name, calls: 1 }))
    expect(await calls()).toEqual(once)
    await closePools()
    expect(await calls()).toEqual(once)
    await asSuperuser(`alter database ${name} reset track_functions`)
    await closePools()
  })
})

test('lists of a batch are joined by hashing, not each row of one with each of the other', async () => {
  const rows = await asSuperuser<{ name: string; settings: string[] }>(
    "select proname as name, proconfig as settings from pg_proc where proname in ('move_counters', 'pairs_of_events') order by 1",
  )
  expect(rows.map(({ name }) => name)).toEqual(['move_counters', 'pairs_of_events'])
  for (const { settings } of rows)
    expect(settings).toEqual(expect.arrayContaining(['enable_hashjoin=on', 'enable_nestloop=off']))
})

test('a meter that a batch names by its slug and by its id counts once for each event', async () => {
  made += 1
  const tenant = await createTenant(`named-${made}`)
  const meter = newId()
  await asSystem(tenant, () =>
    tenantQuery("insert into meters (id, slug, name) values ($1, 'calls', 'Calls')", [meter]),
  )
  const events = ['calls', meter, 'calls', meter].map((meter_id) => ({ meter_id, user_id: 'one', event_value: '2' }))
  const answer = await runWithoutTransaction(tenant.id, systemActor(), () =>
    TenantUsageTrackingService.trackUsage(events),
  )
  expect(answer).toMatchObject({ inserted: 4, rejected: [] })
  expect(
    await asSuperuser(
      'select period, used::text, events::integer from usage_counters where tenant_id = $1 order by period',
      [tenant.id],
    ),
  ).toEqual([
    { period: 'day', used: '8', events: 4 },
    { period: 'month', used: '8', events: 4 },
  ])
})
