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
})

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

describe('windows that begin within an hour of UTC', () => {
  const MINUTE = 60_000
  const plant = async (at: number) => {
    const id = crypto.randomUUID()
    await asSuperuser(
      `insert into usage_events (tenant_id, id, meter_id, customer_id, value, occurred_at, received_at, received_month)
       select $1, $2, m.id, (select id from customers where tenant_id = $1 limit 1), 1000, $3, now(), date_trunc('month', now() at time zone 'UTC')::date
       from meters m where m.tenant_id = $1 and m.slug = 'sum'`,
      [tenant.id, id, new Date(at).toISOString()],
    )
    return () => asSuperuser('delete from usage_events where tenant_id = $1 and id = $2', [tenant.id, id])
  }

  test.each([
    ['Asia/Kolkata', 18.5],
    ['Asia/Kathmandu', 18.25],
    ['Australia/Eucla', 15.25],
  ])('%s: no event is read but where a range begins within a quarter', async (time_zone, midnight) => {
    const from = START + midnight * HOUR
    const to = new Date(START + 5 * DAY + midnight * HOUR).toISOString()
    const series = async (window: string, since = from) =>
      ask('sum', { from: new Date(since).toISOString(), to, window, time_zone })
    const before = { hours: await series('HOUR'), days: await series('DAY') }
    expect(before.days).toHaveLength(5)
    expect(before.hours.length).toBeGreaterThan(15)
    expect(new Set(before.hours.map(({ at }) => Date.parse(at) % HOUR))).toEqual(new Set([from % HOUR]))
    // An event that no total knows of is not seen, unless it lies where events are looked at.
    for (const minutes of [0, 20, 30, 59, 24 * 60 - 1, 3 * 24 * 60 + 10]) {
      const unplant = await plant(from + minutes * MINUTE)
      expect({ hours: await series('HOUR'), days: await series('DAY') }).toEqual(before)
      await unplant()
    }
    const [busy] = await asSuperuser<{ at: Date }>(
      `select min(quarter) as at from usage_quarters where tenant_id = $1 and quarter > $2 and events > 0
         and meter_id = (select id from meters where tenant_id = $1 and slug = 'sum')`,
      [tenant.id, new Date(from).toISOString()],
    )
    const within = (busy?.at.getTime() ?? 0) + 5 * MINUTE
    const [cut] = await series('DAY', within)
    const unplant = await plant(within + MINUTE)
    expect((await series('DAY', within))[0]?.value).toBe((cut?.value ?? 0) + 1_000)
    await unplant()
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

describe('totals by the hour of UTC, as they were before there were quarters', () => {
  const kept = (grain: string) =>
    asSuperuser<{ row: unknown }>(
      `select jsonb_build_object('meter', m.slug, 'at', date_trunc($2, q.quarter), 'events', sum(q.events), 'moment', trim_scale(sum(q.moment)),
         'last_at', max(q.last_at), 'used', trim_scale(case m.slug when 'min' then min(q.used) when 'max' then max(q.used)
           when 'latest' then (array_agg(q.used order by q.last_at desc, q.last_received_at desc))[1] else sum(q.used) end),
         'last_received_at', (array_agg(q.last_received_at order by q.last_at desc, q.last_received_at desc))[1]) as row
       from usage_quarters q join meters m on m.tenant_id = q.tenant_id and m.id = q.meter_id
       where q.tenant_id = $1 and q.events <> 0 group by m.slug, date_trunc($2, q.quarter) order by m.slug, date_trunc($2, q.quarter)`,
      [tenant.id, grain],
    )
  const convert = async () => {
    const chapter = readFileSync('supabase/migrations/20261122000100_usage_quarters.sql', 'utf8')
    const [fill] = /^with\ncounted as [^;]+;/m.exec(chapter) ?? []
    await asSuperuser('truncate usage_quarters')
    await asSuperuser(fill ?? '')
  }

  beforeAll(async () => {
    await asSuperuser(
      `create table usage_hours as
       select q.tenant_id, q.meter_id, date_trunc('hour', q.quarter, 'UTC') as hour, sum(q.events)::bigint as events, sum(q.moment) as moment,
         case m.aggregation when 'MIN' then min(q.used) when 'MAX' then max(q.used)
           when 'LATEST' then (array_agg(q.used order by q.last_at desc, q.last_received_at desc))[1] else sum(q.used) end as used,
         max(q.last_at) as last_at, (array_agg(q.last_received_at order by q.last_at desc, q.last_received_at desc))[1] as last_received_at
       from usage_quarters q join meters m on m.tenant_id = q.tenant_id and m.id = q.meter_id
       where q.events <> 0 group by 1, 2, 3, m.aggregation`,
    )
    return () => asSuperuser('drop table usage_hours')
  })

  test('become quarters by their events', async () => {
    const before = await kept('minute')
    expect(before.length).toBeGreaterThan(500)
    await convert()
    expect(await kept('minute')).toEqual(before)
    expect(await drifts()).toEqual([])
  })

  test('stay what they are where events are gone', async () => {
    const before = await kept('hour')
    await asSuperuser(
      `delete from usage_events e where e.tenant_id = $1 and e.occurred_at < $2::timestamptz + interval '40 minutes' and e.weight = 1
         and (e.occurred_at < $2 or get_byte(uuid_send(e.id), 1) < 128)`,
      [tenant.id, new Date(START + 2 * DAY + 18 * HOUR).toISOString()],
    )
    await convert()
    expect(await kept('hour')).toEqual(before)
    const [first] = await asSuperuser(
      `select count(*) filter (where date_part('minute', quarter) <> 0)::int as others from usage_quarters where tenant_id = $1 and quarter < $2`,
      [tenant.id, new Date(START + 2 * DAY + 18 * HOUR).toISOString()],
    )
    expect(first).toEqual({ others: 0 })
  })
})
