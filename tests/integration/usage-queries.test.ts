// Any range, window, time zone, filter and group: what is answered equals a plain model of the events, to the last digit.
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { GET as queryMeter } from '@/app/api/v1/meters/[id]/query/route'
import { GET as dailyRoute } from '@/app/api/v1/usage/daily/route'
import { GET as queryUsageRoute } from '@/app/api/v1/usage/query/route'
import { GET as totalsRoute } from '@/app/api/v1/usage/route'
import { setSubscription } from '@/features/customers/services/subscription-service'
import { createMeter } from '@/features/meters/services/meter-service'
import { tierInput } from '@/features/tiers/schema'
import { createTier } from '@/features/tiers/services/tier-service'
import { TenantUsageTrackingService } from '@/features/usage-tracking/services/tenant-usage-tracking-service'
import { correctUsage } from '@/features/usage-tracking/services/usage-correction-service'
import { queryUsage } from '@/features/usage-tracking/services/usage-query-service'
import { updateUsageSettings } from '@/features/usage-tracking/services/usage-settings-service'
import { tenantQuery } from '@/libs/db/tenant-db'
import { toQuantity } from '@/libs/ingest/decimal'
import type { MeterFilter } from '@/libs/metering/meter-filter'
import { passesFilter } from '../support/filter-model'
import {
  answerByModel,
  asAnswer,
  comparable,
  type ModelEvent,
  type ModelMeter,
  type ModelQuestion,
} from '../support/usage-model'
import { asSuperuser, asSystem, call, createApiKey, createTenant, createWorld, type TestTenant } from '../support/world'

const { acme, globex, stranger } = await createWorld()

const AGGREGATIONS = ['SUM', 'COUNT', 'UNIQUE_COUNT', 'MIN', 'MAX', 'AVG', 'LATEST', 'WEIGHTED_SUM'] as const
const ZONES = ['UTC', 'America/New_York', 'Europe/Berlin', 'Asia/Kolkata', 'Australia/Lord_Howe']
/** Asked for as well: clocks that differ by half hours and quarters. */
const ASKED_ZONES = [...ZONES, 'Asia/Kathmandu', 'America/St_Johns', 'Australia/Eucla', 'Pacific/Chatham']
const CUSTOMERS = ['ada', 'bob', 'cyd', 'dan']
const DAY = 86_400_000
const NOW = Date.now()
/** Far enough back that every zone changes its clocks within it. */
const SPAN = 75 * DAY

const filters: (MeterFilter | null)[] = [
  null,
  { property: 'kind', operator: 'in', value: ['read', 'write'] },
  {
    or: [
      { property: 'size', operator: 'gte', value: '10' },
      { property: 'region', operator: 'like', value: 'e_' },
    ],
  },
  {
    and: [
      { property: 'region', operator: 'ne', value: 'us' },
      { property: 'size', operator: 'lt', value: 40 },
    ],
  },
]

/** One meter of each aggregation without groups, and one with, each with a filter or none. */
function metersOf(seed: number): ModelMeter[] {
  return AGGREGATIONS.flatMap((aggregation, index) =>
    [[], ['region', 'kind']].map((group_by, grouped) => ({
      slug: `${aggregation.toLowerCase()}_${grouped}`,
      aggregation,
      value_property: aggregation === 'UNIQUE_COUNT' ? 'person' : aggregation === 'MAX' && grouped ? 'size' : null,
      group_by,
      filter: filters[(index + grouped + seed) % filters.length] ?? null,
    })),
  )
}

const decimal = fc
  .tuple(fc.integer({ min: -50_000, max: 50_000 }), fc.integer({ min: 0, max: 4 }))
  .map(([units, scale]) => {
    const digits = String(Math.abs(units)).padStart(scale + 1, '0')
    const text = scale ? `${digits.slice(0, -scale)}.${digits.slice(-scale)}` : digits
    return units < 0 ? `-${text}` : text
  })

const eventOf = (meters: readonly ModelMeter[]) =>
  fc.record({
    meter: fc.constantFrom(...meters.map(({ slug }) => slug)),
    customer: fc.constantFrom(...CUSTOMERS),
    value: decimal,
    // Often on the border of an hour or a day, where a half-open range decides.
    at: fc.oneof(
      fc.integer({ min: 0, max: SPAN / 1_000 }).map((seconds) => new Date(NOW - SPAN + seconds * 1_000 - 60_000)),
      fc
        .integer({ min: 1, max: SPAN / 1_800_000 })
        .map((halves) => new Date(Math.floor(NOW / 1_800_000 - halves) * 1_800_000)),
    ),
    properties: fc.record(
      {
        kind: fc.constantFrom('read', 'write', 'list'),
        size: fc.integer({ min: -5, max: 60 }),
        region: fc.constantFrom('eu', 'us', 'ap'),
        person: fc.constantFrom('p1', 'p2', 'p3', 'p4', 'p5', 'p6'),
      },
      { requiredKeys: ['size', 'person'] },
    ),
  })

type World = { tenant: TestTenant; zone: string; meters: ModelMeter[]; events: ModelEvent[] }
const worlds: World[] = []

/** Cancels every twentieth event and amends the one after it; gives what is left, corrected, in the order of arrival. */
async function correctSome(tenant: TestTenant, events: readonly ModelEvent[]): Promise<ModelEvent[]> {
  const places = [...events.keys()]
  const canceled = places.filter((place) => place % 20 === 3)
  const amended = places.filter((place) => place % 20 === 4)
  const bodies = [
    ...canceled.map((place) => ({ action: 'cancel', event_id: String(place) })),
    ...amended.map((place) => ({ action: 'amend', event_id: String(place), event_value: '17.25' })),
  ]
  for (let sent = 0; sent < bodies.length; sent += 75) {
    const result = await asSystem(tenant, () => correctUsage(bodies.slice(sent, sent + 75)))
    expect(result.rejected).toEqual([])
  }
  return [
    ...events.filter((_, place) => !canceled.includes(place) && !amended.includes(place)),
    ...amended.flatMap((place) => (events[place] ? [{ ...events[place], value: '17.25' }] : [])),
  ]
}

/** Partitions of the months past, as they are there once the months have come and gone. */
const makePastPartitions = () =>
  asSuperuser(
    `do $$
     declare v_month date;
     begin
       for back in 1 .. 5 loop
         v_month := date_trunc('month', now() at time zone 'UTC') - make_interval(months => back);
         execute format('create table public.%I partition of public.usage_events for values from (%L) to (%L)',
           'usage_events_' || to_char(v_month, 'YYYYMM'), v_month, v_month + interval '1 month');
       end loop;
     end $$`,
  )

/** Two events of three as if they had come at their time, or to the microsecond where that ends: how they are found differs. */
async function receiveInTime(tenant: TestTenant): Promise<void> {
  await asSuperuser(
    `update usage_events e set received_at = t.at, received_month = date_trunc('month', t.at at time zone 'UTC')::date
     from (
       select x.id, x.occurred_at + (array['0', '3 minutes', '10 minutes', '10 minutes 1 microsecond', '-5 minutes', '-10 minutes', '1 hour'])
           [1 + extract(epoch from x.occurred_at)::bigint % 7]::interval
         + case when m.aggregation = 'LATEST' then x.received_at - min(x.received_at) over () else '0' end as at
       from usage_events x join meters m on m.tenant_id = x.tenant_id and m.id = x.meter_id
       where x.tenant_id = $1 and x.corrects is null and extract(epoch from x.occurred_at)::bigint % 3 > 0
     ) t
     where e.tenant_id = $1 and e.id = t.id and t.at < now()`,
    [tenant.id],
  )
}

/** Customers whose months begin on another day. */
async function anchorSome(tenant: TestTenant): Promise<void> {
  await asSystem(tenant, async () => {
    await createTier(tierInput.parse({ slug: 'anchored', name: 'Anchored' }))
    await setSubscription('bob', { tier: 'anchored', anchor_day: 15 })
    await setSubscription('cyd', { tier: 'anchored', anchor_day: 31 })
  })
}

beforeAll(async () => {
  await makePastPartitions()
  for (const [index, zone] of ZONES.entries()) {
    const tenant = await createTenant(`zone-${index}`, { time_zone: zone })
    const meters = metersOf(index)
    await asSystem(tenant, async () => {
      await updateUsageSettings({ accepts_late_days: 100 })
      for (const meter of meters)
        await createMeter({
          ...meter,
          name: meter.slug,
          description: '',
          unit: '',
          allows_negative: true,
          event_type: null,
        } as never)
    })
    const events: ModelEvent[] = fc.sample(eventOf(meters), { numRuns: 1_500, seed: 7 + index })
    for (let sent = 0; sent < events.length; sent += 250) {
      const result = await asSystem(tenant, () =>
        TenantUsageTrackingService.trackUsage(
          events.slice(sent, sent + 250).map(({ meter, customer, value, at, properties }, place) => ({
            event_id: String(sent + place),
            meter_id: meter,
            user_id: customer,
            event_value: value,
            timestamp: at.toISOString(),
            properties,
          })),
        ),
      )
      expect(result.rejected).toEqual([])
    }
    worlds.push({ tenant, zone, meters, events: await correctSome(tenant, events) })
    await receiveInTime(tenant)
    await anchorSome(tenant)
  }
})

const question = fc.record({
  world: fc.nat(),
  meter: fc.nat(),
  zone: fc.option(fc.constantFrom(...ASKED_ZONES), { freq: 2 }),
  window: fc.constantFrom(null, 'MINUTE', 'HOUR', 'DAY', 'WEEK', 'MONTH'),
  // Ends on whole days of the zone, on whole hours, or anywhere.
  start: fc.integer({ min: 0, max: SPAN / 1_000 }),
  length: fc.integer({ min: 1, max: SPAN / 1_000 }),
  grain: fc.constantFrom(1, 60, 1_800, 3_600, 86_400),
  customers: fc.option(fc.subarray(CUSTOMERS, { minLength: 1 }), { freq: 1 }),
  byCustomer: fc.boolean(),
  groups: fc.subarray(['region', 'kind']),
  filter: fc.option(
    fc.constantFrom<MeterFilter>(
      { property: 'region', operator: 'eq', value: 'eu' },
      { property: 'kind', operator: 'ne', value: 'read' },
      {
        or: [
          { property: 'region', operator: 'in', value: ['us', 'ap'] },
          { property: 'kind', operator: 'eq', value: 'list' },
        ],
      },
    ),
    { freq: 1 },
  ),
  fill: fc.boolean(),
})

/** Asks the product and the model; both answer the same, in so many rows. */
async function expectModel(world: World, asked: Omit<ModelQuestion, 'now' | 'filter'> & { filter?: MeterFilter }) {
  const { meter, from, to, window, time_zone, customers = [], by_customer, group_by = [], filter, fill } = asked
  const answer = await asSystem(world.tenant, () =>
    queryUsage(meter.slug, {
      from: from.toISOString(),
      to: to.toISOString(),
      ...(window ? { window } : {}),
      ...(time_zone === world.zone ? {} : { time_zone }),
      customer: [...customers],
      group_by: by_customer ? [...group_by, 'customer'] : [...group_by],
      filter,
      fill: fill === true,
    }),
  )
  // A level is averaged up to the moment of the question.
  const now = meter.aggregation === 'WEIGHTED_SUM' && to.getTime() > NOW ? new Date(answer.as_of) : new Date(NOW + DAY)
  const expected = answerByModel({ ...asked, filter: filter ?? null, now }, world.events)
  expect(comparable(answer.data)).toEqual(comparable(asAnswer(expected)))
  return expected.length
}

describe('against the model', () => {
  test.each([
    ['Asia/Kathmandu', 0],
    ['America/St_Johns', 1],
    ['Australia/Adelaide', 2],
    ['Australia/Lord_Howe', 3],
  ])(
    'hours and days of the clocks of %s',
    async (time_zone, place) => {
      const world = worlds[place]
      if (!world) throw new Error('There are five worlds.')
      for (const slug of ['sum_0', 'latest_0', 'weighted_sum_0']) {
        const meter = world.meters.find((one) => one.slug === slug)
        if (!meter) throw new Error(`There is ${slug}.`)
        // From within a quarter of an hour on, over every change of the clocks.
        const asked = { meter, from: new Date(NOW - SPAN), to: new Date(NOW - DAY), time_zone }
        expect(await expectModel(world, { ...asked, window: 'HOUR' })).toBeGreaterThan(20)
        await expectModel(world, { ...asked, window: 'DAY' })
      }
    },
    60_000,
  )

  test('every question has the answer of the events', async () => {
    let rows = 0
    await fc.assert(
      fc.asyncProperty(question, async (asked) => {
        const world = worlds[asked.world % worlds.length]
        const meter = world?.meters[asked.meter % (world?.meters.length ?? 1)]
        if (!world || !meter) throw new Error('A world has meters.')
        const grouped = meter.group_by.length > 0
        const window = asked.window as 'DAY' | null
        const grain = asked.grain * 1_000
        const from = new Date(Math.floor((NOW - SPAN + asked.start * 1_000) / grain) * grain)
        const longest = asked.window === 'MINUTE' ? 6 * 3_600_000 : SPAN
        const to = new Date(
          from.getTime() + Math.max(grain, Math.floor(Math.min(asked.length * 1_000, longest) / grain) * grain),
        )
        const group_by = grouped ? asked.groups : []
        const filter = grouped ? (asked.filter ?? undefined) : undefined
        const fill = asked.fill && asked.window !== 'MINUTE'
        rows += await expectModel(world, {
          meter,
          from,
          to,
          window,
          time_zone: asked.zone ?? world.zone,
          ...(asked.customers ? { customers: asked.customers } : {}),
          by_customer: asked.byCustomer,
          group_by,
          filter,
          fill,
        })
      }),
      { numRuns: 400, seed: 42 },
    )
    expect(rows).toBeGreaterThan(5_000)
  })
})

test('all meters together say what each of them says', async () => {
  const customers = await asSuperuser<{ tenant_id: string; id: string }>(
    "select tenant_id, id from customers where external_id in ('bob', 'dan') order by external_id",
  )
  const picked = (world: World) => customers.filter((row) => row.tenant_id === world.tenant.id).map(({ id }) => id)
  let rows = 0
  // Whole days, whole months, neither, and up to now.
  for (const world of worlds.filter(({ zone }) => ['Europe/Berlin', 'Australia/Lord_Howe'].includes(zone)))
    for (const window of [null, 'DAY', 'HOUR'])
      for (const count of [0, 1, 2])
        for (const split of [true, false])
          for (const part of [0, null, 3_723, 'running']) {
            if (window === 'HOUR' && (split || count > 0)) continue
            const [since, till] =
              typeof part === 'number'
                ? ['t.today - 60', 't.today - 3']
                : [
                    `date_trunc('month', t.today - 90)::date`,
                    part ? 't.today + 1' : `date_trunc('month', t.today)::date`,
                  ]
            const [found] = await asSystem(world.tenant, () =>
              tenantQuery<{ rows: number; different: number }>(
                `with span as (
                   select app.first_moment(${since}, $2) + $6::integer * interval '1 second' as since, app.first_moment(${till}, $2) as till
                   from (select (now() at time zone $2)::date as today) t
                 ),
                 together as materialized (
                   select q.meter_id, q.customer_id, q.window_start, q.value, q.events
                   from span s cross join lateral app.query_meters($1, null, s.since, s.till, $3, $2, $4::uuid[], $5) q
                 ),
                 apart as materialized (
                   select m.id, q.customer_id, q.window_start, q.value, q.events
                   from span s cross join meters m
                   cross join lateral app.query_usage($1, m.id, s.since, s.till, $3, $2, $2, $4::uuid[], $5, '{}', null,
                     m.aggregation = 'WEIGHTED_SUM', statement_timestamp(), 100000) q
                   where m.tenant_id = $1
                     and (q.events <> 0 or m.aggregation = 'WEIGHTED_SUM' and q.value <> 0 and q.window_start < statement_timestamp())
                 )
                 select (select count(*)::integer from together) as rows,
                   (select count(*)::integer from (
                     (table together except all table apart) union all (table apart except all table together)) x) as different`,
                [
                  world.tenant.id,
                  world.zone,
                  window,
                  count === 0 ? null : picked(world).slice(0, count),
                  split,
                  typeof part === 'number' ? part : 0,
                ],
              ),
            )
            expect(found?.different, JSON.stringify({ zone: world.zone, window, count, split, part })).toBe(0)
            rows += found?.rows ?? 0
          }
  expect(rows).toBeGreaterThan(4_000)
})

describe('asked over HTTP', () => {
  const reader = { as: acme.users.member, tenant: acme }
  type Options = Parameters<typeof call>[3]
  const ask = (query: string, options: Options = reader) =>
    call(queryUsageRoute, 'GET', `/api/v1/usage/query${query}`, options)
  const askMeter = (meter: string, query: string, options: Options = reader) =>
    call(queryMeter, 'GET', `/api/v1/meters/${meter}/query${query}`, { ...options, params: { id: meter } })

  beforeAll(async () => {
    await asSystem(acme, async () => {
      const base = {
        description: '',
        unit: '',
        allows_negative: true,
        value_property: null,
        filter: null,
        event_type: null,
      }
      await createMeter({ ...base, slug: 'bytes', name: 'Bytes', aggregation: 'SUM', group_by: ['region', 'plan'] })
      await createMeter({ ...base, slug: 'calls', name: 'Calls', aggregation: 'COUNT', group_by: [] })
    })
    const event = (user_id: string, event_value: string, timestamp: string, properties: Record<string, string>) => ({
      meter_id: 'bytes',
      user_id,
      event_value,
      timestamp,
      properties,
    })
    const day = (back: number) => new Date(NOW - back * DAY).toISOString().slice(0, 10)
    await asSystem(acme, () =>
      TenantUsageTrackingService.trackUsage([
        event('ada', '0.1', `${day(3)}T23:59:59.999Z`, { region: 'eu', plan: 'pro' }),
        event('ada', '0.2', `${day(2)}T00:00:00Z`, { region: 'eu', plan: 'free' }),
        event('bob', '12345678901234567890.5', `${day(2)}T12:00:00Z`, { region: 'us' }),
        event('=cmd', '-3', `${day(2)}T13:00:00Z`, { region: '@sum' }),
      ]),
    )
  })

  test.each([
    ['nobody', { tenant: acme }, 401],
    ['a stranger', { as: stranger, tenant: acme }, 404],
    ['a member of another tenant', { as: globex.users.owner, tenant: acme }, 404],
    ['a customer', { as: acme.users.customer, tenant: acme }, 403],
    ['a member', { as: acme.users.member, tenant: acme }, 200],
  ] as [string, Options, number][])('%s: %s', async (_who, options, status) => {
    expect((await ask('?meter=bytes', options)).status).toBe(status)
    expect((await askMeter('bytes', '', options)).status).toBe(status)
  })
  test('a key needs usage:read; a meter of another tenant is not there', async () => {
    const { key } = await createApiKey(acme, ['meters:read'])
    expect((await ask('?meter=bytes', { as: key })).status).toBe(403)
    expect((await askMeter('bytes', '', { as: globex.api_key })).status).toBe(404)
  })

  test.each([
    ['', '/meter', 'is needed'],
    ['?meter=bytes&time_zone=Mars/Olympus', '/time_zone', 'not a time zone'],
    ['?meter=bytes&time_zone=%2B05:30', '/time_zone', 'not a time zone'],
    // To the database it has no summer time, to us it has.
    ['?meter=bytes&time_zone=CET', '/time_zone', 'not a time zone'],
    ['?meter=bytes&from=2026-11-02&to=2026-11-01', '/to', 'after from'],
    ['?meter=bytes&from=2026-11-02&to=2026-11-02', '/to', 'after from'],
    ['?meter=bytes&from=2026-02-30', '/from', 'not a date'],
    ['?meter=bytes&from=2026-11-02T00:00:00', '/from', 'zone'],
    ['?meter=bytes&to=2026-11-02', '/from', 'needed'],
    ['?meter=bytes&from=2015-01-01&to=2026-01-01', '/from', 'five years'],
    ['?meter=bytes&time_range=30d&from=2026-11-01', '/time_range', 'excludes'],
    ['?meter=bytes&window=SECOND', '/window', 'MINUTE'],
    ['?meter=bytes&window=minute&time_range=30d', '/window', 'at most 7 days'],
    ['?meter=bytes&window=hour&from=2024-01-01&to=2026-01-01', '/window', 'at most 366 days'],
    ['?meter=bytes&group_by=color', '/group_by', 'allowed: region, plan, customer'],
    ['?meter=calls&groupBy=region', '/groupBy', 'allowed: customer'],
    ['?meter=bytes&filter[color]=red', '/filter', 'allowed: region, plan'],
    ['?meter=bytes&filter=region', '/filter', 'must be JSON'],
    ['?meter=bytes&filter=%7B%22property%22:%22region%22%7D', '/filter/operator', 'one of'],
    ['?meter=bytes&fill=perhaps', '/fill', ''],
    ['?meter=bytes&format=xml', '/format', 'json or csv'],
    ['?meter=bytes&color=red', '/color', 'not a known field'],
    ['?meter=bytes&myColor=red', '/myColor', 'not a known field'],
    ['?meter=bytes&timeRange=5d', '/timeRange', 'one of'],
  ])('%s is invalid at %s', async (query, pointer, detail) => {
    const answer = await ask(query)
    expect(answer).toMatchObject({
      status: 422,
      body: { errors: [{ pointer, detail: expect.stringContaining(detail) }] },
    })
  })
  test('a meter that is not there', async () => {
    expect((await ask('?meter=nothing')).status).toBe(404)
    expect((await askMeter('nothing', '')).status).toBe(404)
  })
  test('more rows than an answer holds are refused, before they are made', async () => {
    const answer = await ask('?meter=bytes&window=MINUTE&time_range=7d&fill=true&group_by=customer,region,plan')
    expect(answer).toMatchObject({ status: 200 })
    const people = Array.from({ length: 6 }, (_, index) => ({ meter_id: 'calls', user_id: `many-${index}` }))
    await asSystem(acme, () => TenantUsageTrackingService.trackUsage(people))
    expect(await ask('?meter=calls&window=MINUTE&time_range=7d&fill=true&group_by=customer')).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/group_by', detail: expect.stringContaining('50000 rows') }] },
    })
  })

  test('a total is one row, exact, and half open', async () => {
    const day = (back: number) => new Date(NOW - back * DAY).toISOString().slice(0, 10)
    const { body } = await ask(`?meter=bytes&from=${day(2)}&to=${day(1)}`)
    expect(body).toMatchObject({ aggregation: 'SUM', window: null, time_zone: 'UTC', from: `${day(2)}T00:00:00.000Z` })
    expect(body.data).toEqual([
      {
        window_start: `${day(2)}T00:00:00.000Z`,
        window_end: `${day(1)}T00:00:00.000Z`,
        value: '12345678901234567887.7',
        events: 3,
      },
    ])
    const { time_zone } = (await ask('?meter=bytes&time_zone=asia/kolkata')).body
    expect(time_zone).toBe('Asia/Kolkata')
    expect((await ask(`?meter=bytes&from=${day(5)}&to=${day(4)}`)).body.data).toMatchObject([{ value: 0, events: 0 }])
    expect((await askMeter('bytes', `?from=${day(3)}&to=${day(2)}`)).body.data).toMatchObject([
      { value: 0.1, events: 1 },
    ])
  })
  test('windows, groups, filters and customers in one', async () => {
    const { body } = await ask(
      '?meter=bytes&window=day&timeRange=7d&groupBy=region,customer&filter[region]=eu&filter[region]=us&customer=ada,bob',
    )
    expect(
      body.data
        .map(({ value, customer, group }: { value: unknown; customer: { external_id: string }; group: unknown }) => [
          customer.external_id,
          group,
          value,
        ])
        .sort(),
    ).toEqual([
      ['ada', { region: 'eu' }, 0.1],
      ['ada', { region: 'eu' }, 0.2],
      ['bob', { region: 'us' }, '12345678901234567890.5'],
    ])
    const json = encodeURIComponent(JSON.stringify({ property: 'plan', operator: 'ne', value: 'pro' }))
    expect((await ask(`?meter=bytes&filter=${json}&customer=ada`)).body.data).toMatchObject([{ value: 0.2, events: 1 }])
    expect((await ask('?meter=bytes&group_by=plan&customer=bob')).body.data).toMatchObject([
      { group: { plan: null }, events: 1 },
    ])
  })
  test('24h is 24 whole hours; empty windows come when asked for', async () => {
    const { body } = await ask('?meter=calls&window=HOUR&time_range=24h&fill=true')
    expect(body.data).toHaveLength(24)
    expect(Date.parse(body.to)).toBeGreaterThan(NOW)
    expect((await ask('?meter=calls&window=HOUR&time_range=24h')).body.data.length).toBeLessThan(24)
  })
  test('true and false can be asked for where groups are kept as text, and a line break stays in its cell', async () => {
    await asSystem(acme, async () => {
      const meter = { name: 'Flags', description: '', unit: '', allows_negative: false, value_property: null }
      const kept = { ...meter, slug: 'flags', aggregation: 'SUM', group_by: ['on'], filter: null, event_type: null }
      await createMeter(kept as Parameters<typeof createMeter>[0])
      const values = [true, false, 'a\nb']
      const events = values.map((on, at) => ({
        meter_id: 'flags',
        user_id: 'ada',
        event_value: 10 ** at,
        properties: { on },
      }))
      expect(await TenantUsageTrackingService.trackUsage(events)).toMatchObject({ inserted: 3 })
    })
    const sum = async (filter: MeterFilter) =>
      (await ask(`?meter=flags&time_range=7d&filter=${encodeURIComponent(JSON.stringify(filter))}`)).body.data[0]?.value
    expect(await sum({ property: 'on', operator: 'eq', value: true })).toBe(1)
    expect(await sum({ property: 'on', operator: 'ne', value: true })).toBe(110)
    expect(await sum({ or: [{ property: 'on', operator: 'in', value: [true, false] }] })).toBe(11)
    expect((await ask('?meter=flags&time_range=7d&group_by=on&format=csv')).text).toContain(',"a\nb",100,1\r\n')
  })
  test('as CSV no cell is a formula and figures stay as they are', async () => {
    const answer = await ask('?meter=bytes&format=csv&group_by=customer,region')
    expect(answer.headers.get('content-type')).toContain('text/csv')
    const lines = answer.text.split('\r\n')
    expect(lines[0]).toBe('window_start,window_end,customer,group.region,value,events')
    expect(lines.find((line) => line.includes('cmd'))).toMatch(/,'=cmd,'@sum,-3,1$/)
    expect(lines.find((line) => line.includes('bob'))).toContain(',12345678901234567890.5,1')
    const nothing = await ask('?meter=bytes&format=csv&group_by=customer,region&from=2020-01-01&to=2020-01-02')
    expect(nothing.text).toBe(`${lines[0]}\r\n`)
  })
})

test('reports tell of every meter what its own way of counting gives', async () => {
  const [world] = worlds
  if (!world) throw new Error('There is a world.')
  const as = { as: world.tenant.api_key }
  const { body: daily } = await call(dailyRoute, 'GET', '/api/v1/usage/daily?time_range=30d', as)
  const { body: totals } = await call(totalsRoute, 'GET', '/api/v1/usage?time_range=30d&limit=100', as)
  const whole = { time_zone: 'UTC', from: new Date(daily.from), to: new Date(daily.to), now: new Date(NOW + DAY) }
  for (const meter of world.meters.filter(({ aggregation }) => aggregation !== 'WEIGHTED_SUM')) {
    const days = answerByModel({ ...whole, meter, window: 'DAY' }, world.events)
    const lines: { day: string; meter: string; used: unknown; events: number }[] = daily.data
    expect(lines.filter((line) => line.meter === meter.slug)).toEqual(
      days.map(({ window_start, value, events }) => ({
        day: window_start.slice(0, 10),
        meter: meter.slug,
        used: toQuantity(value ?? ''),
        events,
      })),
    )
    const [total] = answerByModel({ ...whole, meter, window: null }, world.events)
    const rows: { meter: { slug: string }; used: unknown }[] = totals.data
    expect(rows.find((row) => row.meter.slug === meter.slug)?.used).toEqual(toQuantity(total?.value ?? ''))
  }
})

test('a correction that comes long after the fact is in the answer', async () => {
  const world = worlds[1]
  const plain = world?.meters.find(({ slug }) => slug === 'sum_0')
  const event = world?.events.find(
    ({ meter, at, properties }) =>
      meter === plain?.slug &&
      at.getTime() < NOW - 50 * DAY &&
      (!plain.filter || passesFilter(plain.filter, properties)),
  )
  if (!world || !plain || !event) throw new Error('There is such an event.')
  // Of one customer by the hour: from the events themselves.
  const ask = async () => {
    const { data } = await asSystem(world.tenant, () =>
      queryUsage(plain.slug, {
        from: new Date(event.at.getTime() - 4_000_000).toISOString(),
        to: new Date(event.at.getTime() + 1).toISOString(),
        window: 'HOUR',
        customer: [event.customer],
        group_by: [],
        fill: false,
      }),
    )
    return data.reduce((total, { events }) => total + events, 0)
  }
  const before = await ask()
  expect(before).toBeGreaterThan(0)
  await asSuperuser('delete from usage_settings where tenant_id = $1', [world.tenant.id])
  await asSuperuser(
    `insert into usage_events (tenant_id, id, meter_id, customer_id, value, occurred_at, received_at, received_month, weight, corrects)
     select e.tenant_id, gen_random_uuid(), e.meter_id, e.customer_id, e.value, e.occurred_at, now(), e.received_month, -1, e.id
     from usage_events e join meters m on m.tenant_id = e.tenant_id and m.id = e.meter_id
     where e.tenant_id = $1 and m.slug = $2 and e.occurred_at = $3 and e.weight = 1
       and e.customer_id = (select id from customers where tenant_id = $1 and external_id = $4) limit 1`,
    [world.tenant.id, plain.slug, event.at, event.customer],
  )
  // The event itself arrived when it happened, in the partition of that time.
  const month = `${event.at.toISOString().slice(0, 7)}-01`
  await asSuperuser(
    'update usage_events set received_at = occurred_at, received_month = $3 where tenant_id = $1 and weight = 1 and occurred_at = $2',
    [world.tenant.id, event.at, month],
  )
  expect(await ask()).toBe(before - 1)
})
