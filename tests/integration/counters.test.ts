// Counters against a plain model: whatever is sent, in whatever order and company, every counter is the sum of its events,
// caps are never passed, and nothing is refused that would have fitted.
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { TenantUsageTrackingService } from '@/features/usage-tracking/services/tenant-usage-tracking-service'
import { tenantQuery } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'
import { runWithoutTransaction, systemActor } from '@/libs/tenancy/tenant-context'
import { asSuperuser, asSystem, createTenant, createWorld, type TestTenant } from '../support/world'

await createWorld()
const ZONE = 'America/New_York'
const CAP = 500
let made = 0

async function arrange(zone = ZONE): Promise<TestTenant> {
  made += 1
  const tenant = await createTenant(`counting-${made}`, { time_zone: zone })
  await asSystem(tenant, async () => {
    for (const [slug, aggregation] of [
      ['summed', 'SUM'],
      ['counted', 'COUNT'],
      ['capped', 'SUM'],
    ])
      await tenantQuery('insert into meters (id, slug, name, aggregation) values ($1, $2, $2, $3)', [
        newId(),
        slug,
        aggregation,
      ])
    await tenantQuery("insert into tiers (id, slug, name, is_default) values ($1, 'default', 'Default', true)", [
      newId(),
    ])
    await tenantQuery(
      `insert into tier_caps (id, tier_id, meter_id, cap_limit) select $1, t.id, m.id, $2 from tiers t, meters m where m.slug = 'capped'`,
      [newId(), CAP],
    )
  })
  return tenant
}

type Sent = { meter_id: string; user_id: string; event_value: string; event_id?: string; timestamp?: string }
const track = (tenant: TestTenant, events: readonly Sent[]) =>
  runWithoutTransaction(tenant.id, systemActor(), () => TenantUsageTrackingService.trackUsage(events))

const localDay = (timestamp: string | undefined) =>
  new Intl.DateTimeFormat('en-CA', { timeZone: ZONE }).format(timestamp ? new Date(timestamp) : new Date())

const START = Date.now()
const event = fc.record({
  meter_id: fc.constantFrom('summed', 'counted', 'capped'),
  user_id: fc.constantFrom('a', 'b', 'c'),
  // In hundredths, so that the model can add without error.
  hundredths: fc.integer({ min: 0, max: 5_000 }),
  id: fc.option(fc.integer({ min: 0, max: 30 }), { nil: undefined, freq: 2 }),
  hours: fc.option(fc.integer({ min: 0, max: 30 * 24 }), { nil: undefined, freq: 2 }),
})
const toSent = ({
  meter_id,
  user_id,
  hundredths,
  id,
  hours,
}: typeof event extends fc.Arbitrary<infer E> ? E : never): Sent => ({
  meter_id,
  user_id,
  event_value: (hundredths / 100).toFixed(2),
  ...(id === undefined ? {} : { event_id: `e${id}` }),
  ...(hours === undefined ? {} : { timestamp: new Date(START - hours * 3_600_000).toISOString() }),
})

type Counter = {
  user_id: string
  meter: string
  period: 'day' | 'month'
  starts_on: string
  used: string
  events: number
}

async function readCounters(tenant: TestTenant): Promise<Map<string, string>> {
  const rows = await asSuperuser<Counter>(
    `select c.external_id as user_id, m.slug as meter, k.period, k.starts_on::text, trim_scale(k.used)::text as used, k.events::int
     from usage_counters k join customers c on c.tenant_id = k.tenant_id and c.id = k.customer_id
       join meters m on m.tenant_id = k.tenant_id and m.id = k.meter_id where k.tenant_id = $1 and k.events > 0`,
    [tenant.id],
  )
  return new Map(
    rows.map((row) => [`${row.period} ${row.starts_on} ${row.meter} ${row.user_id}`, `${row.used} in ${row.events}`]),
  )
}

describe('counters', () => {
  test('equal the sum of the events that were counted, by day and month of the time zone', {
    timeout: 120_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(event, { minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 8 }),
        async (batches) => {
          const tenant = await arrange()
          const sent = batches.map((batch) => batch.map(toSent))
          const answers = await Promise.all(sent.map((batch) => track(tenant, batch)))

          const accepted = await asSuperuser<{
            meter: string
            user_id: string
            value: string
            occurred_at: Date
            event_id: string | null
          }>(
            `select m.slug as meter, c.external_id as user_id, e.value::text, e.occurred_at, e.event_id from usage_events e
           join customers c on c.tenant_id = e.tenant_id and c.id = e.customer_id
           join meters m on m.tenant_id = e.tenant_id and m.id = e.meter_id where e.tenant_id = $1`,
            [tenant.id],
          )
          // Every event got one answer, and as many are stored as were said to be.
          for (const [index, answer] of answers.entries())
            expect(answer.inserted + answer.duplicates + answer.rejected.length).toBe(sent[index]?.length)
          expect(accepted.length).toBe(answers.reduce((sum, { inserted }) => sum + inserted, 0))
          const ids = accepted.flatMap(({ event_id }) => event_id ?? [])
          expect(new Set(ids).size).toBe(ids.length)

          const model = new Map<string, { hundredths: number; events: number }>()
          for (const { meter, user_id, value, occurred_at } of accepted) {
            const day = localDay(occurred_at.toISOString())
            for (const period of [`day ${day}`, `month ${day.slice(0, 8)}01`]) {
              const key = `${period} ${meter} ${user_id}`
              const sum = model.get(key) ?? { hundredths: 0, events: 0 }
              sum.hundredths += meter === 'counted' ? 100 : Math.round(Number(value) * 100)
              sum.events += 1
              model.set(key, sum)
              if (meter === 'capped' && period.startsWith('month'))
                expect(sum.hundredths).toBeLessThanOrEqual(CAP * 100)
            }
          }
          const expected = new Map(
            [...model].map(([key, { hundredths, events }]) => [key, `${hundredths / 100} in ${events}`]),
          )
          expect(await readCounters(tenant)).toEqual(expected)
        },
      ),
      { numRuns: 15 },
    )
  })

  test('an event refused at a cap would really have passed it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 10 }), {
          minLength: 1,
          maxLength: 6,
        }),
        async (batches) => {
          const tenant = await arrange('UTC')
          const answers = await Promise.all(
            batches.map((batch) =>
              track(
                tenant,
                batch.map((value) => ({ meter_id: 'capped', user_id: 'x', event_value: String(value) })),
              ),
            ),
          )
          const used = answers
            .flatMap(
              ({ rejected }, index) =>
                batches[index]?.filter((_, at) => !rejected.some((one) => one.index === at)) ?? [],
            )
            .reduce((sum, value) => sum + value, 0)
          expect(used).toBeLessThanOrEqual(CAP)
          for (const [index, { rejected }] of answers.entries()) {
            for (const { index: at, used: then, limit } of rejected) {
              expect(Number(then) + (batches[index]?.[at] ?? 0)).toBeGreaterThan(Number(limit))
              expect(Number(then)).toBeLessThanOrEqual(used)
            }
          }
        },
      ),
      { numRuns: 20 },
    )
  })
})

test('a month without a partition gets one at its first event', async () => {
  const tenant = await arrange()
  const partition = `usage_events_${new Date().toISOString().slice(0, 7).replace('-', '')}`
  await asSuperuser(`drop table ${partition}`)
  expect(await track(tenant, [{ meter_id: 'summed', user_id: 'a', event_value: '1' }])).toMatchObject({ inserted: 1 })
  const [closed] = await asSuperuser<{ forced: boolean; open: boolean }>(
    `select relforcerowsecurity and relrowsecurity as forced, has_table_privilege('app_server', oid, 'select') as open
     from pg_class where relname = $1`,
    [partition],
  )
  expect(closed).toEqual({ forced: true, open: false })
})

describe('periods', () => {
  let rows: { day: string; anchor: number; starts: string; ends: string }[]
  beforeAll(async () => {
    rows = await asSuperuser(
      `select d::date::text as day, a as anchor, app.period_start(d::date, 'month', a)::text as starts,
         app.period_end(app.period_start(d::date, 'month', a), 'month', a)::text as ends
       from generate_series('2023-12-01'::timestamp, '2025-03-31', '1 day') d, generate_series(1, 31) a`,
    )
  })
  test('begin on the anchor day, on the last day of shorter months, and leave no gap', () => {
    const lengthOf = (month: string) =>
      new Date(Date.UTC(Number(month.slice(0, 4)), Number(month.slice(5, 7)), 0)).getUTCDate()
    for (const { day, anchor, starts, ends } of rows) {
      expect(starts <= day && day < ends).toBe(true)
      for (const border of [starts, ends]) expect(Number(border.slice(8))).toBe(Math.min(anchor, lengthOf(border)))
    }
    expect(rows.find(({ day, anchor }) => day === '2024-02-28' && anchor === 31)).toMatchObject({
      starts: '2024-01-31',
      ends: '2024-02-29',
    })
    expect(rows.find(({ day, anchor }) => day === '2024-03-15' && anchor === 31)).toMatchObject({
      starts: '2024-02-29',
      ends: '2024-03-31',
    })
  })
})
