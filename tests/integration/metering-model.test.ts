// All of metering against plain models: events of all eight aggregations, late ones, repetitions and conflicts, sent to two
// processes at once while their connections break, then cancelled and amended, with grants in between, in zones whose clocks change.
// In the end series, counters and balances are the models' to the last digit, and reconciliation has nothing to say.
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createMeter } from '@/features/meters/services/meter-service'
import { correctUsage } from '@/features/usage-tracking/services/usage-correction-service'
import { queryUsage } from '@/features/usage-tracking/services/usage-query-service'
import { updateUsageSettings } from '@/features/usage-tracking/services/usage-settings-service'
import { tenantQuery } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'
import type { MeterFilter } from '@/libs/metering/meter-filter'
import { createBalanceModel, type ModelCalendar, type ModelTerms } from '../support/balance-model'
import { type IngestProcess, startIngestProcess } from '../support/ingest-process'
import {
  answerByModel,
  asAnswer,
  comparable,
  type ModelEvent,
  type ModelMeter,
  type ModelQuestion,
  toUnits,
} from '../support/usage-model'
import { asSuperuser, asSystem, createTenant, createWorld, type TestTenant } from '../support/world'

await createWorld()
const RUNS = Number(process.env.MODEL_RUNS ?? 25)
const ZONES = ['UTC', 'America/New_York', 'Europe/Berlin', 'America/Havana', 'Australia/Lord_Howe', 'Asia/Kathmandu']
const AGGREGATIONS = ['SUM', 'COUNT', 'UNIQUE_COUNT', 'MIN', 'MAX', 'AVG', 'LATEST', 'WEIGHTED_SUM'] as const
const CUSTOMERS = ['ada', 'bob', 'cyd']
const MINUTE = 60_000
const DAY = 86_400_000
/** Far enough back that most zones change their clocks within it. */
const SPAN = 75 * DAY
const THOUSANDTH = 10n ** 17n

let processes: IngestProcess[] = []
beforeAll(async () => {
  processes = await Promise.all([startIngestProcess(), startIngestProcess()])
})
afterAll(() => Promise.all(processes.map((each) => each.end())))

const filters: (MeterFilter | null)[] = [
  null,
  null,
  { property: 'kind', operator: 'in', value: ['read', 'write'] },
  {
    or: [
      { property: 'size', operator: 'gte', value: '10' },
      { property: 'region', operator: 'like', value: 'e_' },
    ],
  },
]
const metersOf = (seed: number): ModelMeter[] =>
  AGGREGATIONS.map((aggregation, index) => ({
    slug: aggregation.toLowerCase(),
    aggregation,
    value_property: aggregation === 'UNIQUE_COUNT' ? 'person' : (seed + index) % 3 === 0 ? 'size' : null,
    group_by: (seed + index) % 2 ? ['region', 'kind'] : [],
    filter: filters[(seed + index) % filters.length] ?? null,
  }))

/** A meter without anything special, of a customer with an allowance and grants. */
const CREDITS: ModelMeter = { slug: 'credits', aggregation: 'SUM', value_property: null, group_by: [], filter: null }
const HOLDER = 'holder'

const decimal = (min: number, max: number) =>
  fc.tuple(fc.integer({ min, max }), fc.integer({ min: 0, max: 3 })).map(([units, scale]) => {
    const digits = String(Math.abs(units)).padStart(scale + 1, '0')
    const text = scale ? `${digits.slice(0, -scale)}.${digits.slice(-scale)}` : digits
    return units < 0 ? `-${text}` : text
  })
const properties = fc.record(
  {
    kind: fc.constantFrom('read', 'write', 'list'),
    size: fc.integer({ min: -5, max: 60 }),
    region: fc.constantFrom('eu', 'us', 'ap'),
    person: fc.constantFrom('p1', 'p2', 'p3', 'p4', 'p5'),
  },
  { requiredKeys: ['size', 'person'] },
)
/** How long ago: often just now, often on the border of an hour or a day, where a half-open range decides. */
const age = fc.oneof(
  fc.integer({ min: 0, max: 5 * MINUTE }).map((ago) => ({ ago, round: 1 })),
  fc.integer({ min: 0, max: SPAN }).map((ago) => ({ ago, round: 1 })),
  fc.integer({ min: 0, max: SPAN }).map((ago) => ({ ago, round: 30 * MINUTE })),
)
const plainEvent = fc.record({
  meter: fc.constantFrom(...AGGREGATIONS.map((name) => name.toLowerCase())),
  customer: fc.constantFrom(...CUSTOMERS),
  value: decimal(-50_000, 50_000),
  age,
  properties,
})
const creditEvent = fc.record({
  meter: fc.constant(CREDITS.slug),
  customer: fc.constant(HOLDER),
  value: decimal(0, 30_000),
  age: fc.oneof({ weight: 3, arbitrary: fc.constant({ ago: 0, round: 1 }) }, age),
  properties: fc.constant({}),
})
type DrawnEvent = {
  meter: string
  customer: string
  value: string
  age: { ago: number; round: number }
  properties: ModelEvent['properties']
}

const use = fc.record({
  kind: fc.constant('use' as const),
  events: fc.array(fc.oneof({ weight: 5, arbitrary: plainEvent }, { weight: 2, arbitrary: creditEvent }), {
    minLength: 15,
    maxLength: 60,
  }),
  batch: fc.integer({ min: 1, max: 20 }),
  /** Which batches are sent again, and to whom. */
  repeats: fc.array(fc.nat(), { maxLength: 6 }),
  breaks: fc.integer({ min: 0, max: 2 }),
})
const correct = fc.record({
  kind: fc.constant('correct' as const),
  items: fc.array(
    fc.record({
      which: fc.nat(),
      cancel: fc.boolean(),
      value: decimal(0, 30_000),
      customer: fc.constantFrom(...CUSTOMERS),
      moved: fc.boolean(),
      age,
    }),
    { minLength: 1, maxLength: 8 },
  ),
})
const thousandths = fc.bigInt({ min: 1n, max: 60_000n })
const maybeNothing = fc.oneof(fc.constant(0n), thousandths)
const grant = fc.record({
  kind: fc.constant('grant' as const),
  amount: thousandths,
  priority: fc.integer({ min: 0, max: 2 }),
  // Never about to be issued anew: whether that comes before or after the next event is for the clock to say, not for a model.
  since: fc.oneof(
    fc.constant(0),
    fc
      .tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: DAY / 12, max: (DAY * 11) / 12 }))
      .map(([days, rest]) => days * DAY + rest),
  ),
  life: fc.option(fc.integer({ min: DAY, max: 120 * DAY })),
  recurrence: fc.constantFrom(null, 'day' as const, 'week' as const, 'month' as const),
  rollover_min: maybeNothing,
  rollover_max: maybeNothing,
})
const run = fc.record({
  zone: fc.constantFrom(...ZONES),
  seed: fc.nat({ max: 100 }),
  period: fc.constantFrom('day' as const, 'month' as const),
  anchor: fc.constantFrom(1, 15, 22, 31),
  terms: fc.record({
    limit: maybeNothing,
    rollover_min: maybeNothing,
    rollover_max: maybeNothing,
    preserve_overage: fc.boolean(),
  }),
  steps: fc.array(
    fc.oneof({ weight: 4, arbitrary: use }, { weight: 2, arbitrary: correct }, { weight: 1, arbitrary: grant }),
    { minLength: 3, maxLength: 8, size: 'max' },
  ),
  questions: fc.array(
    fc.record({
      meter: fc.nat(),
      window: fc.constantFrom(null, 'HOUR' as const, 'DAY' as const, 'WEEK' as const, 'MONTH' as const),
      zone: fc.constantFrom(...ZONES),
      start: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: SPAN })),
      length: fc.oneof(fc.constant(SPAN + DAY), fc.integer({ min: MINUTE, max: SPAN })),
      grain: fc.constantFrom(1_000, 30 * MINUTE, 60 * MINUTE, DAY),
      by_customer: fc.boolean(),
      grouped: fc.boolean(),
    }),
    { minLength: 4, maxLength: 8 },
  ),
})

const toDecimal = (units: bigint) => {
  const text = (units < 0n ? -units : units).toString().padStart(4, '0')
  return `${units < 0n ? '-' : ''}${text.slice(0, -3)}.${text.slice(-3)}`
}
/** Decimal text of at most three places as whole thousandths. */
const toThousandths = (text: string) => toUnits(text) / THOUSANDTH
const toMoment = (at: number | null) => (at === null ? null : new Date(at).toISOString())
const localDay = (at: number, zone: string) => new Intl.DateTimeFormat('en-CA', { timeZone: zone }).format(at)

async function arrange(tenant: TestTenant, meters: readonly ModelMeter[], calendar: ModelCalendar, terms: ModelTerms) {
  const [customer, tier] = [newId(), newId()]
  return asSystem(tenant, async () => {
    await updateUsageSettings({ accepts_late_days: 100 })
    for (const meter of [...meters, CREDITS])
      await createMeter({
        ...meter,
        name: meter.slug,
        description: '',
        unit: '',
        allows_negative: meter !== CREDITS,
        event_type: null,
      } as never)
    const [row] = await tenantQuery<{ id: string }>("select id from meters where slug = 'credits'")
    const meter = row?.id ?? ''
    await tenantQuery('insert into customers (id, external_id) values ($1, $2)', [customer, HOLDER])
    await tenantQuery("insert into tiers (id, slug, name) values ($1, 'tier', 'Tier')", [tier])
    await tenantQuery('insert into subscriptions (id, customer_id, tier_id, anchor_day) values ($1, $2, $3, $4)', [
      newId(),
      customer,
      tier,
      calendar.anchor,
    ])
    const now = Date.now()
    await tenantQuery(
      `insert into entitlements (id, customer_id, kind, feature_key, meter_id, cap_limit, behaviour, period, rollover_min, rollover_max,
         preserve_overage, created_at) values ($1, $2, 'metered', 'credits', $3, $4, 'overflow', $5, $6, $7, $8, $9)`,
      [
        newId(),
        customer,
        meter,
        toDecimal(terms.limit),
        calendar.period,
        toDecimal(terms.rollover_min),
        toDecimal(terms.rollover_max),
        terms.preserve_overage,
        toMoment(now),
      ],
    )
    await tenantQuery('select app.open_balance($1, $2, $3, $4, $5)', [
      tenant.id,
      customer,
      meter,
      toMoment(now),
      calendar.zone,
    ])
    return { customer, meter, balance: createBalanceModel(calendar, terms, now) }
  })
}

type Known = ModelEvent & { id: string }

/** Sends until it is answered: whoever is asked may have lost its connections. */
async function track(tenant: TestTenant, to: number, events: readonly object[]) {
  for (let attempt = 0; ; attempt += 1) {
    const answer = await processes[to % processes.length]?.send({
      path: '/api/v1/usage/track',
      headers: { authorization: `Bearer ${tenant.api_key}` },
      body: events,
    })
    if (answer?.status === 200) return answer.body
    expect(answer?.status).toBe(503)
    expect(attempt).toBeLessThan(50)
    await sleep(50)
  }
}
const toBody = ({ id, meter, customer, value, at, properties }: Known) => ({
  event_id: id,
  meter_id: meter,
  user_id: customer,
  event_value: value,
  timestamp: at.toISOString(),
  properties,
})

/** Cuts the connections on which events are being written at this moment. */
const cutConnections = () =>
  asSuperuser(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and state = 'active' and query like 'select app.ingest_usage%'`,
  )

async function sendAll(
  tenant: TestTenant,
  step: { batch: number; repeats: number[]; breaks: number },
  events: readonly Known[],
): Promise<void> {
  const batches: Known[][] = []
  for (let at = 0; at < events.length; at += step.batch) batches.push(events.slice(at, at + step.batch))
  const sends = [...batches.keys(), ...step.repeats.map((which) => which % batches.length)]
  const breaking = (async () => {
    for (let turn = 0; turn < step.breaks; turn += 1) {
      await sleep(5)
      await cutConnections()
    }
  })()
  await Promise.all(
    sends.map(async (which, turn) => {
      const batch = batches[which] ?? []
      const { inserted, duplicates, rejected } = await track(tenant, turn, batch.map(toBody))
      expect(rejected).toEqual([])
      expect(inserted + duplicates).toBe(batch.length)
    }),
  )
  await breaking
  const [first] = events
  if (!first) return
  // The same id with other content changes nothing, nor does the whole lot once more.
  const other = { ...toBody(first), properties: { ...first.properties, other: true } }
  expect(await track(tenant, 0, [other, ...events.map(toBody)])).toMatchObject({
    inserted: 0,
    duplicates: events.length,
    rejected: [{ index: 0, code: 'conflict' }],
  })
}

/** A line of an answer and of the model in one form, in an order of its own. */
const sorted = (lines: unknown[][]) => lines.map((line) => JSON.stringify(line)).sort()

async function compareSeries(
  tenant: TestTenant,
  events: readonly ModelEvent[],
  asked: Omit<ModelQuestion, 'now' | 'from' | 'to'> & { from: number; to: number },
): Promise<number> {
  const { meter, window, time_zone, by_customer = false, group_by = [], from, to } = asked
  const answer = await asSystem(tenant, () =>
    queryUsage(meter.slug, {
      from: new Date(from).toISOString(),
      to: new Date(to).toISOString(),
      ...(window ? { window: window as 'DAY' } : {}),
      time_zone,
      customer: [],
      group_by: by_customer ? [...group_by, 'customer'] : [...group_by],
      fill: false,
    }),
  )
  const expected = answerByModel(
    { ...asked, from: new Date(from), to: new Date(to), now: new Date(answer.as_of) },
    events,
  )
  expect(comparable(answer.data)).toEqual(comparable(asAnswer(expected)))
  return expected.length
}

/** What is stored per customer and day, as numbers mean it, against the events of that day. */
async function compareCounters(
  tenant: TestTenant,
  zone: string,
  meters: readonly ModelMeter[],
  events: readonly ModelEvent[],
): Promise<void> {
  const rows = await asSuperuser<{ meter: string; customer: string; day: string; value: string; events: number }>(
    `select m.slug as meter, c.external_id as customer, k.starts_on::text as day, k.events::int as events,
       trim_scale(app.metered_value(m.aggregation, k.used, k.events))::text as value
     from usage_counters k join meters m on m.tenant_id = k.tenant_id and m.id = k.meter_id
     join customers c on c.tenant_id = k.tenant_id and c.id = k.customer_id
     where k.tenant_id = $1 and k.period = 'day' and k.events > 0 and m.aggregation <> 'WEIGHTED_SUM'`,
    [tenant.id],
  )
  const expected: unknown[][] = []
  for (const meter of meters.filter(({ aggregation }) => aggregation !== 'WEIGHTED_SUM')) {
    const places = new Map<string, ModelEvent[]>()
    for (const event of events) {
      if (event.meter !== meter.slug) continue
      const place = `${event.customer} ${localDay(event.at.getTime(), zone)}`
      places.set(place, [...(places.get(place) ?? []), event])
    }
    for (const [place, together] of places) {
      const moments = together.map(({ at }) => at.getTime())
      const [from, to] = [new Date(Math.min(...moments)), new Date(Math.max(...moments) + 1)]
      const [row] = answerByModel({ meter, from, to, window: null, time_zone: zone, now: to }, together)
      const [customer, day] = place.split(' ')
      if (row && row.events > 0) expected.push([meter.slug, customer, day, row.value, row.events])
    }
  }
  expect(sorted(rows.map(({ meter, customer, day, value, events }) => [meter, customer, day, value, events]))).toEqual(
    sorted(expected),
  )
}

test('whatever is sent, repeated, broken off, corrected and granted, all is as the models say', async () => {
  let lines = 0
  let runs = 0
  await fc.assert(
    fc.asyncProperty(run, async ({ zone, seed, period, anchor, terms, steps, questions }) => {
      runs += 1
      // A day that ends under way would be another test.
      while (localDay(Date.now(), zone) !== localDay(Date.now() + 60_000, zone)) await sleep(1_000)
      const tenant = await createTenant(`model-${runs}`, { time_zone: zone })
      const meters = metersOf(seed)
      const { customer, meter, balance } = await arrange(tenant, meters, { zone, period, anchor }, terms)
      let events: Known[] = []
      const taken = new Set<number>()
      let sequence = 0
      /** A moment nothing else happened at, so that the latest of all is known whoever arrives first. */
      const momentOf = ({ ago, round }: DrawnEvent['age']) => {
        let at = Math.floor((Date.now() - 1_000 - ago) / round) * round
        while (taken.has(at)) at -= 1
        taken.add(at)
        return new Date(at)
      }
      /** Usage of the present period moves the balance. */
      const burn = ({ meter, at, value }: ModelEvent, sign: 1n | -1n) => {
        if (meter !== CREDITS.slug || localDay(at.getTime(), zone) < balance.state().starts_on) return
        balance.use(sign * toThousandths(value))
      }
      for (const step of steps) {
        balance.advance(Date.now())
        if (step.kind === 'use') {
          const fresh = step.events.map(({ age, ...event }): Known => {
            sequence += 1
            return { ...event, id: `event-${sequence}`, at: momentOf(age) }
          })
          await sendAll(tenant, step, fresh)
          for (const event of fresh) burn(event, 1n)
          events = [...events, ...fresh]
        } else if (step.kind === 'correct') {
          const items: object[] = []
          const wanted: string[] = []
          for (const { which, cancel, value, customer: to, moved, age } of step.items) {
            const event = events[which % Math.max(events.length, 1)]
            if (!event) continue
            const next: Known = {
              ...event,
              value,
              ...(moved && event.meter !== CREDITS.slug ? { customer: to, at: momentOf(age) } : {}),
            }
            // To amend what is like that already is refused; what has another id by now is amended under its own.
            if (!cancel && toUnits(value) === toUnits(event.value) && next.at === event.at) continue
            events = events.filter((each) => each !== event)
            burn(event, -1n)
            if (!cancel) {
              events.push(next)
              burn(next, 1n)
            }
            items.push(
              cancel
                ? { action: 'cancel', event_id: event.id }
                : {
                    action: 'amend',
                    event_id: event.id,
                    event_value: value,
                    ...(next.at === event.at ? {} : { user_id: next.customer, timestamp: next.at.toISOString() }),
                  },
            )
            wanted.push(cancel ? 'canceled' : 'amended')
          }
          if (items.length === 0) continue
          const result = await asSystem(tenant, () => correctUsage(items))
          expect(result.rejected).toEqual([])
          expect(result.results.map(({ status }) => status)).toEqual(wanted)
        } else {
          const now = Date.now()
          const given = {
            ...step,
            id: newId(),
            effective_at: now - step.since,
            expires_at: step.life === null ? null : now + step.life,
          }
          balance.advance(now)
          balance.grant(given)
          await asSystem(tenant, () =>
            tenantQuery('select app.add_grant($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, null)', [
              tenant.id,
              zone,
              toMoment(now),
              given.id,
              customer,
              meter,
              toDecimal(given.amount),
              given.priority,
              toMoment(given.effective_at),
              toMoment(given.expires_at),
              given.recurrence,
              toDecimal(given.rollover_min),
              toDecimal(given.rollover_max),
            ]),
          )
        }
        const now = Date.now()
        balance.advance(now)
        const { used, balance: left, overage, granted, starts_on } = balance.state()
        const [row] = await asSystem(tenant, () =>
          tenantQuery<Record<'used' | 'balance' | 'overage' | 'granted' | 'starts_on', string>>(
            `select used::text, balance::text, overage::text, granted::text, starts_on::text from app.peek_balance($1, $2, $3, $4, $5)`,
            [tenant.id, customer, meter, toMoment(now), zone],
          ),
        )
        expect({
          used: toThousandths(row?.used ?? ''),
          balance: toThousandths(row?.balance ?? ''),
          overage: toThousandths(row?.overage ?? ''),
          granted: toThousandths(row?.granted ?? ''),
          starts_on: row?.starts_on,
        }).toEqual({ used, balance: left, overage, granted, starts_on })
        expect(used + left - overage).toBe(granted)
      }

      const now = Date.now()
      const all = [...meters, CREDITS]
      await compareCounters(tenant, zone, all, events)
      for (const asked of questions) {
        const about = all[asked.meter % all.length] ?? CREDITS
        const from = Math.floor((now - SPAN + asked.start) / asked.grain) * asked.grain
        const to = from + Math.max(asked.grain, Math.floor(asked.length / asked.grain) * asked.grain)
        const { window, zone: time_zone, by_customer, grouped } = asked
        const group_by = grouped ? about.group_by : []
        lines += await compareSeries(tenant, events, {
          meter: about,
          from,
          to,
          window,
          time_zone,
          by_customer,
          group_by,
        })
      }
      const drift = await asSystem(tenant, () =>
        tenantQuery<{ table_name: string | null }>('select * from app.find_usage_drift($1, $2, null, null)', [
          tenant.id,
          zone,
        ]),
      )
      expect(drift).toMatchObject([{ table_name: null }])
    }),
    { numRuns: RUNS, endOnFailure: true },
  )
  expect(lines).toBeGreaterThan(10 * RUNS)
})
