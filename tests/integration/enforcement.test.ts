// Caps of every kind, decided and recorded in one step: what is refused, what is counted in part, and what nobody may pass.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { TenantUsageTrackingService } from '@/features/usage-tracking/services/tenant-usage-tracking-service'
import type { TrackResult } from '@/features/usage-tracking/services/usage-answer'
import { tenantQuery } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'
import { runWithoutTransaction, systemActor } from '@/libs/tenancy/tenant-context'
import { asSuperuser, asSystem, createTenant, createWorld, type TestTenant } from '../support/world'

await createWorld()

type Meter = {
  slug: string
  aggregation: string
  property?: string
  filter?: unknown
  limit?: number
  behaviour?: string
}
let made = 0

async function arrange(meters: readonly Meter[]): Promise<TestTenant> {
  made += 1
  const tenant = await createTenant(`enforcing-${made}`)
  await asSystem(tenant, async () => {
    const tier = newId()
    await tenantQuery("insert into tiers (id, slug, name, is_default) values ($1, 'default', 'Default', true)", [tier])
    for (const { slug, aggregation, property = null, filter = null, limit, behaviour = 'reject' } of meters) {
      const meter = newId()
      await tenantQuery(
        'insert into meters (id, slug, name, aggregation, value_property, filter) values ($1, $2, $2, $3, $4, $5)',
        [meter, slug, aggregation, property, filter === null ? null : JSON.stringify(filter)],
      )
      if (limit === undefined) continue
      await tenantQuery(
        'insert into tier_caps (id, tier_id, meter_id, cap_limit, behaviour) values ($1, $2, $3, $4, $5)',
        [newId(), tier, meter, limit, behaviour],
      )
    }
  })
  return tenant
}

const outside = <T>(tenant: TestTenant, run: () => Promise<T>): Promise<T> =>
  runWithoutTransaction(tenant.id, systemActor(), run)
const track = (tenant: TestTenant, events: unknown, options = {}): Promise<TrackResult> =>
  outside(tenant, () => TenantUsageTrackingService.trackUsage(events, options))
const check = (tenant: TestTenant, meter: string, user: string, amount: number | string = 1) =>
  outside(tenant, () => TenantUsageTrackingService.checkUsageEnforcement(user, meter, amount))
const codes = ({ rejected }: TrackResult): string[] => rejected.map(({ code }) => code)

describe('what comes twice', () => {
  test('in a request: refused like the first of its name, for nothing of that name was counted', async () => {
    const tenant = await arrange([{ slug: 'calls', aggregation: 'SUM', limit: 10 }])
    const events = [11, 11, 4].map((event_value) => ({ meter_id: 'calls', user_id: 'a', event_value, event_id: 'z' }))
    expect(codes(await track(tenant, events))).toEqual(['usage_exceeded', 'usage_exceeded', 'usage_exceeded'])
    expect(await track(tenant, events[2])).toMatchObject({ inserted: 1, rejected: [] })
  })

  test.each([
    ['its meter is archived', 'update meters set archived_at = now() where tenant_id = $1'],
    ['its customer is archived', 'update customers set archived_at = now() where tenant_id = $1'],
    ['it is too old', 'update usage_settings set accepts_late_days = 35 where tenant_id = $1'],
  ])('a duplicate stays one, also when by now %s', async (_, change) => {
    const tenant = await arrange([{ slug: 'calls', aggregation: 'SUM' }])
    await asSuperuser('insert into usage_settings (tenant_id, accepts_late_days) values ($1, 60)', [tenant.id])
    const timestamp = new Date(Date.now() - 40 * 86_400_000).toISOString()
    const event = { meter_id: 'calls', user_id: 'a', event_value: 3, event_id: 'kept', timestamp }
    expect(await track(tenant, event)).toMatchObject({ inserted: 1 })
    await asSuperuser(change, [tenant.id])
    expect(await track(tenant, event)).toMatchObject({ inserted: 0, duplicates: 1, rejected: [] })
    expect(codes(await track(tenant, { ...event, event_value: 4 }))).toEqual(['conflict'])
    expect(codes(await track(tenant, { ...event, event_id: 'new' }))).toHaveLength(1)
  })
})

describe('behaviour past the limit', () => {
  test('overflow counts on, unless the caller asks to enforce', async () => {
    const tenant = await arrange([{ slug: 'calls', aggregation: 'SUM', limit: 10, behaviour: 'overflow' }])
    const event = { meter_id: 'calls', user_id: 'a', event_value: 8 }
    expect((await track(tenant, event, { enforce: true })).usage?.[0]).toMatchObject({ used: 8, remaining: 2 })
    const refused = await track(tenant, event, { enforce: true })
    expect(refused).toMatchObject({
      inserted: 0,
      rejected: [{ code: 'usage_exceeded', limit: 10, used: 8, remaining: 2 }],
    })
    expect((await track(tenant, event)).usage?.[0]).toMatchObject({ used: 16, remaining: 0, overage: 6 })
    expect(await check(tenant, 'calls', 'a')).toMatchObject({ allowed: true, overage: 6 })
  })

  test('cap counts the part that is left, and refuses once nothing is', async () => {
    const tenant = await arrange([{ slug: 'calls', aggregation: 'SUM', limit: 10, behaviour: 'cap' }])
    const event = { meter_id: 'calls', user_id: 'a', event_value: 7 }
    expect((await track(tenant, { ...event, event_id: 'first' })).usage?.[0]).toMatchObject({ used: 7 })
    expect((await track(tenant, { ...event, event_id: 'second' })).usage?.[0]).toMatchObject({
      used: 10,
      remaining: 0,
      overage: 0,
    })
    expect(codes(await track(tenant, { ...event, event_id: 'third' }))).toEqual(['usage_exceeded'])
    // The same event again is the same event, although less of it was counted than was sent.
    expect(await track(tenant, { ...event, event_id: 'second' })).toMatchObject({ duplicates: 1, rejected: [] })
    const rows = await asSuperuser<{ value: string; counted: string | null }>(
      'select value::text, counted::text from usage_events where tenant_id = $1 order by event_id',
      [tenant.id],
    )
    expect(rows).toEqual([
      { value: '7', counted: null },
      { value: '7', counted: '3' },
    ])
  })

  test('several events of one request take what is left in their order', async () => {
    const tenant = await arrange([{ slug: 'calls', aggregation: 'SUM', limit: 10, behaviour: 'cap' }])
    const answer = await track(
      tenant,
      [4, 4, 4, 4].map((event_value) => ({ meter_id: 'calls', user_id: 'a', event_value })),
    )
    expect(answer).toMatchObject({ inserted: 3, rejected: [{ index: 3, code: 'usage_exceeded' }] })
    expect(answer.usage?.[0]).toMatchObject({ used: 10 })
  })
})

describe('caps of other aggregations', () => {
  test('different values: one seen before costs nothing, a new one past the limit is refused', async () => {
    const tenant = await arrange([{ slug: 'devices', aggregation: 'UNIQUE_COUNT', property: 'device', limit: 2 }])
    const event = (device: string) => ({ meter_id: 'devices', user_id: 'a', properties: { device } })
    const answer = await track(tenant, ['one', 'two', 'one', 'three', 'two', 'three'].map(event))
    expect(answer.inserted).toBe(4)
    expect(answer.rejected.map(({ index }) => index)).toEqual([3, 5])
    expect((await track(tenant, event('one'))).usage?.[0]).toMatchObject({ used: 2, remaining: 0 })
    expect(codes(await track(tenant, event('four')))).toEqual(['usage_exceeded'])
    expect((await track(tenant, { ...event('four'), user_id: 'b' })).inserted).toBe(1)
  })

  test('greatest and latest: a value beyond the limit is refused, the counter stays', async () => {
    const tenant = await arrange([
      { slug: 'peak', aggregation: 'MAX', limit: 100 },
      { slug: 'seats', aggregation: 'LATEST', limit: 5 },
    ])
    const event = (meter_id: string, event_value: number) => ({ meter_id, user_id: 'a', event_value })
    const answer = await track(tenant, [
      event('peak', 70),
      event('peak', 101),
      event('seats', 5),
      event('seats', 6),
      event('seats', 3),
    ])
    expect(answer.rejected.map(({ index }) => index)).toEqual([1, 3])
    expect(answer.usage).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ meter: 'peak', used: 70 }),
        expect.objectContaining({ meter: 'seats', used: 3 }),
      ]),
    )
    expect(await check(tenant, 'peak', 'a', 101)).toMatchObject({ allowed: false, code: 'USAGE_EXCEEDED' })
    expect(await check(tenant, 'peak', 'a', 100)).toMatchObject({ allowed: true })
  })

  test('an average is compared with, never refused', async () => {
    const tenant = await arrange([{ slug: 'latency', aggregation: 'AVG', limit: 10 }])
    const event = (event_value: number) => ({ meter_id: 'latency', user_id: 'a', event_value })
    expect((await track(tenant, [event(8), event(20)])).usage?.[0]).toMatchObject({ used: 14, overage: 4 })
    expect(await check(tenant, 'latency', 'a', 0)).toMatchObject({ allowed: false, code: 'USAGE_EXCEEDED' })
    await track(tenant, event(1))
    expect(await check(tenant, 'latency', 'a', 0)).toMatchObject({ allowed: true, used: 9.666666666667 })
  })
})

describe('what an event must hold', () => {
  test('the property its meter takes the value from, as a number', async () => {
    const tenant = await arrange([{ slug: 'tokens', aggregation: 'SUM', property: 'tokens', limit: 100 }])
    const event = (tokens: unknown) => ({ meter_id: 'tokens', user_id: 'a', properties: { tokens } })
    const answer = await track(tenant, [
      event(30),
      event('12.5'),
      event('many'),
      event(true),
      event(null),
      { meter_id: 'tokens', user_id: 'a' },
    ])
    expect(answer.inserted).toBe(2)
    expect(codes(answer)).toEqual(Array(4).fill('invalid_property'))
    expect(answer.usage?.[0]).toMatchObject({ used: 42.5 })
  })

  test('what passes no filter is kept, moves nothing, and needs no room', async () => {
    const filter = {
      and: [
        { property: 'status', operator: 'gte', value: 200 },
        { property: 'status', operator: 'lt', value: 300 },
      ],
    }
    const tenant = await arrange([{ slug: 'calls', aggregation: 'COUNT', filter, limit: 2 }])
    const event = (status: unknown, event_id?: string) => ({
      meter_id: 'calls',
      user_id: 'a',
      properties: { status },
      ...(event_id ? { event_id } : {}),
    })
    const answer = await track(tenant, [event(200), event('201', 'x'), event(500), event('abc'), event(204)])
    expect(answer).toMatchObject({ inserted: 4, rejected: [{ index: 4, code: 'usage_exceeded' }] })
    expect(answer.usage?.[0]).toMatchObject({ used: 2 })
    expect(await track(tenant, event('201', 'x'))).toMatchObject({ duplicates: 1 })
  })
})

test('a customer with an entitlement of its own is held by that, not by its tier', async () => {
  const tenant = await arrange([{ slug: 'calls', aggregation: 'SUM', limit: 10 }])
  await track(tenant, { meter_id: 'calls', user_id: 'a', event_value: 1 })
  await asSystem(tenant, () =>
    tenantQuery(
      `insert into entitlements (id, customer_id, kind, feature_key, meter_id, cap_limit)
       select $1, c.id, 'metered', 'calls', m.id, 20 from customers c, meters m where c.external_id = 'a' and m.slug = 'calls'`,
      [newId()],
    ),
  )
  const event = (user_id: string) => ({ meter_id: 'calls', user_id, event_value: 15 })
  expect((await track(tenant, event('a'))).usage?.[0]).toMatchObject({ used: 16, limit: 20 })
  expect(codes(await track(tenant, event('b')))).toEqual(['usage_exceeded'])
  expect(await check(tenant, 'calls', 'a', 5)).toMatchObject({ allowed: false, limit: 20, remaining: 4 })
})

test('under any company, nothing passes a cap, and nothing is refused that fits', async () => {
  const one = fc.record({
    meter_id: fc.constantFrom('summed', 'counted', 'devices', 'parts'),
    user_id: fc.constantFrom('a', 'b'),
    event_value: fc.integer({ min: 0, max: 9 }),
    properties: fc.record({ device: fc.constantFrom('p', 'q', 'r', 's', 't', 'u') }),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(one, { minLength: 1, maxLength: 12 }), { minLength: 2, maxLength: 8 }),
      fc.boolean(),
      async (batches, enforce) => {
        const tenant = await arrange([
          { slug: 'summed', aggregation: 'SUM', limit: 25, behaviour: 'overflow' },
          { slug: 'counted', aggregation: 'COUNT', limit: 6 },
          { slug: 'devices', aggregation: 'UNIQUE_COUNT', property: 'device', limit: 3 },
          { slug: 'parts', aggregation: 'SUM', limit: 20, behaviour: 'cap' },
        ])
        const answers = await Promise.all(batches.map((batch) => track(tenant, batch, { enforce })))
        const stored = await asSuperuser<{
          meter: string
          user_id: string
          counted: string
          used: string
          values: number
          events: number
        }>(
          `select m.slug as meter, c.external_id as user_id, sum(coalesce(e.counted, e.value))::text as counted, k.used::text,
             count(distinct e.properties ->> 'device')::int as values, count(*)::int as events
           from usage_events e join meters m on m.tenant_id = e.tenant_id and m.id = e.meter_id
             join customers c on c.tenant_id = e.tenant_id and c.id = e.customer_id
             join usage_counters k on k.tenant_id = e.tenant_id and k.meter_id = e.meter_id and k.customer_id = e.customer_id and k.period = 'month'
           where e.tenant_id = $1 group by 1, 2, k.used`,
          [tenant.id],
        )
        const limits: Record<string, number> = {
          summed: enforce ? 25 : Number.POSITIVE_INFINITY,
          counted: 6,
          devices: 3,
          parts: 20,
        }
        for (const row of stored) {
          const used = Number(row.used)
          expect(used).toBe(
            row.meter === 'counted' ? row.events : row.meter === 'devices' ? row.values : Number(row.counted),
          )
          expect(used).toBeLessThanOrEqual(limits[row.meter] ?? 0)
        }
        const sent = batches.flat()
        for (const [index, { rejected }] of answers.entries())
          for (const refusal of rejected) {
            expect(refusal.code).toBe('usage_exceeded')
            const event = batches[index]?.[refusal.index]
            const row = stored.find(({ meter, user_id }) => meter === event?.meter_id && user_id === event.user_id)
            // Counters only grow: what did not fit then does not fit at the end.
            const room = (limits[event?.meter_id ?? ''] ?? 0) - Number(row?.used ?? 0)
            const needs = event?.meter_id === 'counted' || event?.meter_id === 'devices' ? 1 : (event?.event_value ?? 0)
            expect(event?.meter_id === 'parts' && !enforce ? room <= 0 : room < needs).toBe(true)
          }
        expect(answers.reduce((sum, { inserted, rejected }) => sum + inserted + rejected.length, 0)).toBe(sent.length)
      },
    ),
    { numRuns: 25 },
  )
})

test('rows of a customer of its own are noticed however they were made', async () => {
  const tenant = await arrange([{ slug: 'calls', aggregation: 'SUM', limit: 1_000, behaviour: 'overflow' }])
  await track(tenant, { meter_id: 'calls', user_id: 'a', event_value: 1 })
  await asSuperuser(
    `insert into entitlements (tenant_id, id, customer_id, kind, feature_key, meter_id, cap_limit)
     select $1, $2, c.id, 'metered', 'calls', m.id, 5 from customers c join meters m using (tenant_id) where c.tenant_id = $1 and c.external_id = 'a' and m.slug = 'calls'`,
    [tenant.id, newId()],
  )
  expect(codes(await track(tenant, { meter_id: 'calls', user_id: 'a', event_value: 5 }))).toEqual(['usage_exceeded'])
  expect(await check(tenant, 'calls', 'a', 5)).toMatchObject({ allowed: false, limit: 5, used: 1 })
})
