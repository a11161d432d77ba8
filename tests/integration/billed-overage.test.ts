// Overage as it is billed: what allowance, rollover and grants did not cover at the moment it was used, for every period of a balance and
// as of every moment, against the plain model of a balance. Usage comes in time, late, and before the period in which it says it happened.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { POST as closeRoute } from '@/app/api/v1/billing-periods/route'
import { GET as balanceRoute } from '@/app/api/v1/customers/[id]/balance/route'
import { PUT as entitlementRoute } from '@/app/api/v1/customers/[id]/entitlements/[feature]/route'
import { POST as grantRoute } from '@/app/api/v1/customers/[id]/grants/route'
import { PUT as subscriptionRoute } from '@/app/api/v1/customers/[id]/subscription/route'
import { POST as customerRoute } from '@/app/api/v1/customers/route'
import { POST as meterRoute } from '@/app/api/v1/meters/route'
import { POST as moveRoute } from '@/app/api/v1/tiers/[id]/move/route'
import { PATCH as changeTierRoute } from '@/app/api/v1/tiers/[id]/route'
import { POST as tierRoute } from '@/app/api/v1/tiers/route'
import { POST as trackRoute } from '@/app/api/v1/usage/track/route'
import { tenantQuery } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'
import { createBalanceModel, type ModelGrant } from '../support/balance-model'
import { makePartition } from '../support/usage-history'
import { asSuperuser, asSystem, call, createTenant, createWorld, type TestTenant } from '../support/world'

await createWorld()
const RUNS = Number(process.env.MODEL_RUNS ?? 12)
const HOUR = 3_600_000
const DAY = 24 * HOUR
const ZONES = ['UTC', 'America/New_York', 'Europe/Berlin', 'America/Havana', 'Australia/Lord_Howe', 'Asia/Kathmandu']
const least = (a: bigint, b: bigint) => (a < b ? a : b)
const most = (a: bigint, b: bigint) => (a > b ? a : b)
const at = (moment: number | null) => (moment === null ? null : new Date(moment).toISOString())
const localDay = (moment: number, zone: string) => new Intl.DateTimeFormat('en-CA', { timeZone: zone }).format(moment)

const amount = fc.bigInt({ min: 1n, max: 60n })
const some = fc.oneof(fc.constant(0n), amount)
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('use' as const), amount, wait: fc.integer({ min: 1, max: 20 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('back' as const), which: fc.nat(), wait: fc.integer({ min: 1, max: 9 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('late' as const), amount, wait: fc.integer({ min: 1, max: 9 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('ahead' as const), amount, wait: fc.integer({ min: 1, max: 9 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('grant' as const),
      wait: fc.integer({ min: 1, max: 9 }),
      amount,
      priority: fc.integer({ min: 0, max: 2 }),
      life: fc.option(fc.integer({ min: HOUR, max: 9 * DAY })),
      recurrence: fc.constantFrom(null, 'day' as const, 'week' as const),
      rollover_min: some,
      rollover_max: some,
    }),
  },
)
const run = fc.record({
  zone: fc.constantFrom(...ZONES),
  period: fc.constantFrom('day' as const, 'day' as const, 'month' as const),
  anchor: fc.constantFrom(1, 31),
  terms: fc.record({ limit: some, rollover_min: some, rollover_max: some, preserve_overage: fc.boolean() }),
  steps: fc.array(step, { minLength: 8, maxLength: 30, size: 'max' }),
})

async function arrange(
  tenant: TestTenant,
  { zone, period, anchor, terms }: typeof run extends fc.Arbitrary<infer T> ? T : never,
  start: number,
) {
  const [customer, meter, tier] = [newId(), newId(), newId()]
  await asSystem(tenant, async () => {
    await tenantQuery("insert into customers (id, external_id) values ($1, 'holder')", [customer])
    await tenantQuery("insert into meters (id, slug, name, individual) values ($1, 'metered', 'Metered', true)", [
      meter,
    ])
    await tenantQuery("insert into tiers (id, slug, name) values ($1, 'tier', 'Tier')", [tier])
    await tenantQuery(
      'insert into subscriptions (id, customer_id, tier_id, anchor_day, started_at) values ($1, $2, $3, $4, $5)',
      [newId(), customer, tier, anchor, at(start)],
    )
    await tenantQuery(
      `insert into entitlements (id, customer_id, kind, feature_key, meter_id, cap_limit, behaviour, period, rollover_min, rollover_max,
         preserve_overage, created_at) values ($1, $2, 'metered', 'metered', $3, $4, 'overflow', $5, $6, $7, $8, $9)`,
      [
        newId(),
        customer,
        meter,
        terms.limit,
        period,
        terms.rollover_min,
        terms.rollover_max,
        terms.preserve_overage,
        at(start),
      ].map((value) => (typeof value === 'bigint' ? String(value) : value)),
    )
    await tenantQuery('select app.open_balance($1, $2, $3, $4, $5)', [tenant.id, customer, meter, at(start), zone])
  })
  return { customer, meter }
}

test('in any zone, as of any moment', async () => {
  for (const month of ['2026-08', '2026-09', '2026-10', '2026-11', '2026-12', '2027-01'])
    await makePartition(`${month}-01`)
  let compared = 0
  let beyond = 0
  await fc.assert(
    fc.asyncProperty(run, async (drawn) => {
      const { zone, period, anchor, terms, steps } = drawn
      const tenant = await createTenant(`overage-${newId()}`)
      // Over a change of the clocks.
      let now = Date.UTC(2026, 9, 20, 7, 13) + Math.floor(Math.random() * 12 * DAY)
      const { customer, meter } = await arrange(tenant, drawn, now)
      const model = createBalanceModel({ zone, period, anchor }, terms, now)
      type Period = { starts_on: string; sum: bigint; pool: bigint; over: bigint; opens: number }
      let present: Period = { starts_on: model.state().starts_on, sum: 0n, pool: 0n, over: 0n, opens: now }
      let next = 0n
      const over: Period[] = []
      const snapshots: { moment: number; starts_on: string; ends: number; sum: bigint }[] = []
      const sent: { id: string; amount: bigint; occurred: number; of: string }[] = []

      const pass = (to: number) => {
        for (let ends = model.state().resets_at; ends <= to; ends = model.state().resets_at) {
          model.advance(ends - 1)
          const before = model.state()
          model.advance(ends)
          const after = model.state()
          const debt = terms.preserve_overage ? before.overage : 0n
          over.push({
            ...present,
            over: most(0n, present.sum),
            pool: most(0n, before.balance - (after.granted - terms.limit)),
          })
          present = {
            starts_on: after.starts_on,
            sum: after.overage - debt,
            pool: 0n,
            over: 0n,
            opens: ends,
          }
          if (next !== 0n) {
            model.use(next)
            present.sum += model.state().overage - after.overage
          }
          next = 0n
        }
        model.advance(to)
      }
      const use = (units: bigint) => {
        const before = model.state().overage
        model.use(units)
        present.sum += model.state().overage - before
      }
      const takeOf = (past: Period, units: bigint) => {
        const part = units >= 0n ? units - least(units, past.pool) : -least(-units, past.over)
        past.pool -= units - part
        past.over += part
        past.sum += part
      }
      /** As the statement of usage does it: balance up to date, event, counters, and the balance again where it is of its period. */
      const record = async (id: string, units: bigint, occurred: number, corrects: string | null) => {
        const day = localDay(occurred, zone)
        await asSystem(tenant, () =>
          tenantQuery('select app.settle_balance($1, $2, $3, $4, $5)', [tenant.id, customer, meter, at(now), zone]),
        )
        await asSuperuser(
          `insert into usage_events (tenant_id, id, meter_id, customer_id, value, occurred_at, received_at, received_month, weight, corrects)
           values ($1, $2, $3, $4, $5, $6, $7, date_trunc('month', $7::timestamptz at time zone 'UTC'), $8, $9)`,
          [
            tenant.id,
            id,
            meter,
            customer,
            String(corrects ? -units : units),
            at(occurred),
            at(now),
            corrects ? -1 : 1,
            corrects,
          ],
        )
        await asSuperuser(
          `insert into usage_counters (tenant_id, period, meter_id, starts_on, customer_id, used, events)
           select $1, p.period, $2, app.period_start($3, p.period, $4), $5, $6, $7 from (values ('day'), ('month')) p (period)
           on conflict (tenant_id, period, meter_id, starts_on, customer_id)
             do update set used = usage_counters.used + excluded.used, events = usage_counters.events + excluded.events`,
          [tenant.id, meter, day, anchor, customer, String(units), corrects ? -1 : 1],
        )
        if (occurred >= present.opens && occurred < model.state().resets_at)
          await asSystem(tenant, () =>
            tenantQuery('select app.burn_balance($1, $2, $3, $4, $5)', [
              tenant.id,
              customer,
              meter,
              String(units),
              at(now),
            ]),
          )
      }
      const billed = async (starts_on: string, ends: number, moment: number) => {
        const [row] = await asSystem(tenant, () =>
          tenantQuery<{ overage: string | null }>(
            `select app.balance_overage($1, $2, $3, 'SUM', $4, ($5::timestamptz at time zone $6)::date, $7, $6)::text as overage`,
            [tenant.id, customer, meter, starts_on, at(ends), zone, at(moment)],
          ),
        )
        return row?.overage ?? null
      }

      for (const each of steps) {
        now += each.wait * HOUR + 1
        pass(now)
        if (each.kind === 'grant') {
          const { amount: units, priority, recurrence, rollover_min, rollover_max, life } = each
          const given: ModelGrant = {
            id: newId(),
            amount: units,
            priority,
            recurrence,
            rollover_min,
            rollover_max,
            effective_at: now,
            expires_at: life ? now + life : null,
          }
          const before = model.state().overage
          model.grant(given)
          expect(model.state().overage).toBe(before)
          await asSystem(tenant, () =>
            tenantQuery('select app.add_grant($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, null)', [
              tenant.id,
              zone,
              at(now),
              given.id,
              customer,
              meter,
              String(units),
              priority,
              at(now),
              at(given.expires_at),
              recurrence,
              String(rollover_min),
              String(rollover_max),
            ]),
          )
        } else if (each.kind === 'use') {
          const id = newId()
          await record(id, each.amount, now, null)
          use(each.amount)
          sent.push({ id, amount: each.amount, occurred: now, of: present.starts_on })
        } else if (each.kind === 'late') {
          const past = over.at(-1)
          if (!past) continue
          const id = newId()
          await record(id, each.amount, present.opens - 1, null)
          takeOf(past, each.amount)
          sent.push({ id, amount: each.amount, occurred: present.opens - 1, of: past.starts_on })
        } else if (each.kind === 'ahead') {
          const { resets_at } = model.state()
          if (resets_at - now > DAY - HOUR) continue
          const id = newId()
          await record(id, each.amount, resets_at + 60_000, null)
          next += each.amount
        } else {
          const [taken] = sent.splice(each.which % Math.max(sent.length, 1), 1)
          if (!taken) continue
          await record(newId(), -taken.amount, taken.occurred, taken.id)
          const past = over.find(({ starts_on }) => starts_on === taken.of)
          if (past) takeOf(past, -taken.amount)
          else use(-taken.amount)
        }
        const { used, balance, overage, granted } = model.state()
        const [row] = await asSystem(tenant, () =>
          tenantQuery<Record<'used' | 'balance' | 'overage' | 'granted', string>>(
            'select used::text, balance::text, overage::text, granted::text from app.peek_balance($1, $2, $3, $4, $5)',
            [tenant.id, customer, meter, at(now), zone],
          ),
        )
        expect(row).toEqual({ used: `${used}`, balance: `${balance}`, overage: `${overage}`, granted: `${granted}` })
        const past = over.at(-1)
        if (past) snapshots.push({ moment: now + 1, starts_on: past.starts_on, ends: present.opens, sum: past.sum })
        snapshots.push({
          moment: now + 1,
          starts_on: present.starts_on,
          ends: model.state().resets_at,
          sum: present.sum,
        })
      }
      for (const { moment, starts_on, ends, sum } of snapshots) {
        const overage = await billed(starts_on, ends, moment)
        // Nobody wrote anything down of a period in which nothing happened.
        expect({ starts_on, moment, overage: overage ?? '0' }).toEqual({
          starts_on,
          moment,
          overage: `${most(sum, 0n)}`,
        })
        compared += 1
        if (sum > 0n) beyond += 1
      }
    }),
    { numRuns: RUNS, endOnFailure: true },
  )
  expect(compared).toBeGreaterThan(5 * RUNS)
  expect(beyond).toBeGreaterThan(RUNS)
})

test('what a grant covers is not billed as overage; what comes before the grant is', async () => {
  const tenant = await createTenant('granted')
  const [customer, meter] = [newId(), newId()]
  await asSystem(tenant, async () => {
    await tenantQuery("insert into customers (id, external_id) values ($1, 'otter')", [customer])
    await tenantQuery("insert into meters (id, slug, name) values ($1, 'exports', 'Exports')", [meter])
    await tenantQuery(
      `insert into entitlements (id, customer_id, kind, feature_key, meter_id, cap_limit, behaviour)
       values ($1, $2, 'metered', 'exports', $3, 10, 'overflow')`,
      [newId(), customer, meter],
    )
    await tenantQuery('update meters set individual = true where id = $1', [meter])
  })
  const use = async (event_value: number) => {
    const answer = await call(trackRoute, 'POST', '/x', {
      as: tenant.api_key,
      body: { meter_id: 'exports', user_id: 'otter', event_value },
    })
    expect(answer.body).toMatchObject({ inserted: 1 })
  }
  const grant = (amount: number) =>
    asSystem(tenant, () =>
      tenantQuery(
        "select app.add_grant($1, 'UTC', clock_timestamp(), $2, $3, $4, $5, 1, null, null, null, 0, 1000, null)",
        [tenant.id, newId(), customer, meter, amount],
      ),
    )
  const close = async () => {
    const { status } = await call(closeRoute, 'POST', '/x', {
      as: tenant.api_key,
      body: { ends_at: new Date(Date.now() - 1).toISOString() },
    })
    expect(status).toBe(201)
    const [line] = await asSystem(tenant, () =>
      tenantQuery<{ quantity: string; overage: string }>(
        `select l.quantity::text, trim_scale(l.overage)::text as overage from billing_lines l
         join billing_periods p on p.tenant_id = l.tenant_id and p.id = l.billing_period_id
         where l.tenant_id = $1 order by p.ends_at desc limit 1`,
        [tenant.id],
      ),
    )
    return [Number(line?.quantity), line?.overage]
  }
  await use(12)
  await grant(5)
  await use(4)
  await new Promise((resolve) => setTimeout(resolve, 5))
  // Two beyond the allowance before there was a grant; then four of the grant's five.
  expect(await close()).toEqual([16, '2'])
  await use(1)
  await new Promise((resolve) => setTimeout(resolve, 5))
  expect(await close()).toEqual([1, '0'])
  await use(3)
  await new Promise((resolve) => setTimeout(resolve, 5))
  expect(await close()).toEqual([3, '3'])
  const [balance] = await asSystem(tenant, () =>
    tenantQuery<Record<string, string>>(
      "select used::text, balance::text, overage::text, granted::text from app.peek_balance($1, $2, $3, clock_timestamp(), 'UTC')",
      [tenant.id, customer, meter],
    ),
  )
  expect(balance).toEqual({ used: '20', balance: '0', overage: '5', granted: '15' })
})

test('a grant that is effective from before is issued when it is given, and what came before it stays overage', async () => {
  const tenant = await createTenant('granted-late')
  await asSystem(tenant, async () => {
    await tenantQuery("insert into customers (id, external_id) values ($1, 'otter')", [newId()])
    await tenantQuery("insert into meters (id, slug, name, individual) values ($1, 'exports', 'Exports', true)", [
      newId(),
    ])
    await tenantQuery(
      `insert into entitlements (id, customer_id, kind, feature_key, meter_id, cap_limit, behaviour, rollover_max)
       select $1, c.id, 'metered', 'exports', m.id, 10, 'overflow', 5 from customers c, meters m
       where c.tenant_id = $2 and m.tenant_id = $2 and c.external_id = 'otter'`,
      [newId(), tenant.id],
    )
  })
  const send = async (handler: Parameters<typeof call>[0], body: object, params: Record<string, string> = {}) => {
    const answer = await call(handler, 'POST', '/x', { as: tenant.api_key, body, params })
    expect([answer.status < 300, answer.body]).toEqual([true, answer.body])
    return answer.body
  }
  const pause = () => new Promise((resolve) => setTimeout(resolve, 5))
  await send(trackRoute, { meter_id: 'exports', user_id: 'otter', event_value: 1 })
  await pause()
  const effective_at = new Date().toISOString()
  await pause()
  await send(trackRoute, { meter_id: 'exports', user_id: 'otter', event_value: 13 })
  await pause()
  await send(grantRoute, { meter: 'exports', amount: 5, effective_at }, { id: 'otter' })
  await pause()
  await send(closeRoute, { ends_at: new Date().toISOString() })
  const [line] = await asSystem(tenant, () =>
    tenantQuery('select trim_scale(overage)::text as overage from billing_lines where tenant_id = $1', [tenant.id]),
  )
  expect(line).toEqual({ overage: '4' })
})

test('a cap that is lowered while its month runs is billed by, whether or not anything came in since, and one that is raised too', async () => {
  const tenant = await createTenant('lowered')
  const rows: Record<string, number> = {}
  await asSystem(tenant, async () => {
    await tenantQuery("insert into customers (id, external_id) values ($1, 'otter')", [newId()])
    for (const [slug, aggregation, period, rollover] of [
      ['credits', 'SUM', 'month', 5],
      ['exports', 'SUM', 'month', 0],
      ['visits', 'COUNT', 'day', 0],
      ['peak', 'MAX', 'month', 0],
      ['level', 'WEIGHTED_SUM', 'month', 0],
    ] as const) {
      await tenantQuery('insert into meters (id, slug, name, aggregation, individual) values ($1, $2, $2, $3, true)', [
        newId(),
        slug,
        aggregation,
      ])
      await tenantQuery(
        `insert into entitlements (id, customer_id, kind, feature_key, meter_id, cap_limit, behaviour, period, rollover_max)
         select $1, c.id, 'metered', m.slug, m.id, 40, 'overflow', $2, $3 from customers c, meters m
         where c.tenant_id = $4 and m.tenant_id = $4 and c.external_id = 'otter' and m.slug = $5`,
        [newId(), period, rollover, tenant.id, slug],
      )
    }
  })
  const close = async () => {
    await new Promise((resolve) => setTimeout(resolve, 5))
    const { status } = await call(closeRoute, 'POST', '/x', {
      as: tenant.api_key,
      body: { ends_at: new Date(Date.now() - 1).toISOString() },
    })
    expect(status).toBe(201)
    const lines = await asSystem(tenant, () =>
      tenantQuery<{ meter: string; line: string }>(
        `select l.meter, concat_ws(' ', trim_scale(l.quantity), l.events, trim_scale(l.cap_limit), trim_scale(l.overage), l.adjustment::text) as line
         from billing_lines l where l.meter <> 'level' and l.billing_period_id = (
           select p.id from billing_periods p where p.tenant_id = $1 order by p.ends_at desc limit 1)`,
        [tenant.id],
      ),
    )
    return Object.fromEntries(lines.map(({ meter, line }) => [meter, line]))
  }
  const limit = async (to: number) => {
    for (const feature of ['credits', 'exports', 'visits', 'peak', 'level']) {
      const answer = await call(entitlementRoute, 'PUT', '/x', {
        as: tenant.api_key,
        params: { id: 'otter', feature },
        body: {
          limit: to,
          behaviour: 'overflow',
          period: feature === 'visits' ? 'day' : 'month',
          ...(feature === 'credits' ? { rollover: { max: 5 } } : {}),
        },
      })
      expect([answer.status, answer.body]).toEqual([200, answer.body])
    }
  }
  const events = ['credits', 'exports', 'peak'].map((meter_id) => ({ meter_id, user_id: 'otter', event_value: 30 }))
  const visits = Array.from({ length: 30 }, () => ({ meter_id: 'visits', user_id: 'otter' }))
  const { body } = await call(trackRoute, 'POST', '/x', { as: tenant.api_key, body: [...events, ...visits] })
  expect(body).toMatchObject({ inserted: 33 })
  const used = { credits: '30 1', exports: '30 1', visits: '30 30', peak: '30 1' }
  const line = (rest: string) => Object.fromEntries(Object.entries(used).map(([meter, of]) => [meter, `${of} ${rest}`]))
  const changed = (rest: string) => Object.fromEntries(Object.keys(used).map((meter) => [meter, `0 0 ${rest}`]))
  expect(await close()).toEqual(line('40 0 false'))
  await limit(10)
  for (const meter of Object.keys(used)) {
    const { body } = await call(balanceRoute, 'GET', `/x?meter=${meter}`, {
      as: tenant.api_key,
      params: { id: 'otter' },
    })
    rows[meter] = body.overage
  }
  expect(rows).toEqual({ credits: 20, exports: 20, visits: 20, peak: 20 })
  expect(await close()).toEqual(changed('10 20 false'))
  expect(await close()).toEqual({})
  await limit(25)
  expect(await close()).toEqual(changed('25 -15 false'))
  expect(await close()).toEqual({})
})

test('a period that is closed later is billed by the version of a tier there was at its end', async () => {
  const tenant = await createTenant('closed-later')
  const send = async (
    handler: Parameters<typeof call>[0],
    method: string,
    body: object,
    params: Record<string, string> = {},
  ) => {
    const answer = await call(handler, method, '/x', { as: tenant.api_key, body, params })
    expect([answer.status < 300, answer.body]).toEqual([true, answer.body])
    return answer.body
  }
  const pause = () => new Promise((resolve) => setTimeout(resolve, 5))
  const caps = (meter: string, limit: number) => ({ usage_caps: { [meter]: { limit, behaviour: 'overflow' } } })
  for (const slug of ['given', 'bought']) await send(meterRoute, 'POST', { name: slug, slug })
  await send(tierRoute, 'POST', { name: 'Free', slug: 'free', is_default: true, ...caps('given', 40) })
  await send(tierRoute, 'POST', { name: 'Team', slug: 'team', ...caps('bought', 40) })
  await send(customerRoute, 'POST', { external_id: 'otter' })
  await send(subscriptionRoute, 'PUT', { tier: 'team' }, { id: 'otter' })
  await send(trackRoute, 'POST', [
    { meter_id: 'given', user_id: 'newt', event_value: 30 },
    { meter_id: 'bought', user_id: 'otter', event_value: 30 },
  ] as unknown as object)
  await pause()
  const ends_at = new Date().toISOString()
  await pause()
  await send(changeTierRoute, 'PATCH', caps('given', 10), { id: 'free' })
  await send(changeTierRoute, 'PATCH', caps('bought', 10), { id: 'team' })
  await send(moveRoute, 'POST', {}, { id: 'team' })
  const close = async (until: string) => {
    const { id } = await send(closeRoute, 'POST', { ends_at: until })
    return asSystem(tenant, () =>
      tenantQuery(
        `select meter, tier_version, trim_scale(cap_limit)::text as cap, trim_scale(overage)::text as overage from billing_lines
         where tenant_id = $1 and billing_period_id = $2 order by meter desc`,
        [tenant.id, id],
      ),
    )
  }
  const lines = (line: object) => ['given', 'bought'].map((meter) => ({ meter, ...line }))
  expect(await close(ends_at)).toEqual(lines({ tier_version: 1, cap: '40', overage: '0' }))
  await pause()
  // The month runs on, and the next period by the version there is then.
  expect(await close(new Date(Date.now() - 1).toISOString())).toEqual(
    lines({ tier_version: 2, cap: '10', overage: '20' }),
  )
})
