// Series that take as long whatever there is: which totals a question reads, and that they are right.
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { createMeter } from '@/features/meters/services/meter-service'
import { TenantUsageTrackingService } from '@/features/usage-tracking/services/tenant-usage-tracking-service'
import { correctUsage } from '@/features/usage-tracking/services/usage-correction-service'
import { queryUsage } from '@/features/usage-tracking/services/usage-query-service'
import { tenantQuery } from '@/libs/db/tenant-db'
import { usageQueryInput } from '@/libs/metering/usage-query'
import { asSuperuser, asSystem, createTenant, createWorld } from '../support/world'

await createWorld()
const tenant = await createTenant('series')

const AGGREGATIONS = ['SUM', 'COUNT', 'MIN', 'MAX', 'AVG', 'LATEST', 'WEIGHTED_SUM'] as const
const HOUR = 3_600_000
const DAY = 24 * HOUR
/** Midnight of UTC, ten days ago. */
const START = Math.floor(Date.now() / DAY) * DAY - 10 * DAY
const HUNDREDTHS = '100%s of "x"'

const ask = async (meter: string, query: Record<string, unknown>) => {
  const { data } = await asSystem(tenant, () => queryUsage(meter, usageQueryInput.parse(query)))
  return data.map(({ window_start, customer, group, value, events }) => ({
    at: window_start,
    ...(customer ? { customer: customer.external_id } : {}),
    ...(group ? { group } : {}),
    value: value === null ? null : Number(value),
    events,
  }))
}
const drifts = () =>
  asSystem(tenant, () =>
    tenantQuery(
      `select f.table_name, f.row_key, f.stored, f.expected from app.find_usage_drift($1, 'UTC', null, null) f where f.table_name is not null`,
      [tenant.id],
    ),
  )
const week = { from: new Date(START).toISOString(), to: new Date(START + 7 * DAY).toISOString() }

beforeAll(async () => {
  await asSystem(tenant, async () => {
    for (const aggregation of AGGREGATIONS)
      await createMeter({
        slug: aggregation.toLowerCase(),
        name: aggregation,
        aggregation,
        description: '',
        unit: '',
        allows_negative: true,
        value_property: null,
        filter: null,
        event_type: null,
        group_by: ['region', HUNDREDTHS],
      } as never)
  })
  for (const aggregation of AGGREGATIONS) {
    const events = Array.from({ length: 400 }, (_, index) => ({
      event_id: `${aggregation} ${index}`,
      meter_id: aggregation.toLowerCase(),
      user_id: `customer-${index % 13}`,
      event_value: String((index * 37) % 101),
      timestamp: new Date(START + ((index * 7_919) % 10_079) * 60_000).toISOString(),
      properties: { region: ['eu', 'us', 'ap'][index % 3] as string, [HUNDREDTHS]: String(index % 2) },
    }))
    const result = await asSystem(tenant, () => TenantUsageTrackingService.trackUsage(events))
    expect(result.rejected).toEqual([])
  }
}, 60_000)

describe('by group', () => {
  test.each(AGGREGATIONS)(
    '%s: the totals of groups are what the customers of them come to, also corrected',
    async (aggregation) => {
      const meter = aggregation.toLowerCase()
      const look = async () => {
        const all = await ask(meter, { ...week, window: 'DAY', group_by: ['region'] })
        const each = await ask(meter, { ...week, window: 'DAY', group_by: ['region', 'customer'] })
        const key = ({ at, group }: (typeof all)[number]) => `${at} ${group?.region}`
        for (const row of all) {
          const own = each.filter((other) => key(other) === key(row))
          expect(own.reduce((sum, { events }) => sum + events, 0)).toBe(row.events)
          const values = own.map(({ value }) => value ?? 0)
          if (aggregation === 'SUM' || aggregation === 'COUNT')
            expect(values.reduce((a, b) => a + b, 0)).toBe(row.value)
          if (aggregation === 'MIN') expect(Math.min(...values)).toBe(row.value)
          if (aggregation === 'MAX') expect(Math.max(...values)).toBe(row.value)
          if (aggregation === 'LATEST') expect(values).toContain(row.value)
        }
        return all
      }
      const before = await look()
      expect(before).toHaveLength(21)
      const named = (from: number, length: number) =>
        Array.from({ length }, (_, index) => `${aggregation} ${from + index}`)
      await asSystem(tenant, () =>
        correctUsage([
          ...named(0, 45).map((event_id) => ({ action: 'cancel' as const, event_id })),
          ...named(100, 45).map((event_id) => ({ action: 'amend' as const, event_id, event_value: '500' })),
        ]),
      )
      const after = await look()
      expect(after).not.toEqual(before)
      expect(await drifts()).toEqual([])
    },
  )

  test('a property of any name, and filters on it', async () => {
    const split = await ask('count', { ...week, group_by: [HUNDREDTHS] })
    expect(split.map(({ group }) => group)).toEqual([{ [HUNDREDTHS]: '0' }, { [HUNDREDTHS]: '1' }])
    const filter = { property: HUNDREDTHS, operator: 'eq', value: '1' }
    expect(await ask('count', { ...week, filter })).toMatchObject([{ value: split[1]?.value }])
    expect(await ask('count', { ...week, window: 'HOUR', group_by: [HUNDREDTHS] })).not.toEqual([])
    const byCustomer = await ask('count', { ...week, group_by: [HUNDREDTHS, 'customer'] })
    expect(byCustomer.reduce((sum, { value }) => sum + (value ?? 0), 0)).toBe(
      split.reduce((sum, { value }) => sum + (value ?? 0), 0),
    )
  })

  test('rows of customers are read only where customers are asked for', async () => {
    const total = await ask('sum', { ...week, group_by: ['region'] })
    const own = await ask('sum', { ...week, group_by: ['region'], customer: ['customer-1'] })
    const move = (amount: number) =>
      asSuperuser('update usage_groups set used = used + $2 where tenant_id = $1', [tenant.id, amount])
    await move(1_000)
    expect(await ask('sum', { ...week, group_by: ['region'] })).toEqual(total)
    expect(await ask('sum', { ...week, group_by: ['region'], customer: ['customer-1'] })).not.toEqual(own)
    await move(-1_000)
    expect(await ask('sum', { ...week, group_by: ['region'], customer: ['customer-1'] })).toEqual(own)
  })

  test('what was there before the totals were is put together as they would have been', async () => {
    const kept = () =>
      asSuperuser<{ row: unknown }>(
        `select to_jsonb(t) || jsonb_build_object('used', trim_scale(t.used), 'moment', trim_scale(t.moment)) as row
         from usage_group_totals t where t.tenant_id = $1 order by t.meter_id, t.day, t.group_hash`,
        [tenant.id],
      )
    const before = await kept()
    expect(before.length).toBeGreaterThan(100)
    const chapter = readFileSync('supabase/migrations/20261108000100_group_totals.sql', 'utf8')
    const [fill] = /^insert into public\.usage_group_totals [^;]+;/m.exec(chapter) ?? []
    await asSuperuser('delete from usage_group_totals')
    await asSuperuser(fill ?? '')
    expect(await kept()).toEqual(before)
    expect(await drifts()).toEqual([])
  })
})

describe('windows that begin within an hour', () => {
  test.each([
    ['Asia/Kolkata', 18.5],
    ['Asia/Kathmandu', 18.25],
    ['Australia/Eucla', 15.25],
  ])('%s: events are read only beside a midnight', async (time_zone, midnight) => {
    const range = {
      from: new Date(START + midnight * HOUR).toISOString(),
      to: new Date(START + 5 * DAY + midnight * HOUR).toISOString(),
    }
    const series = () => ask('sum', { ...range, window: 'DAY', time_zone })
    const before = await series()
    expect(before).toHaveLength(5)
    // An event that no total knows of is not seen, unless it lies where events are looked at.
    const plant = (id: string, at: number) =>
      asSuperuser(
        `insert into usage_events (tenant_id, id, meter_id, customer_id, value, occurred_at, received_at, received_month)
         select $1, $2, m.id, (select id from customers where tenant_id = $1 limit 1), 1000, $3, $3, date_trunc('month', now() at time zone 'UTC')::date
         from meters m where m.tenant_id = $1 and m.slug = 'sum'`,
        [tenant.id, id, new Date(at).toISOString()],
      )
    const unplant = (id: string) =>
      asSuperuser('delete from usage_events where tenant_id = $1 and id = $2', [tenant.id, id])
    const [inside, beside] = [crypto.randomUUID(), crypto.randomUUID()]
    for (const hour of [1, 5, 12, 21]) {
      await plant(inside, START + 2 * DAY + hour * HOUR + 30 * 60_000)
      expect(await series()).toEqual(before)
      await unplant(inside)
    }
    await plant(beside, START + 2 * DAY + midnight * HOUR - 60_000)
    const [, , third, fourth] = await series()
    // Of an hour that is cut the two parts are always what the hour is.
    expect((third?.value ?? 0) + (fourth?.value ?? 0)).toBe((before[2]?.value ?? 0) + (before[3]?.value ?? 0))
    await unplant(beside)
    expect(await series()).toEqual(before)
  })
})

describe('by customer', () => {
  // By customer a month is read less the days before the range; of one customer its days.
  test.each(AGGREGATIONS)('%s: together and one by one', async (aggregation) => {
    const range = { from: new Date(START + 2 * DAY).toISOString(), to: week.to }
    const meter = aggregation.toLowerCase()
    const together = await ask(meter, { ...range, group_by: ['customer'] })
    expect(together).toHaveLength(13)
    for (const { customer = '', ...row } of together)
      expect(await ask(meter, { ...range, customer: [customer] })).toEqual([row])
  })

  test('months and days come to the same, whenever the months of a customer begin', async () => {
    const whole = await ask('sum', { time_range: '90d', group_by: ['customer'] })
    const daily = await ask('sum', { time_range: '90d', window: 'DAY', group_by: ['customer'] })
    const added = new Map<string, number>()
    for (const { customer = '', value } of daily) added.set(customer, (added.get(customer) ?? 0) + (value ?? 0))
    expect(new Map(whole.map(({ customer = '', value }) => [customer, value]))).toEqual(added)
    expect(added.size).toBe(13)
    // Days as they should be, months spoilt: only what holds a whole month reads it.
    const move = (amount: number) =>
      asSuperuser(`update usage_counters set used = used + $2 where tenant_id = $1 and period = 'month'`, [
        tenant.id,
        amount,
      ])
    const few = () => ask('sum', { ...week, window: 'DAY', group_by: ['customer'] })
    const before = await few()
    await move(1_000)
    expect(await ask('sum', { time_range: '90d', group_by: ['customer'] })).not.toEqual(whole)
    expect(await few()).toEqual(before)
    await move(-1_000)
    expect(await drifts()).toEqual([])
  })
})
