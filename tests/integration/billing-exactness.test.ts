// What closed periods must never do: bill twice, bill what never counted, forget what changed, or depend on how often one cut.
import { describe, expect, test } from 'vitest'
import { GET as exportRoute } from '@/app/api/v1/billing-periods/export/route'
import { POST as closeRoute } from '@/app/api/v1/billing-periods/route'
import { setSubscription } from '@/features/customers/services/subscription-service'
import { tenantQuery } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'
import { compareOverage } from '../support/compare-overage'
import { EVERY_AGGREGATION, insertMeters } from '../support/meters'
import { type PastEvent, writePast } from '../support/usage-history'
import { asSuperuser, asSystem, call, createTenant, createWorld, request, type TestTenant } from '../support/world'

await createWorld()

let made = 0
async function arrange(time_zone = 'UTC'): Promise<TestTenant> {
  made += 1
  const tenant = await createTenant(`billed-${made}`, { time_zone })
  await asSystem(tenant, async () => {
    await insertMeters(EVERY_AGGREGATION)
    for (const name of ['ann', 'bob'])
      await tenantQuery('insert into customers (id, external_id) values ($1, $2)', [newId(), name])
  })
  return tenant
}
const close = async (tenant: TestTenant, ends_at: string) => {
  const answer = await call(closeRoute, 'POST', '/api/v1/billing-periods', { as: tenant.api_key, body: { ends_at } })
  expect([answer.status, answer.body.errors]).toEqual([201, undefined])
  return answer.body
}
type Line = {
  meter: string
  starts_on: string
  ends_on: string
  quantity: string
  events: number
  overage: string | null
  adjustment: boolean
}
const linesOf = (tenant: TestTenant, meter: string): Promise<Line[]> =>
  asSuperuser<Line>(
    `select l.meter, l.starts_on::text, l.ends_on::text, trim_scale(l.quantity)::text as quantity, l.events::int, trim_scale(l.overage)::text as overage, l.adjustment
     from billing_lines l join billing_periods p on p.tenant_id = l.tenant_id and p.id = l.billing_period_id
     where l.tenant_id = $1 and l.meter = $2 order by p.ends_at, l.customer, l.starts_on`,
    [tenant.id, meter],
  )
const line = (starts_on: string, ends_on: string, quantity: string, events: number, rest: Partial<Line> = {}) => ({
  starts_on,
  ends_on,
  quantity,
  events,
  overage: null,
  adjustment: false,
  ...rest,
})
const lines = async (tenant: TestTenant, meter: string) =>
  (await linesOf(tenant, meter)).map(({ meter: _, ...rest }) => rest)
async function tier(tenant: TestTenant, name: string, limit: number, meter = 'sum', period = 'month'): Promise<void> {
  await asSystem(tenant, async () => {
    const id = newId()
    await tenantQuery(
      "insert into tiers (id, slug, name, price_minor, currency, billing_interval) values ($1, $2, $2, 0, 'EUR', 'month')",
      [id, name],
    )
    await tenantQuery(
      `insert into tier_caps (id, tier_id, meter_id, cap_limit, behaviour, period) select $1, $2, m.id, $4, 'overflow', $5 from meters m
       where m.tenant_id = $6 and m.slug = $3`,
      [newId(), id, meter, limit, period, tenant.id],
    )
  })
}
const subscribe = (tenant: TestTenant, customer: string, name: string, anchor_day: number) =>
  asSystem(tenant, () => setSubscription(customer, { tier: name, anchor_day }))
const at = (meter: string, occurred: string, value: string | number, rest: Partial<PastEvent> = {}): PastEvent => ({
  name: `${meter} ${occurred} ${value}`,
  meter,
  customer: 'ann',
  occurred,
  value,
  ...rest,
})

describe('when the months of a customer begin on another day', () => {
  test('what was billed is not billed again, whatever the meter', async () => {
    const tenant = await arrange()
    await tier(tenant, 'basic', 1_000_000)
    const meters = EVERY_AGGREGATION.map(({ slug }) => slug)
    await writePast(
      tenant,
      'UTC',
      meters.flatMap((meter) => [
        at(meter, '2026-09-03T00:00:00Z', 10, { properties: { device: 'a' } }),
        at(meter, '2026-09-20T00:00:00Z', 100, { properties: { device: 'b' } }),
      ]),
    )
    await close(tenant, '2026-10-01')
    const before = new Map(await Promise.all(meters.map(async (meter) => [meter, await lines(tenant, meter)] as const)))
    expect(before.get('max')).toEqual([line('2026-09-01', '2026-10-01', '100', 2)])
    await subscribe(tenant, 'ann', 'basic', 15)
    await writePast(
      tenant,
      'UTC',
      meters.map((meter) => at(meter, '2026-10-02T00:00:00Z', 5, { properties: { device: 'a' } })),
    )
    await close(tenant, '2026-10-10')
    const since = async (meter: string) => (await lines(tenant, meter)).slice(before.get(meter)?.length)
    // The days up to the new first day are a period of their own.
    expect(await since('max')).toEqual([line('2026-10-01', '2026-10-15', '5', 1)])
    expect(await since('sum')).toEqual([line('2026-10-01', '2026-10-15', '5', 1)])
    expect(await since('unique')).toEqual([line('2026-10-01', '2026-10-15', '1', 1)])
    expect(await since('latest')).toEqual([line('2026-10-01', '2026-10-15', '5', 1)])
    expect(await since('avg')).toEqual([line('2026-10-01', '2026-10-15', '5', 1)])
    expect(await since('level')).toMatchObject([{ starts_on: '2026-10-01', ends_on: '2026-10-15', events: 1 }])
    // Late usage of a billed month goes to that month.
    await writePast(tenant, 'UTC', [
      at('max', '2026-09-25T00:00:00Z', 130, { received: '2026-10-12T00:00:00Z' }),
      at('max', '2026-10-16T00:00:00Z', 7),
    ])
    await close(tenant, '2026-10-20')
    expect((await since('max')).slice(1)).toEqual([
      line('2026-09-01', '2026-10-01', '30', 1, { adjustment: true }),
      line('2026-10-15', '2026-11-15', '7', 1),
    ])
  })
})

describe('what never counted', () => {
  test('is not credited when it is taken back', async () => {
    const tenant = await arrange()
    await writePast(tenant, 'UTC', [
      at('sum', '2026-09-03T00:00:00Z', 10),
      at('sum', '2026-09-04T00:00:00Z', 7, { weight: 0 }),
      at('count', '2026-09-04T00:00:00Z', 1, { weight: 0 }),
    ])
    await close(tenant, '2026-10-01')
    await writePast(
      tenant,
      'UTC',
      [],
      [
        { name: 'sum 2026-09-04T00:00:00Z 7', received: '2026-10-03T00:00:00Z' },
        { name: 'count 2026-09-04T00:00:00Z 1', received: '2026-10-03T00:00:00Z' },
      ],
    )
    await close(tenant, '2026-10-15')
    expect(await lines(tenant, 'sum')).toEqual([line('2026-09-01', '2026-10-01', '10', 1)])
    expect(await lines(tenant, 'count')).toEqual([])
  })

  test('is not taken back at Stripe either', async () => {
    const tenant = await arrange()
    const connection = newId()
    await asSuperuser(
      `insert into stripe_exports (tenant_id, id, mode, secret, last_four, status) values ($1, $2, 'test', 'x', '0000', 'connected')`,
      [tenant.id, connection],
    )
    await asSuperuser(
      `insert into stripe_meters (tenant_id, id, stripe_export_id, meter_id, event_name, cut_at)
       select $1, $2, $3, id, 'sum', '2026-08-01' from meters where tenant_id = $1 and slug = 'sum'`,
      [tenant.id, newId(), connection],
    )
    await writePast(
      tenant,
      'UTC',
      [at('sum', '2026-09-03T00:00:00Z', 10), at('sum', '2026-09-04T00:00:00Z', 7, { weight: 0 })],
      [{ name: 'sum 2026-09-04T00:00:00Z 7', received: '2026-09-05T00:00:00Z' }],
    )
    await asSystem(tenant, () => tenantQuery('select app.cut_stripe_usage($1, $2)', [tenant.id, connection]))
    expect(
      await asSuperuser('select amount::int, events::int from stripe_deliveries where tenant_id = $1', [tenant.id]),
    ).toEqual([{ amount: 10, events: 1 }])
  })
})

describe('a level that changes late', () => {
  test('is billed in every month since', async () => {
    const tenant = await arrange()
    await writePast(tenant, 'UTC', [at('level', '2026-07-01T00:00:00Z', 10)])
    for (const end of ['2026-08-01', '2026-09-01', '2026-10-01']) await close(tenant, end)
    await writePast(tenant, 'UTC', [at('level', '2026-07-01T00:00:00Z', 5, { received: '2026-10-05T00:00:00Z' })])
    await close(tenant, '2026-11-01')
    expect((await lines(tenant, 'level')).slice(3)).toEqual([
      line('2026-07-01', '2026-08-01', '5', 1, { adjustment: true }),
      line('2026-08-01', '2026-09-01', '5', 0, { adjustment: true }),
      line('2026-09-01', '2026-10-01', '5', 0, { adjustment: true }),
      line('2026-10-01', '2026-11-01', '15', 0),
    ])
  })
})

describe('overage', () => {
  test('comes to what lies beyond the cap at the end, however often one cuts and however the cap changed', async () => {
    const tenant = await arrange()
    await tier(tenant, 'small', 50)
    await tier(tenant, 'large', 60)
    await subscribe(tenant, 'ann', 'small', 1)
    await asSuperuser("update subscriptions set started_at = '2026-01-01' where tenant_id = $1", [tenant.id])
    await writePast(tenant, 'UTC', [at('sum', '2026-11-02T00:00:00Z', 80)])
    await close(tenant, '2026-11-03')
    await subscribe(tenant, 'ann', 'large', 1)
    await asSuperuser(
      "update subscriptions set canceled_at = '2026-11-04' where tenant_id = $1 and canceled_at is not null",
      [tenant.id],
    )
    await asSuperuser(
      "update subscriptions set started_at = '2026-11-04' where tenant_id = $1 and canceled_at is null",
      [tenant.id],
    )
    await writePast(tenant, 'UTC', [at('sum', '2026-11-05T00:00:00Z', 5)])
    await close(tenant, '2026-11-06')
    expect((await lines(tenant, 'sum')).map(({ quantity, overage }) => ({ quantity, overage }))).toEqual([
      { quantity: '80', overage: '30' },
      { quantity: '5', overage: '-5' },
    ])
  })

  test('of a cap of each day is added up over the days, also where values do not add up', async () => {
    const tenant = await arrange()
    await tier(tenant, 'daily', 2, 'unique', 'day')
    await subscribe(tenant, 'ann', 'daily', 1)
    await asSuperuser("update subscriptions set started_at = '2026-01-01' where tenant_id = $1", [tenant.id])
    const device = (day: string, name: string) =>
      at('unique', `2026-11-${day}T10:00:00Z`, 1, { name: `${day} ${name}`, properties: { device: name } })
    await writePast(tenant, 'UTC', [
      ...['a', 'b', 'c', 'd'].map((name) => device('02', name)),
      ...['a', 'e'].map((name) => device('03', name)),
    ])
    await close(tenant, '2026-11-04')
    await writePast(tenant, 'UTC', [device('04', 'f'), device('04', 'g'), device('04', 'a')])
    await close(tenant, '2026-11-05')
    expect((await lines(tenant, 'unique')).map(({ quantity, overage }) => ({ quantity, overage }))).toEqual([
      { quantity: '5', overage: '2' },
      { quantity: '2', overage: '1' },
    ])
  })

  test('of a cap of each day is billed as well where as much was taken back on one day as came in on another', async () => {
    const tenant = await arrange()
    await tier(tenant, 'daily', 4, 'sum', 'day')
    await subscribe(tenant, 'ann', 'daily', 1)
    await asSuperuser("update subscriptions set started_at = '2026-01-01' where tenant_id = $1", [tenant.id])
    await writePast(tenant, 'UTC', [
      at('sum', '2026-11-02T10:00:00Z', 10, { name: 'taken back' }),
      at('sum', '2026-11-03T10:00:00Z', 4),
    ])
    await close(tenant, '2026-11-04')
    await writePast(
      tenant,
      'UTC',
      [at('sum', '2026-11-03T11:00:00Z', 10, { received: '2026-11-04T11:00:00Z' })],
      [{ name: 'taken back', received: '2026-11-04T12:00:00Z' }],
    )
    const reported = { customer: 'ann', meter: 'sum', starts_on: '2026-11-01', reported: '10', billed: '10' }
    expect(await compareOverage(tenant, 'UTC', '2026-11-01')).toEqual([reported])
    await close(tenant, '2026-11-05')
    expect(await lines(tenant, 'sum')).toEqual([
      line('2026-11-01', '2026-12-01', '14', 2, { overage: '6' }),
      line('2026-11-01', '2026-12-01', '0', 0, { overage: '4' }),
    ])
    expect(await compareOverage(tenant, 'UTC', '2026-11-01')).toEqual([reported])
  })
})

describe('the first period', () => {
  test('bills what it finds as what it is: nothing was billed before that could be adjusted', async () => {
    const tenant = await arrange()
    await writePast(tenant, 'UTC', [
      at('sum', '2026-09-20T00:00:00Z', 3, { received: '2026-10-02T00:00:00Z' }),
      at('sum', '2026-10-20T00:00:00Z', 4),
    ])
    expect(await close(tenant, '2026-11-01')).toMatchObject({ adjustments: 0, lines: 2 })
    expect(await lines(tenant, 'sum')).toEqual([
      line('2026-09-01', '2026-10-01', '3', 1),
      line('2026-10-01', '2026-11-01', '4', 1),
    ])
    await writePast(tenant, 'UTC', [at('sum', '2026-09-21T00:00:00Z', 1, { received: '2026-11-02T00:00:00Z' })])
    expect(await close(tenant, '2026-11-10')).toMatchObject({ adjustments: 1 })
  })
})

/** First moment of a day in a zone, by trying every quarter of an hour. */
function dayStart(day: string, zone: string): number {
  const format = new Intl.DateTimeFormat('en-CA', { timeZone: zone })
  let at = Date.parse(`${day}T00:00:00Z`) - 15 * 3_600_000
  while (format.format(at) < day) at += 900_000
  return at
}
type Placed = { meter: string; customer: string; eighths: bigint; at: number; device: string; order: number }
const exact = (dividend: bigint, divisor: bigint): string => {
  const scale = 10n ** 12n
  const twice = 2n * (dividend < 0n ? -dividend : dividend) * scale + divisor
  const digits = (twice / (2n * divisor)).toString().padStart(13, '0')
  const text = `${digits.slice(0, -12)}.${digits.slice(-12)}`.replace(/\.?0+$/, '')
  return dividend < 0n && text !== '0' ? `-${text}` : text
}
/** What events of one meter and customer come to over a period of usage, as of a moment. */
function worthOf(aggregation: string, all: readonly Placed[], opens: number, closes: number, until: number): string {
  const events = all.filter(({ at }) => at >= opens && at < closes)
  const values = events.map(({ eighths }) => eighths)
  const sum = values.reduce((total, value) => total + value, 0n)
  if (aggregation === 'WEIGHTED_SUM') {
    const end = Math.min(closes, until)
    if (end <= opens) return '0'
    let area = 0n
    for (const { at, eighths } of all) if (at < end) area += eighths * BigInt(end - Math.max(at, opens))
    return exact(area, 8n * BigInt(end - opens))
  }
  if (aggregation === 'COUNT') return String(events.length)
  if (aggregation === 'UNIQUE_COUNT') return String(new Set(events.map(({ device }) => device)).size)
  if (aggregation === 'SUM') return exact(sum, 8n)
  if (events.length === 0) return '0'
  if (aggregation === 'AVG') return exact(sum, 8n * BigInt(events.length))
  const sorted = values.toSorted((a, b) => (a < b ? -1 : 1))
  if (aggregation === 'MIN') return exact(sorted[0] ?? 0n, 8n)
  if (aggregation === 'MAX') return exact(sorted.at(-1) ?? 0n, 8n)
  const last = events.toSorted((a, b) => a.at - b.at || a.order - b.order).at(-1)
  return exact(last?.eighths ?? 0n, 8n)
}

describe('over many cuts, changes of anchor, late events and corrections', () => {
  test.each(
    Array.from({ length: Number(process.env.BILLING_RUNS ?? 6) }, (_, run) => ({
      run,
      zone:
        ['UTC', 'America/New_York', 'Europe/Berlin', 'America/Havana', 'Australia/Lord_Howe', 'Asia/Kathmandu'][
          run % 6
        ] ?? 'UTC',
    })),
  )('run $run in $zone: lines come to the model', async ({ run, zone }) => {
    let state = 77 + run * 7_919 + Number(process.env.BILLING_SEED ?? 0)
    const next = (below: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return Math.floor((state / 2 ** 32) * below)
    }
    const tenant = await arrange(zone)
    await tier(tenant, 'capped', 20)
    await asSystem(tenant, () =>
      tenantQuery(
        `insert into tier_caps (id, tier_id, meter_id, cap_limit, behaviour, period) select gen_random_uuid(), t.id, m.id, 5, 'overflow', 'month'
         from tiers t, meters m where t.tenant_id = $1 and m.tenant_id = $1 and m.slug in ('max', 'unique', 'avg')`,
        [tenant.id],
      ),
    )
    const events: (Placed & { name: string; received: number; counts: boolean; canceled: number | null })[] = []
    let last = Date.parse('2026-05-04T00:00:00Z')
    for (let cut = 0; cut < 6; cut += 1) {
      const ends = last + (4 + next(40)) * 86_400_000 + next(86_400) * 1_000
      for (const customer of ['ann', 'bob'])
        if (cut === 0 || next(3) === 0) await subscribe(tenant, customer, 'capped', [1, 15, 29, 30, 31][next(5)] ?? 1)
      await asSuperuser(
        `with gone as (delete from subscriptions where tenant_id = $1 and canceled_at is not null)
         update subscriptions set started_at = '2026-01-01' where tenant_id = $1 and canceled_at is null`,
        [tenant.id],
      )
      const fresh = Array.from({ length: 40 }, () => {
        const received = last + next((ends - last) / 1_000) * 1_000
        const order = events.length
        const event = {
          name: `${run} ${order}`,
          order,
          meter: EVERY_AGGREGATION[next(EVERY_AGGREGATION.length)]?.slug ?? 'sum',
          customer: ['ann', 'bob'][next(2)] ?? 'ann',
          eighths: BigInt(next(200) - 40),
          at: received - (next(2) === 0 ? 0 : next(70 * 86_400) * 1_000),
          device: `d${next(9)}`,
          received: received + order / 1_000,
          counts: next(8) > 0,
          canceled: null as number | null,
        }
        events.push(event)
        return event
      })
      const canceled = Array.from({ length: 6 }, () => events[next(events.length)]).flatMap((event) => {
        if (!event || event.canceled !== null) return []
        const received = Math.max(event.received, last) + 1
        if (received >= ends) return []
        event.canceled = received
        return [{ name: event.name, received: new Date(received).toISOString() }]
      })
      await writePast(
        tenant,
        zone,
        fresh.map(({ name, meter, customer, eighths, at: when, received, device, counts }) => ({
          name,
          meter,
          customer,
          value: exact(eighths, 8n),
          occurred: new Date(when).toISOString(),
          received: new Date(received).toISOString(),
          properties: { device },
          weight: counts ? 1 : 0,
        })),
        canceled,
      )
      await close(tenant, new Date(ends).toISOString())
      last = ends
    }
    const billed = await asSuperuser<Line & { customer: string }>(
      `select l.customer, l.meter, l.starts_on::text, l.ends_on::text, trim_scale(sum(l.quantity))::text as quantity, sum(l.events)::int as events,
         trim_scale(sum(l.overage))::text as overage
       from billing_lines l where l.tenant_id = $1 group by 1, 2, 3, 4 order by 1, 2, 3`,
      [tenant.id],
    )
    expect(billed.length).toBeGreaterThan(30)
    const standing = events.filter(({ counts, canceled }) => counts && canceled === null)
    for (const { slug, aggregation } of EVERY_AGGREGATION)
      for (const customer of ['ann', 'bob']) {
        const mine = standing.filter((event) => event.meter === slug && event.customer === customer)
        const spans = billed.filter((row) => row.meter === slug && row.customer === customer)
        for (const [index, { starts_on }] of spans.entries())
          if (index > 0) expect((spans[index - 1]?.ends_on ?? '') <= starts_on).toBe(true)
        for (const { at: when, name } of mine)
          expect([
            name,
            spans.filter(
              ({ starts_on, ends_on }) => when >= dayStart(starts_on, zone) && when < dayStart(ends_on, zone),
            ).length,
          ]).toEqual([name, 1])
        for (const { starts_on, ends_on, quantity, overage } of spans) {
          const value = worthOf(aggregation, mine, dayStart(starts_on, zone), dayStart(ends_on, zone), last)
          const cap = slug === 'sum' ? 20 : ['max', 'unique', 'avg'].includes(slug) ? 5 : null
          const key = { run, slug, customer, starts_on, ends_on }
          expect({ ...key, quantity }).toEqual({ ...key, quantity: value })
          if (cap === null) expect({ ...key, overage }).toEqual({ ...key, overage: null })
          else
            expect({ ...key, overage: Number(overage) }).toEqual({
              ...key,
              overage: expect.closeTo(Math.max(0, Number(value) - cap), 9),
            })
        }
      }
  })
})

test.each([
  { run: 7, zone: 'Asia/Kathmandu' },
  { run: 18, zone: 'Australia/Lord_Howe' },
])(
  'exports of one range after the other come to the export of all, and to what closing bills: run $run in $zone',
  async ({ run, zone }) => {
    let state = 991 + run * 7_919
    const next = (below: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return Math.floor((state / 2 ** 32) * below)
    }
    const tenant = await arrange(zone)
    for (const [name, flip] of [
      ['even', 0],
      ['odd', 1],
    ] as const) {
      await tier(tenant, name, 7)
      await asSystem(tenant, () =>
        tenantQuery(
          `insert into tier_caps (id, tier_id, meter_id, cap_limit, behaviour, period)
         select gen_random_uuid(), t.id, m.id, 7, 'overflow', case when (ascii(m.slug) + $3) % 2 = 0 then 'day' else 'month' end
         from meters m join tiers t on t.tenant_id = $1 and t.slug = $2 where m.tenant_id = $1 and m.slug <> 'sum'`,
          [tenant.id, name, flip],
        ),
      )
    }
    for (const [customer, name] of [
      ['ann', 'even'],
      ['bob', 'odd'],
    ] as const)
      await subscribe(tenant, customer, name, [1, 15, 30, 31][next(4)] ?? 1)
    await asSuperuser("update subscriptions set started_at = '2026-01-01' where tenant_id = $1", [tenant.id])
    const base = Date.parse('2026-08-20T00:00:00Z')
    const span = 60 * 86_400
    const events = Array.from({ length: 160 }, (_, index): PastEvent & { received: string } => {
      const received = base + next(span) * 1_000 + index
      return {
        name: `cut ${run} ${index}`,
        meter: EVERY_AGGREGATION[next(EVERY_AGGREGATION.length)]?.slug ?? 'sum',
        customer: ['ann', 'bob'][next(2)] ?? 'ann',
        value: (next(160) - 30) / 8,
        occurred: new Date(received - (next(2) ? 0 : next(40 * 86_400) * 1_000)).toISOString(),
        received: new Date(received).toISOString(),
        properties: { device: `d${next(6)}` },
        weight: next(8) ? 1 : 0,
      }
    })
    const last = base + span * 1_000
    const canceled = [...new Set(Array.from({ length: 25 }, () => next(events.length)))].flatMap((index) => {
      const event = events[index]
      const received = Math.min(last, Date.parse(event?.received ?? '') + next(20 * 86_400) * 1_000)
      return event ? [{ name: event.name, received: new Date(received).toISOString() }] : []
    })
    await writePast(tenant, zone, events, canceled)
    const between = Array.from({ length: 5 }, () => base + next(span) * 1_000).sort((a, b) => a - b)
    const cuts = [base, ...between, last + 1_000].map((at) => new Date(at).toISOString())
    type Exported = { customer: string; meter: string; starts_on: string } & Record<
      'quantity' | 'events' | 'overage',
      number
    >
    const exported = async (from = '', to = '') => {
      const answer = await exportRoute(await request('GET', `/x?from=${from}&to=${to}`, { as: tenant.api_key }))
      return (await answer.text())
        .split('\n')
        .filter(Boolean)
        .map((text): Exported => JSON.parse(text))
    }
    const sumUp = (all: readonly Exported[]) =>
      [...Map.groupBy(all, ({ customer, meter, starts_on }) => `${customer} ${meter} ${starts_on}`)]
        .map(([key, rows]) => {
          const sum = (field: 'quantity' | 'events' | 'overage') =>
            rows.reduce((total, row) => total + Number(row[field] ?? 0), 0)
          return `${key}: ${sum('quantity').toFixed(8)} of ${sum('events')}, ${sum('overage').toFixed(8)} over`
        })
        .filter((text) => !/: -?0\.0+ of 0, -?0\.0+ over$/.test(text))
        .map((text) => text.replaceAll('-0.00000000', '0.00000000'))
        .sort()
    const parts: Exported[] = []
    for (const [index, to] of cuts.entries()) if (index > 0) parts.push(...(await exported(cuts[index - 1], to)))
    const whole = sumUp(await exported(cuts[0], cuts.at(-1)))
    expect(whole.length).toBeGreaterThan(30)
    expect(sumUp(parts)).toEqual(whole)
    await close(tenant, cuts.at(-1) ?? '')
    const billed = await asSuperuser<Exported>(
      'select customer, meter, starts_on::text, quantity, events, overage from billing_lines where tenant_id = $1',
      [tenant.id],
    )
    expect(sumUp(billed)).toEqual(whole)
  },
)

test('every quotient is rounded once: averages and levels are the model to the last digit', async () => {
  let state = 5n
  const next = (bits: number): bigint => {
    state = (state * 6_364_136_223_846_793_005n + 1_442_695_040_888_963_407n) % 2n ** 64n
    return state >> BigInt(64 - bits)
  }
  // Dividends of up to 60 digits with 20 behind the point, and those that lie on the border between two roundings.
  const cases = Array.from({ length: 4_000 }, (_, index) => {
    const divisor = 1n + next([3, 10, 31, 53][index % 4] ?? 3)
    const border = (2n * next(60) + 1n) * divisor * 50_000_000n + (next(2) - 1n)
    const wide = next(60) * next(60) * next(60)
    const dividend = (index % 3 === 0 ? border : wide) * (next(1) === 0n ? 1n : -1n)
    return { dividend, divisor }
  })
  const text = (units: bigint): string => {
    const digits = (units < 0n ? -units : units).toString().padStart(21, '0')
    return `${units < 0n ? '-' : ''}${digits.slice(0, -20)}.${digits.slice(-20)}`
  }
  const rounded = ({ dividend, divisor }: { dividend: bigint; divisor: bigint }): string => {
    const size = dividend < 0n ? -dividend : dividend
    const quotient = (2n * size + divisor * 10n ** 8n) / (2n * divisor * 10n ** 8n)
    const digits = quotient.toString().padStart(13, '0')
    const plain = `${digits.slice(0, -12)}.${digits.slice(-12)}`.replace(/0+$/, '').replace(/\.$/, '')
    return dividend < 0n && quotient !== 0n ? `-${plain}` : plain
  }
  const rows = await asSuperuser<{ average: string; level: string; quotient: string }>(
    `select app.metered_value('AVG', d, n)::text as average, app.average_level(0, 0, -d, 0, n)::text as level, app.exact_quotient(d, n)::text as quotient
     from unnest($1::numeric[], $2::bigint[]) with ordinality x (d, n, ord) order by ord`,
    [cases.map(({ dividend }) => text(dividend)), cases.map(({ divisor }) => String(divisor))],
  )
  const wanted = cases.map(rounded)
  expect(rows.map(({ average }) => average)).toEqual(wanted)
  expect(rows.map(({ level }) => level)).toEqual(wanted)
  expect(rows.map(({ quotient }) => quotient)).toEqual(wanted)
})
