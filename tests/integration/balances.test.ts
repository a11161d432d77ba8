// Balances against a plain model: whatever is granted, used, taken back, voided and waited for, in any zone, used, balance and
// overage are the model's to the last digit, and used + balance - overage = granted after every step.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { TenantUsageTrackingService } from '@/features/usage-tracking/services/tenant-usage-tracking-service'
import { correctUsage } from '@/features/usage-tracking/services/usage-correction-service'
import { tenantQuery } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'
import { runWithoutTransaction, systemActor } from '@/libs/tenancy/tenant-context'
import { createBalanceModel, type ModelCalendar, type ModelTerms } from '../support/balance-model'
import { asSuperuser, asSystem, createWorld } from '../support/world'

const { acme } = await createWorld()
const UNITS = 1_000n
const HOUR = 3_600_000
const DAY = 24 * HOUR

const toDecimal = (units: bigint) => {
  const text = (units < 0n ? -units : units).toString().padStart(4, '0')
  return `${units < 0n ? '-' : ''}${text.slice(0, -3)}.${text.slice(-3)}`
}
const toMoment = (at: number | null) => (at === null ? null : new Date(at).toISOString())

type Row = {
  used: string
  balance: string
  overage: string
  granted: string
  allowance_left: string
  grants: Record<string, string>
  starts_on: string
  resets_at: Date
}
const scaled = (text: string) => BigInt(Math.round(Number(text) * 1_000))

type Place = { customer: string; meter: string; zone: string }

async function arrange({ zone, period, anchor }: ModelCalendar, terms: ModelTerms, start: number): Promise<Place> {
  const [customer, meter, tier] = [newId(), newId(), newId()]
  await asSystem(acme, async () => {
    await tenantQuery('insert into customers (id, external_id) values ($1, $2)', [customer, customer])
    await tenantQuery(
      "insert into meters (id, slug, name, aggregation, allows_negative) values ($1, $2, 'Metered', 'SUM', true)",
      [meter, `m_${meter.replaceAll('-', '')}`],
    )
    await tenantQuery("insert into tiers (id, slug, name) values ($1, $2, 'Tier')", [
      tier,
      `t_${tier.replaceAll('-', '')}`,
    ])
    await tenantQuery(
      'insert into subscriptions (id, customer_id, tier_id, anchor_day, started_at) values ($1, $2, $3, $4, $5)',
      [newId(), customer, tier, anchor, toMoment(start)],
    )
    await tenantQuery(
      `insert into entitlements (id, customer_id, kind, feature_key, meter_id, cap_limit, behaviour, period, rollover_min, rollover_max,
         preserve_overage, created_at)
       values ($1, $2, 'metered', 'metered', $3, $4, 'overflow', $5, $6, $7, $8, $9)`,
      [
        newId(),
        customer,
        meter,
        toDecimal(terms.limit),
        period,
        toDecimal(terms.rollover_min),
        toDecimal(terms.rollover_max),
        terms.preserve_overage,
        toMoment(start),
      ],
    )
    await tenantQuery('select app.open_balance($1, $2, $3, $4, $5)', [acme.id, customer, meter, toMoment(start), zone])
  })
  return { customer, meter, zone }
}

const peek = async ({ customer, meter, zone }: Place, at: number): Promise<Omit<Row, 'allowance_left' | 'grants'>> => {
  const [row] = await tenantQuery<Omit<Row, 'allowance_left' | 'grants'>>(
    `select used::text, balance::text, overage::text, granted::text, starts_on::text, resets_at from app.peek_balance($1, $2, $3, $4, $5)`,
    [acme.id, customer, meter, toMoment(at), zone],
  )
  if (!row) throw new Error('the balance is there')
  return row
}
const settle = async ({ customer, meter, zone }: Place, at: number): Promise<Row> => {
  const [row] = await tenantQuery<Row>(
    `select s.used::text, (s.granted + s.overage - s.used)::text as balance, s.overage::text, s.granted::text, s.starts_on::text, s.resets_at,
       s.allowance_left::text, (select coalesce(jsonb_object_agg(g.id, g.remaining::text), '{}') from grants g
         where g.tenant_id = $1 and g.customer_id = $2 and g.meter_id = $3) as grants
     from app.settle_balance($1, $2, $3, $4, $5) s`,
    [acme.id, customer, meter, toMoment(at), zone],
  )
  if (!row) throw new Error('the balance is there')
  return row
}
const addGrant = (
  { customer, meter, zone }: Place,
  at: number,
  grant: Omit<GrantStep, 'kind' | 'at'> & { id: string; effective_at: number; expires_at: number | null },
) =>
  tenantQuery('select app.add_grant($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, null)', [
    acme.id,
    zone,
    toMoment(at),
    grant.id,
    customer,
    meter,
    toDecimal(grant.amount),
    grant.priority,
    toMoment(grant.effective_at),
    toMoment(grant.expires_at),
    grant.recurrence,
    toDecimal(grant.rollover_min),
    toDecimal(grant.rollover_max),
  ])

const amount = fc.bigInt({ min: 1n, max: 60n * UNITS })
const maybeNothing = fc.oneof(fc.constant(0n), amount)
const terms = fc.record({
  limit: maybeNothing,
  rollover_min: maybeNothing,
  rollover_max: maybeNothing,
  preserve_overage: fc.boolean(),
})
const wait = fc.oneof(
  fc.integer({ min: 0, max: 3 * HOUR }),
  fc.integer({ min: 0, max: 5 * DAY }),
  fc.integer({ min: 0, max: 75 * DAY }),
)
type GrantStep = {
  kind: 'grant'
  amount: bigint
  priority: number
  recurrence: 'day' | 'week' | 'month' | 'year' | null
  rollover_min: bigint
  rollover_max: bigint
}
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('use' as const), amount, wait }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('correct' as const), amount, wait }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('grant' as const),
      amount,
      priority: fc.integer({ min: 0, max: 2 }),
      delay: fc.integer({ min: -10 * DAY, max: 20 * DAY }),
      life: fc.option(fc.integer({ min: HOUR, max: 120 * DAY })),
      // From and to the first moment of a day of UTC, where months and days begin.
      whole_days: fc.boolean(),
      recurrence: fc.constantFrom(null, null, 'day' as const, 'week' as const, 'month' as const, 'year' as const),
      rollover_min: maybeNothing,
      rollover_max: maybeNothing,
      wait,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('void' as const), which: fc.nat(), wait }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('terms' as const), terms, wait }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), wait }) },
)
const calendar = fc.record({
  // Midnight comes twice in Havana, and not at all in Cairo and Beirut, when the clocks change.
  zone: fc.constantFrom(
    'UTC',
    'America/New_York',
    'Europe/Berlin',
    'America/Havana',
    'Africa/Cairo',
    'Asia/Beirut',
    'Asia/Kathmandu',
    'Pacific/Apia',
  ),
  period: fc.constantFrom('day' as const, 'month' as const, 'month' as const),
  anchor: fc.oneof(fc.constantFrom(1, 28, 29, 30, 31), fc.integer({ min: 1, max: 31 })),
})
const start = fc.integer({ min: Date.UTC(2025, 0, 1), max: Date.UTC(2026, 11, 31) })

test('is the model, to the last digit, after every step', async () => {
  await fc.assert(
    fc.asyncProperty(
      calendar,
      terms,
      start,
      fc.array(step, { minLength: 1, maxLength: 30 }),
      async (calendar, first, start, steps) => {
        const place = await arrange(calendar, first, start)
        const model = createBalanceModel(calendar, first, start)
        const granted: string[] = []
        let now = start
        await asSystem(acme, async () => {
          for (const step of steps) {
            now += step.wait
            model.advance(now)
            const seen = await peek(place, now)
            const settled = await settle(place, now)
            expect(settled).toMatchObject(seen)
            if (step.kind === 'use' || step.kind === 'correct') {
              const delta = step.kind === 'use' ? step.amount : -step.amount
              model.use(delta)
              await tenantQuery('select app.burn_balance($1, $2, $3, $4, $5)', [
                acme.id,
                place.customer,
                place.meter,
                toDecimal(delta),
                toMoment(now),
              ])
            } else if (step.kind === 'grant') {
              const moment = (at: number) => (step.whole_days ? Math.ceil(at / DAY) * DAY : at)
              const effective_at = moment(now + step.delay)
              const grant = {
                ...step,
                id: newId(),
                effective_at,
                expires_at: step.life === null ? null : moment(Math.max(effective_at, now) + step.life),
              }
              granted.push(grant.id)
              model.grant(grant)
              await addGrant(place, now, grant)
            } else if (step.kind === 'void') {
              const id = granted[step.which % Math.max(granted.length, 1)]
              if (id !== undefined) {
                model.void(id)
                await tenantQuery('select app.void_grant($1, $2, $3, $4)', [acme.id, place.zone, toMoment(now), id])
              }
            } else if (step.kind === 'terms') {
              model.setTerms(step.terms)
              await tenantQuery(
                `update entitlements set cap_limit = $3, rollover_min = $4, rollover_max = $5, preserve_overage = $6
               where tenant_id = $1 and customer_id = $2`,
                [
                  acme.id,
                  place.customer,
                  toDecimal(step.terms.limit),
                  toDecimal(step.terms.rollover_min),
                  toDecimal(step.terms.rollover_max),
                  step.terms.preserve_overage,
                ],
              )
            }
            const after = await settle(place, now)
            const expected = model.state()
            expect({
              used: scaled(after.used),
              balance: scaled(after.balance),
              overage: scaled(after.overage),
              granted: scaled(after.granted),
              starts_on: after.starts_on,
              resets_at: after.resets_at.getTime(),
              allowance_left: scaled(after.allowance_left),
              left: Object.fromEntries(Object.entries(after.grants).map(([id, left]) => [id, scaled(left)])),
            }).toEqual(expected)
            expect(expected.used + expected.balance - expected.overage).toBe(expected.granted)
          }
        })
      },
    ),
    { numRuns: Number(process.env.BALANCE_RUNS ?? 60) },
  )
})

const fixed = { rollover_min: 0n, rollover_max: 0n, preserve_overage: false }
const now = () => Date.now()
const settleAll = (place: Place, moments: readonly string[]) =>
  asSystem(acme, async () => {
    const seen: string[] = []
    for (const moment of moments) seen.push((await settle(place, Date.parse(moment))).starts_on)
    return seen
  })

describe('the calendar', () => {
  test('resets on the anchor day, or on the last day of a month that is shorter, and comes back to it', async () => {
    const place = await arrange(
      { zone: 'Europe/Berlin', period: 'month', anchor: 31 },
      { limit: 10n, ...fixed },
      Date.parse('2026-01-31T12:00:00Z'),
    )
    const seen = await settleAll(place, [
      '2026-02-27T22:59:59.999Z',
      '2026-02-27T23:00:00Z',
      '2026-03-30T21:59:59.999Z',
      '2026-03-30T22:00:00Z',
      '2026-04-29T22:00:00Z',
      '2026-05-30T22:00:00Z',
    ])
    expect(seen).toEqual(['2026-01-31', '2026-02-28', '2026-02-28', '2026-03-31', '2026-04-30', '2026-05-31'])
  })

  test('issues a recurring grant from its first day on, not from the one before', async () => {
    const start = Date.parse('2026-01-31T12:00:00Z')
    const place = await arrange({ zone: 'UTC', period: 'month', anchor: 1 }, { limit: 0n, ...fixed }, start)
    await asSystem(acme, async () => {
      const id = newId()
      await addGrant(place, start, {
        id,
        amount: 5n * UNITS,
        priority: 1,
        recurrence: 'month',
        rollover_min: 0n,
        rollover_max: 0n,
        effective_at: start,
        expires_at: null,
      })
      for (const [moment, issues] of [
        ['2026-02-28T11:59:59Z', 1],
        ['2026-02-28T12:00:00Z', 2],
        ['2026-03-31T11:59:59Z', 2],
        ['2026-03-31T12:00:00Z', 3],
      ] as const) {
        const settled = await settle(place, Date.parse(moment))
        const [row] = await tenantQuery<{ issues: number }>(
          'select issues from grants where tenant_id = $1 and id = $2',
          [acme.id, id],
        )
        expect([row?.issues, scaled(settled.balance)]).toEqual([issues, 5n * UNITS])
      }
    })
  })

  test('three years that nobody looked are rolled over one by one, as long as something changes', async () => {
    const start = Date.parse('2023-01-01T12:00:00Z')
    const rolling = { limit: 2n * UNITS, rollover_min: 0n, rollover_max: 1_500n * UNITS, preserve_overage: false }
    const place = await arrange({ zone: 'America/Havana', period: 'day', anchor: 1 }, rolling, start)
    const settled = await asSystem(acme, () => settle(place, Date.parse('2025-12-31T12:00:00Z')))
    // 1,095 midnights: each carries what was left, up to 1,500, on top of 2.
    expect(scaled(settled.balance)).toBe(1_502n * UNITS)
    const [entries] = await asSystem(acme, () =>
      tenantQuery<{ n: number }>(
        "select count(*)::int as n from balance_entries where tenant_id = $1 and customer_id = $2 and kind = 'reset'",
        [acme.id, place.customer],
      ),
    )
    // After 750 of them it is full; one more line stands for all that changed nothing.
    expect(entries?.n).toBe(751)
  })

  test('a grant that expires with a period does so before the next one begins', async () => {
    const start = Date.parse('2026-01-20T00:00:00Z')
    const place = await arrange({ zone: 'UTC', period: 'month', anchor: 1 }, { limit: 10n * UNITS, ...fixed }, start)
    const once = { amount: 5n * UNITS, recurrence: null, rollover_min: 0n, rollover_max: 0n, effective_at: start }
    await asSystem(acme, async () => {
      await addGrant(place, start, {
        ...once,
        id: newId(),
        priority: 2,
        expires_at: Date.parse('2026-02-01T00:00:00Z'),
      })
      await addGrant(place, start, {
        ...once,
        id: newId(),
        priority: 3,
        expires_at: Date.parse('2026-06-01T00:00:00Z'),
      })
      await tenantQuery('select app.burn_balance($1, $2, $3, 4, $4)', [
        acme.id,
        place.customer,
        place.meter,
        toMoment(start),
      ])
      // Neither rolls over.
      const settled = await settle(place, Date.parse('2026-02-03T00:00:00Z'))
      expect(settled).toMatchObject({ used: '0', balance: '10.000', granted: '10.000', starts_on: '2026-02-01' })
    })
  })

  test('what a grant gives anew while nobody uses any is counted in no time, and leaves no lines', async () => {
    const start = Date.parse('2023-01-01T12:00:00Z')
    const monthly = { limit: 10n * UNITS, ...fixed, rollover_max: 5n * UNITS }
    const place = await arrange({ zone: 'America/Havana', period: 'month', anchor: 31 }, monthly, start)
    const once = { amount: 5n * UNITS, priority: 1, rollover_min: 0n, effective_at: start, expires_at: null }
    await asSystem(acme, async () => {
      await addGrant(place, start, { ...once, id: newId(), recurrence: 'day', rollover_max: 12n * UNITS })
      await addGrant(place, start, { ...once, id: newId(), recurrence: 'month', rollover_max: 0n })
      const settled = await settle(place, Date.parse('2026-01-01T11:59:59Z'))
      expect(scaled(settled.balance)).toBe(37n * UNITS)
      const [row] = await tenantQuery(
        `select (select count(*)::int from balance_entries where tenant_id = $1 and customer_id = $2) < 60 as few,
           (select array_agg(issues || ' ' || issued_at at time zone 'UTC' order by issues) from grants
             where tenant_id = $1 and customer_id = $2) as issues`,
        [acme.id, place.customer],
      )
      expect(row).toEqual({ few: true, issues: ['36 2025-12-01 12:00:00', '1096 2025-12-31 12:00:00'] })
    })
  })

  test.each([
    ['overage that is carried over', true, 0],
    ['usage that came ahead of the period', false, 7],
  ])('what a grant gave anew until a reset is counted before it is used for %s', async (_, preserve_overage, ahead) => {
    const start = Date.parse('2026-01-20T12:00:00Z')
    const terms = { ...fixed, limit: 3n * UNITS, preserve_overage }
    const place = await arrange({ zone: 'UTC', period: 'month', anchor: 1 }, terms, start)
    await asSystem(acme, async () => {
      // Seven beyond the allowance, before there is a grant: overage is not a debt, so the grant stays as it is from day to day.
      await tenantQuery('select app.burn_balance($1, $2, $3, 10, $4)', [
        acme.id,
        place.customer,
        place.meter,
        toMoment(start),
      ])
      const given = { amount: 5n * UNITS, priority: 1, recurrence: 'day' as const, rollover_min: 0n, rollover_max: 0n }
      await addGrant(place, start, { ...given, id: newId(), effective_at: start, expires_at: null })
      if (ahead > 0)
        await tenantQuery(
          `insert into usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events)
           values ($1, 'month', $2, '2026-02-01', $3, $4, 1)`,
          [acme.id, place.meter, place.customer, ahead],
        )
      const settled = await settle(place, Date.parse('2026-02-01T11:59:59Z'))
      expect([settled.used, settled.balance, settled.overage].map(scaled)).toEqual([7n * UNITS, 1n * UNITS, 0n])
      const issues = () =>
        tenantQuery(
          `select g.remaining::int, g.issues, g.issued_at, (select count(*)::int from balance_entries e
             where e.tenant_id = $1 and e.grant_id = g.id and e.kind = 'issued') as lines
           from grants g where g.tenant_id = $1 and g.customer_id = $2`,
          [acme.id, place.customer],
        )
      expect(await issues()).toEqual([
        { remaining: 1, issues: 12, issued_at: new Date('2026-01-31T12:00:00Z'), lines: 1 },
      ])
      expect(scaled((await settle(place, Date.parse('2026-02-01T12:00:00Z'))).balance)).toBe(5n * UNITS)
      expect(await issues()).toEqual([
        { remaining: 5, issues: 13, issued_at: new Date('2026-02-01T12:00:00Z'), lines: 2 },
      ])
    })
  })

  test('a grant that waited while another was given is issued as well', async () => {
    const start = Date.parse('2026-01-10T00:00:00Z')
    const place = await arrange({ zone: 'UTC', period: 'month', anchor: 1 }, { limit: 0n, ...fixed }, start)
    const grant = {
      amount: 5n * UNITS,
      priority: 1,
      recurrence: null,
      rollover_min: 0n,
      rollover_max: 5n * UNITS,
      effective_at: start,
      expires_at: null,
    }
    await asSystem(acme, async () => {
      await addGrant(place, start + 5_000, { ...grant, id: newId() })
      await addGrant(place, start, { ...grant, id: newId() })
      await addGrant(place, start, { ...grant, id: newId(), expires_at: start + 2_000 })
      const grants = 'select issues, remaining::int from grants where tenant_id = $1 and customer_id = $2 order by id'
      const issued = { issues: 1, remaining: 5 }
      expect(await tenantQuery(grants, [acme.id, place.customer])).toEqual([
        issued,
        issued,
        { issues: 0, remaining: 0 },
      ])
      expect(
        await tenantQuery('select * from app.find_clock_drift($1, $2, $3)', [acme.id, 'UTC', [place.meter]]),
      ).toEqual([])
    })
  })

  test('an allowance that rolls over has done so since the customer has it, also before anything was used', async () => {
    const start = Date.parse('2026-01-10T00:00:00Z')
    const rolling = { limit: 10n * UNITS, rollover_min: 0n, rollover_max: 15n * UNITS, preserve_overage: false }
    const place = await arrange({ zone: 'UTC', period: 'month', anchor: 1 }, rolling, start)
    await asSuperuser('delete from balance_entries where tenant_id = $1 and customer_id = $2', [
      acme.id,
      place.customer,
    ])
    await asSuperuser('delete from balances where tenant_id = $1 and customer_id = $2', [acme.id, place.customer])
    await asSystem(acme, async () => {
      await tenantQuery('select app.open_balance($1, $2, $3, $4, $5)', [
        acme.id,
        place.customer,
        place.meter,
        '2026-03-05T00:00:00Z',
        'UTC',
      ])
      expect(scaled((await settle(place, Date.parse('2026-03-05T00:00:00Z'))).balance)).toBe(25n * UNITS)
    })
  })

  test('a period that begins on another day takes over what its counter says', async () => {
    const start = Date.parse('2026-03-20T12:00:00Z')
    const place = await arrange({ zone: 'UTC', period: 'month', anchor: 1 }, { limit: 100n * UNITS, ...fixed }, start)
    await asSystem(acme, async () => {
      await tenantQuery(
        `insert into usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events)
         values ($1, 'month', $2, '2026-03-15', $3, 30, 2)`,
        [acme.id, place.meter, place.customer],
      )
      await tenantQuery('select app.burn_balance($1, $2, $3, 70, $4)', [
        acme.id,
        place.customer,
        place.meter,
        toMoment(start),
      ])
      await tenantQuery('update subscriptions set canceled_at = now() where tenant_id = $1 and customer_id = $2', [
        acme.id,
        place.customer,
      ])
      await tenantQuery(
        'insert into subscriptions (id, customer_id, tier_id, anchor_day) select $3, $2, tier_id, 15 from subscriptions where tenant_id = $1 and customer_id = $2 limit 1',
        [acme.id, place.customer, newId()],
      )
      const settled = await settle(place, start)
      expect(settled).toMatchObject({ starts_on: '2026-03-15', resets_at: new Date('2026-04-15T00:00:00Z') })
      expect([scaled(settled.used), scaled(settled.balance)]).toEqual([30n * UNITS, 70n * UNITS])
    })
  })
})

const tracked = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('use' as const), amount }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('use' as const), amount: fc.constant(0n) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cancel' as const), which: fc.nat() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('grant' as const),
      amount,
      priority: fc.integer({ min: 0, max: 2 }),
      rollover_min: fc.constant(0n),
      rollover_max: amount,
      recurrence: fc.constant(null),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('void' as const), which: fc.nat() }) },
)

test('what is tracked and cancelled by API moves it alike, and is let in as far as there is any left', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('reject' as const, 'overflow' as const, 'cap' as const),
      maybeNothing,
      fc.array(tracked, { minLength: 1, maxLength: 20 }),
      async (behaviour, limit, steps) => {
        const start = now()
        const calendar = { zone: 'UTC', period: 'month' as const, anchor: 1 }
        const place = await arrange(calendar, { limit, ...fixed }, start)
        await asSystem(acme, () =>
          tenantQuery('update entitlements set behaviour = $3 where tenant_id = $1 and customer_id = $2', [
            acme.id,
            place.customer,
            behaviour,
          ]),
        )
        const model = createBalanceModel(calendar, { limit, ...fixed }, start)
        const granted: string[] = []
        const counted: { event_id: string; amount: bigint }[] = []
        for (const step of steps) {
          if (step.kind === 'use') {
            const event_id = newId()
            const { balance } = model.state()
            const fits = behaviour === 'overflow' || step.amount <= balance
            const taken = fits ? step.amount : behaviour === 'cap' && balance > 0n ? balance : null
            const { inserted } = await runWithoutTransaction(acme.id, systemActor(), () =>
              TenantUsageTrackingService.trackUsage({
                meter_id: place.meter,
                user_id: place.customer,
                event_value: toDecimal(step.amount),
                event_id,
              }),
            )
            expect(inserted).toBe(taken === null ? 0 : 1)
            if (taken !== null) {
              model.use(taken)
              counted.push({ event_id, amount: taken })
            }
          } else if (step.kind === 'cancel') {
            const [event] = counted.splice(step.which % Math.max(counted.length, 1), 1)
            if (event) {
              model.use(-event.amount)
              const result = await asSystem(acme, () => correctUsage({ action: 'cancel', event_id: event.event_id }))
              expect(result.corrected).toBe(1)
            }
          } else if (step.kind === 'grant') {
            const at = now()
            const grant = { ...step, id: newId(), effective_at: at, expires_at: null }
            granted.push(grant.id)
            model.advance(at)
            model.grant(grant)
            await asSystem(acme, () => addGrant(place, at, grant))
          } else {
            const id = granted[step.which % Math.max(granted.length, 1)]
            if (id !== undefined) {
              model.void(id)
              await asSystem(acme, () =>
                tenantQuery('select app.void_grant($1, $2, clock_timestamp(), $3)', [acme.id, place.zone, id]),
              )
            }
          }
          const after = await asSystem(acme, () => settle(place, now()))
          const expected = model.state()
          expect({
            used: scaled(after.used),
            balance: scaled(after.balance),
            overage: scaled(after.overage),
            granted: scaled(after.granted),
          }).toEqual({
            used: expected.used,
            balance: expected.balance,
            overage: expected.overage,
            granted: expected.granted,
          })
        }
      },
    ),
    { numRuns: Number(process.env.BALANCE_RUNS ?? 25) },
  )
})
