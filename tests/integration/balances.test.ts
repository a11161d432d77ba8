// Balances against a plain model: whatever is granted, used, taken back, voided and waited for, in any zone, used, balance and
// overage are the model's to the last digit, and used + balance - overage = granted after every step.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { tenantQuery } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'
import { createBalanceModel, type ModelCalendar, type ModelTerms } from '../support/balance-model'
import { asSystem, createWorld } from '../support/world'

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
              const effective_at = now + step.delay
              const grant = {
                ...step,
                id: newId(),
                effective_at,
                expires_at: step.life === null ? null : Math.max(effective_at, now) + step.life,
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
}, 120_000)
