// All of it at once while time goes by: usage now, late and a little ahead, repeated, cancelled and amended, also in periods that are over, by
// our own calls and those of other clients; amounts that are held, settled and released; a tenant that moves to another time zone;
// grants of every priority, recurrence and expiry; other terms in the middle of a period; anchors at the end of the month, in zones whose
// clocks change; caps of four kinds; billing periods closed in between; sent to two processes while their connections break. After each
// step used, balance and overage are the model's, and used + balance - overage = granted.
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { correctUsage } from '@/features/usage-tracking/services/usage-correction-service'
import { tenantQuery } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'
import { forgetTenantRouting } from '@/libs/tenancy/resolve-tenant'
import { createBalanceModel, type ModelCalendar, type ModelGrant } from '../support/balance-model'
import { compareOverage } from '../support/compare-overage'
import { type IngestProcess, startIngestProcess } from '../support/ingest-process'
import { moveClock, stopClock } from '../support/movable-clock'
import { makePartition } from '../support/usage-history'
import { asSuperuser, asSystem, createTenant, createWorld, type TestTenant } from '../support/world'

await createWorld()
const RUNS = Number(process.env.MODEL_RUNS ?? 12)
/** The same draws every time, unless told: what is found by others can be looked at again. */
const SEED = Number(process.env.MODEL_SEED ?? 1)
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const HOLDER = 'holder'
const ZONES = ['UTC', 'America/New_York', 'Europe/Berlin', 'America/Havana', 'Africa/Cairo', 'Asia/Kathmandu']
/** Where a day begins when it is half over, or not for as long, elsewhere. */
const FAR_ZONES = ['Pacific/Apia', 'Asia/Tokyo', 'America/Los_Angeles']
/** What adds up has a balance; what does not, a cap alone. */
const BALANCED = ['credits', 'visits'] as const
const KINDS = { credits: 'SUM', visits: 'COUNT', peak: 'MAX', latest: 'LATEST', devices: 'UNIQUE_COUNT' } as const
type Meter = keyof typeof KINDS
type Balanced = (typeof BALANCED)[number]
const isBalanced = (meter: Meter): meter is Balanced => (BALANCED as readonly Meter[]).includes(meter)

let processes: IngestProcess[] = []
beforeAll(async () => {
  await stopClock()
  for (let month = 0; month < 36; month += 1)
    await makePartition(`${new Date(Date.UTC(2025, month, 1)).toISOString().slice(0, 7)}-01`)
  processes = await Promise.all([startIngestProcess(), startIngestProcess()])
})
afterAll(() => Promise.all(processes.map((each) => each.end())))

const thousandths = fc.bigInt({ min: 1n, max: 60_000n })
const some = fc.oneof(fc.constant(0n), thousandths)
const terms = fc.record({
  limit: some,
  behaviour: fc.constantFrom('reject' as const, 'overflow' as const, 'overflow' as const, 'cap' as const),
  rollover_min: some,
  rollover_max: some,
  preserve_overage: fc.boolean(),
})
type Terms = typeof terms extends fc.Arbitrary<infer T> ? T : never
const tier = fc.record({
  period: fc.constantFrom('day' as const, 'month' as const, 'month' as const),
  credits: terms,
  visits: terms.map((each) => ({ ...each, limit: (each.limit / 10_000n) * 1_000n })),
  peak: thousandths,
  latest: thousandths,
  devices: fc.bigInt({ min: 0n, max: 4n }).map((count) => count * 1_000n),
})
const wait = fc.oneof(
  fc.integer({ min: 1, max: 3 * HOUR }),
  fc.integer({ min: 1, max: 3 * DAY }),
  fc.integer({ min: 1, max: 40 * DAY }),
)
/** When a thing happened: now, up to a month ago, or (where the period is about to end) in the next one. */
const when = fc.oneof(
  { weight: 4, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 33 * DAY }) },
  { weight: 2, arbitrary: fc.integer({ min: -4 * MINUTE, max: -1.5 * MINUTE }) },
)
const event = fc.record({
  meter: fc.constantFrom<Meter>('credits', 'credits', 'credits', 'visits', 'visits', 'peak', 'latest', 'devices'),
  value: fc.oneof({ weight: 8, arbitrary: thousandths }, { weight: 1, arbitrary: fc.constant(0n) }),
  ago: when,
  device: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
})
type Wire = 'ours' | 'openmeter' | 'stripe' | 'stripe2'
const wire = fc.constantFrom<Wire>('ours', 'openmeter', 'stripe', 'stripe2')
const hold = {
  meter: fc.constantFrom(...BALANCED),
  amount: thousandths,
  seconds: fc.integer({ min: 60, max: 86_400 }),
}
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('use' as const),
      wait,
      events: fc.array(event, { minLength: 1, maxLength: 6 }),
      breaks: fc.boolean(),
      /** Just before the period of the credits ends. */
      border: fc.boolean(),
      /** Of now and sent alone: the short way. */
      plain: fc.boolean(),
      /** By which wire each is sent; all by ours go together. */
      wires: fc.oneof(
        { weight: 2, arbitrary: fc.constant([]) },
        { weight: 1, arbitrary: fc.array(wire, { minLength: 6, maxLength: 6 }) },
      ),
      again: wire,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('correct' as const),
      wait: fc.oneof(fc.constant(1), wait),
      which: fc.nat(),
      value: fc.option(thousandths),
      stripe: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('grant' as const),
      wait,
      meter: fc.constantFrom(...BALANCED),
      amount: thousandths,
      priority: fc.integer({ min: 0, max: 2 }),
      delay: fc.integer({ min: -10 * DAY, max: 20 * DAY }),
      /** From the very moment on at which the period ends. */
      aligned: fc.boolean(),
      life: fc.option(fc.integer({ min: HOUR, max: 120 * DAY })),
      recurrence: fc.constantFrom(null, 'day' as const, 'week' as const, 'month' as const, 'year' as const),
      rollover_min: some,
      rollover_max: some,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('void' as const), wait, which: fc.nat() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('tier' as const),
      wait,
      tier: fc.nat({ max: 1 }),
      anchor: fc.option(fc.constantFrom(1, 10, 29, 31)),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('close' as const), wait }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('zone' as const), wait, zone: fc.constantFrom(...ZONES, ...FAR_ZONES) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reserve' as const), wait, ...hold }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('settle' as const),
      wait,
      ...hold,
      /** How long it is held. */
      during: fc.integer({ min: 1, max: HOUR }),
      /** Halves of what is held that are used of it; null: all, without saying so. */
      halves: fc.constantFrom(null, 0n, 1n, 2n, 3n),
      releases: fc.boolean(),
    }),
  },
)
const run = fc.record({
  zone: fc.constantFrom(...ZONES),
  anchor: fc.constantFrom(1, 15, 28, 30, 31),
  start: fc.integer({ min: Date.UTC(2026, 0, 1), max: Date.UTC(2026, 9, 31) }),
  tiers: fc.tuple(tier, tier),
  steps: fc.array(step, { minLength: 6, maxLength: 28, size: 'max' }),
})

const toDecimal = (units: bigint) => {
  const text = (units < 0n ? -units : units).toString().padStart(4, '0')
  return `${units < 0n ? '-' : ''}${text.slice(0, -3)}.${text.slice(-3)}`
}
const toThousandths = (text: string | undefined) => {
  const [whole = '0', fraction = ''] = (text ?? '0').split('.')
  return BigInt(`${whole}${fraction.padEnd(3, '0')}`)
}
const at = (moment: number | null) => (moment === null ? null : new Date(moment).toISOString())
const localDay = (moment: number, zone: string) => new Intl.DateTimeFormat('en-CA', { timeZone: zone }).format(moment)

const toNumber = (units: bigint) => Number(units) / 1_000
const toText = (units: bigint) => String(toNumber(units))
const pick = ({ used, remaining, overage }: Record<string, unknown>) => ({ used, remaining, overage })

type Standing = {
  id: string
  meter: Meter
  /** What was sent, and what of it a cap let count. */
  value: bigint
  counted: bigint
  occurred: number
  received: number
  device: string
  /** Of what was recorded for a reservation. */
  source?: string
}

async function arrange(
  tenant: TestTenant,
  zone: string,
  calendar: ModelCalendar,
  tiers: readonly (Record<Meter, bigint | Terms> & Pick<ModelCalendar, 'period'>)[],
  start: number,
) {
  const ids = { customer: newId(), tiers: [newId(), newId()] as const, meters: {} as Record<Meter, string> }
  await asSystem(tenant, async () => {
    await tenantQuery('insert into usage_settings (accepts_late_days) values (400)')
    await tenantQuery('insert into customers (id, external_id) values ($1, $2)', [ids.customer, HOLDER])
    for (const [slug, aggregation] of Object.entries(KINDS)) {
      const id = newId()
      ids.meters[slug as Meter] = id
      await tenantQuery(
        'insert into meters (id, slug, name, aggregation, value_property, individual) values ($1, $2, $2, $3, $4, true)',
        [id, slug, aggregation, aggregation === 'UNIQUE_COUNT' ? 'device' : null],
      )
    }
    for (const [index, caps] of tiers.entries()) {
      await tenantQuery('insert into tiers (id, slug, name) values ($1, $2, $2)', [ids.tiers[index], `tier-${index}`])
      for (const [slug, cap] of Object.entries(caps).filter(([name]) => name !== 'period')) {
        const own =
          typeof cap === 'bigint'
            ? { limit: cap, behaviour: 'reject', rollover_min: 0n, rollover_max: 0n, preserve_overage: false }
            : (cap as Terms)
        await tenantQuery(
          `insert into tier_caps (id, tier_id, meter_id, cap_limit, behaviour, period, rollover_min, rollover_max, preserve_overage)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
          [
            newId(),
            ids.tiers[index],
            ids.meters[slug as Meter],
            toDecimal(own.limit),
            own.behaviour,
            caps.period,
            toDecimal(own.rollover_min),
            toDecimal(own.rollover_max),
            own.preserve_overage,
          ],
        )
      }
    }
    await tenantQuery(
      'insert into subscriptions (id, customer_id, tier_id, anchor_day, started_at) values ($1, $2, $3, $4, $5)',
      [newId(), ids.customer, ids.tiers[0], calendar.anchor, at(start)],
    )
    for (const slug of BALANCED)
      await tenantQuery('select app.open_balance($1, $2, $3, $4, $5)', [
        tenant.id,
        ids.customer,
        ids.meters[slug],
        at(start),
        zone,
      ])
  })
  return ids
}

/** Cuts the connections on which usage is being written at this moment. */
const cutConnections = () =>
  asSuperuser(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and state = 'active' and query like 'select app.ingest_usage%'`,
  )

/** Sends until it is answered: whoever is asked may have lost its connections. */
async function track(tenant: TestTenant, to: number, body: unknown) {
  for (let attempt = 0; ; attempt += 1) {
    const answer = await processes[to % processes.length]?.send({
      path: '/api/v1/usage/track',
      headers: { authorization: `Bearer ${tenant.api_key}` },
      body,
    })
    if (answer?.status === 200) return answer.body
    expect([answer?.status, answer?.body]).toEqual([503, answer?.body])
    expect(attempt).toBeLessThan(50)
    await sleep(50)
  }
}

type Body = {
  event_id: string
  meter_id: Meter
  user_id: string
  event_value: string
  properties: { device: string }
  timestamp?: string
}
async function json(tenant: TestTenant, to: number, path: string, body: unknown) {
  const answer = await processes[to % 2]?.send({ path, headers: { authorization: `Bearer ${tenant.api_key}` }, body })
  if (!answer) throw new Error('no process')
  return answer
}
async function form(tenant: TestTenant, to: number, path: string, fields: Record<string, string>) {
  for (let attempt = 0; ; attempt += 1) {
    const answer = await processes[to % 2]?.send({
      path,
      headers: { authorization: `Bearer ${tenant.api_key}`, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(fields).toString(),
    })
    if (answer && answer.status !== 503) return answer
    expect(attempt).toBeLessThan(50)
    await sleep(50)
  }
}
/** Has a tenant live in another time zone, and its totals made anew as the worker does it. */
async function moveZone(tenant: TestTenant, zone: string) {
  await asSuperuser('update tenants set time_zone = $2 where id = $1', [tenant.id, zone])
  forgetTenantRouting(tenant.id)
  await asSystem(tenant, () => tenantQuery('select app.recount_usage($1, $2)', [tenant.id, zone]))
  await asSuperuser("update outbox set delivered_at = now() where tenant_id = $1 and topic = 'usage_time_zone'", [
    tenant.id,
  ])
}

/** One event by a wire, until it is answered. */
async function sendBy(tenant: TestTenant, wire: Wire, to: number, body: Body): Promise<number> {
  const { event_id, meter_id, user_id, event_value, properties, timestamp } = body
  if (wire === 'ours') {
    await track(tenant, to, [body])
    return 200
  }
  if (wire === 'stripe' && !timestamp)
    return (
      await form(tenant, to, '/v1/billing/meter_events', {
        event_name: meter_id,
        identifier: event_id,
        'payload[stripe_customer_id]': user_id,
        'payload[value]': event_value,
        'payload[device]': properties.device,
      })
    ).status
  for (let attempt = 0; ; attempt += 1) {
    const answer =
      wire === 'openmeter'
        ? await json(tenant, to, '/compat/openmeter/api/v1/events', {
            id: event_id,
            type: meter_id,
            subject: user_id,
            ...(timestamp ? { time: timestamp } : {}),
            data: { value: event_value, ...properties },
          })
        : await json(tenant, to, '/v2/billing/meter_events', {
            event_name: meter_id,
            identifier: event_id,
            ...(timestamp ? { timestamp } : {}),
            payload: { stripe_customer_id: user_id, value: event_value, ...properties },
          })
    if (answer.status !== 503) return answer.status
    expect(attempt).toBeLessThan(50)
    await sleep(50)
  }
}

test('is as the model says, after every step', async () => {
  let runs = 0
  const met = {
    wired: 0,
    adjusted: 0,
    zones: 0,
    held: 0,
    settled: 0,
    refused: 0,
    part: 0,
    ahead: 0,
    late: 0,
    past: 0,
    resets: 0,
    over: 0,
    moved: 0,
  }
  await fc.assert(
    fc.asyncProperty(run, async ({ zone: firstZone, anchor, start, tiers, steps }) => {
      let zone = firstZone
      let closed = false
      let zoned = false
      const holds: { id: string; meter: Balanced; amount: bigint; ends: number; open: boolean }[] = []
      const heldOf = (meter: Balanced) =>
        holds
          .filter((each) => each.open && each.meter === meter && each.ends > now)
          .reduce((sum, { amount }) => sum + amount, 0n)
      runs += 1
      const tenant = await createTenant(`moving-${runs}-${newId().slice(-6)}`, { time_zone: zone })
      const calendar = { zone, period: tiers[0].period, anchor }
      let now = start
      await moveClock(now)
      const ids = await arrange(tenant, zone, calendar, tiers, start)
      let own: (typeof tiers)[number] = tiers[0]
      let present: Pick<ModelCalendar, 'period' | 'anchor'> = calendar
      const models = Object.fromEntries(
        BALANCED.map((meter) => [meter, createBalanceModel(calendar, tiers[0][meter], start)]),
      ) as Record<Balanced, ReturnType<typeof createBalanceModel>>
      let standing: Standing[] = []
      const granted: { id: string; meter: Balanced }[] = []
      let sequence = 0

      /** First day of the period a moment is in. */
      const places = new Map<string, string>()
      const placeOf = (moment: number): string => {
        const day = localDay(moment, zone)
        const known = places.get(day)
        if (known) return known
        const place = createBalanceModel({ ...present, zone }, tiers[0].credits, moment).state().starts_on
        places.set(day, place)
        return place
      }
      const inPeriod = (meter: Meter, place: string) =>
        standing.filter((each) => each.meter === meter && placeOf(each.occurred) === place)
      const amountOf = (meter: Meter, value: bigint) => (meter === 'visits' ? 1_000n : value)
      const isPresent = (meter: Balanced, occurred: number) => placeOf(occurred) === models[meter].state().starts_on

      /** Time passes: what came for a period before it began is used when it begins. */
      const pass = (to: number) => {
        for (const meter of BALANCED) {
          const model = models[meter]
          for (let ends = model.state().resets_at; ends <= to; ends = model.state().resets_at) {
            model.advance(ends)
            met.resets += 1
            const place = model.state().starts_on
            const ahead = inPeriod(meter, place).reduce((sum, { counted }) => sum + counted, 0n)
            if (ahead !== 0n) model.use(ahead)
          }
          model.advance(to)
        }
      }
      const go = async (to: number) => {
        now = Math.max(now + 1, to)
        await moveClock(now)
        pass(now)
      }

      /** What of an event counts; null when it is refused. */
      const judge = (meter: Meter, value: bigint, occurred: number, device: string): bigint | null => {
        const place = placeOf(occurred)
        if (isBalanced(meter)) {
          const { limit, behaviour } = own[meter]
          const amount = amountOf(meter, value)
          if (behaviour === 'overflow') return amount
          const used = inPeriod(meter, place).reduce((sum, { counted }) => sum + counted, 0n)
          // Ahead of its period it may take what that is sure to begin with; in one that is over, what the plain cap left.
          const { balance, overage, starts_on } = models[meter].state()
          const assured = models[meter].assured() - used
          const left =
            place === starts_on
              ? balance - overage - heldOf(meter)
              : place < starts_on
                ? limit - used
                : assured > 0n
                  ? assured
                  : 0n
          if (amount <= 0n || amount <= left) return amount
          return behaviour === 'cap' && meter === 'credits' && left > 0n ? left : null
        }
        if (meter === 'devices') {
          const seen = new Set(inPeriod(meter, place).map((each) => each.device))
          return seen.has(device) || BigInt(seen.size) * 1_000n + 1_000n <= own.devices ? 1_000n : null
        }
        return value <= own[meter] ? value : null
      }
      const burn = ({ meter, occurred, counted }: Standing, sign: 1n | -1n) => {
        if (isBalanced(meter) && isPresent(meter, occurred)) models[meter].use(sign * counted)
      }

      const compare = async () => {
        for (const meter of BALANCED) {
          const { used, balance, overage, granted: held, starts_on } = models[meter].state()
          const [row] = await asSystem(tenant, () =>
            tenantQuery<Record<'used' | 'balance' | 'overage' | 'granted' | 'starts_on', string>>(
              `select used::text, balance::text, overage::text, granted::text, starts_on::text from app.peek_balance($1, $2, $3, $4, $5)`,
              [tenant.id, ids.customer, ids.meters[meter], at(now), zone],
            ),
          )
          expect({
            meter,
            used: toThousandths(row?.used),
            balance: toThousandths(row?.balance),
            overage: toThousandths(row?.overage),
            granted: toThousandths(row?.granted),
            starts_on: row?.starts_on,
          }).toEqual({ meter, used, balance, overage, granted: held, starts_on })
          expect(used + balance - overage).toBe(held)
          // Whoever asks is told the same, by either process and where a customer is shown.
          const asked = await processes[standing.length % 2]?.send({
            path: '/api/v1/usage/check',
            headers: { authorization: `Bearer ${tenant.api_key}` },
            body: { meter_id: meter, user_id: HOLDER, amount: 0 },
          })
          const [shown] = await asSystem(tenant, () =>
            tenantQuery(
              `select trim_scale(u.used)::text as used, trim_scale(u.balance)::text as balance, trim_scale(u.overage)::text as overage,
                 u.starts_on::text from app.customer_usage($1, $2, $3) u where u.meter_id = $4`,
              [tenant.id, ids.customer, zone, ids.meters[meter]],
            ),
          )
          const free = balance - heldOf(meter)
          expect({ check: pick(asked?.body), shown }).toEqual({
            check: { used: toNumber(used), remaining: toNumber(free > 0n ? free : 0n), overage: toNumber(overage) },
            shown: { used: toText(used), balance: toText(balance), overage: toText(overage), starts_on },
          })
          if (overage > 0n) met.over += 1
        }
        const counters = await asSuperuser<{ meter: Meter; place: string; used: string; events: number }>(
          `select m.slug as meter, k.starts_on::text as place, trim_scale(k.used)::text as used, k.events::int as events
           from usage_counters k join meters m on m.tenant_id = k.tenant_id and m.id = k.meter_id
           where k.tenant_id = $1 and k.period = $2 and k.events <> 0`,
          [tenant.id, present.period],
        )
        const expected = new Map<string, Standing[]>()
        for (const each of standing) {
          const key = `${each.meter} ${placeOf(each.occurred)}`
          expected.set(key, [...(expected.get(key) ?? []), each])
        }
        expect(
          counters.map(({ meter, place, used, events }) => [`${meter} ${place}`, toThousandths(used), events]).sort(),
        ).toEqual(
          [...expected]
            .map(([key, together]) => {
              const meter = together[0]?.meter ?? 'credits'
              const amounts = together.map(({ counted }) => counted)
              const last = together.toSorted((a, b) => a.occurred - b.occurred || a.received - b.received).at(-1)
              const used =
                meter === 'devices'
                  ? BigInt(new Set(together.map(({ device }) => device)).size) * 1_000n
                  : meter === 'peak'
                    ? amounts.reduce((most, each) => (each > most ? each : most))
                    : meter === 'latest'
                      ? (last?.counted ?? 0n)
                      : amounts.reduce((sum, each) => sum + each, 0n)
              return [key, used, together.length]
            })
            .sort(),
        )
      }

      /** Gives the reservation, unless it did not fit. */
      const reserve = async (each: { meter: Balanced; seconds: number; amount: bigint }) => {
        const { meter, seconds } = each
        const amount = meter === 'visits' ? (each.amount / 10_000n + 1n) * 1_000n : each.amount
        const { balance, overage } = models[meter].state()
        const fits = own[meter].behaviour === 'overflow' || amount <= balance - overage - heldOf(meter)
        const answer = await json(tenant, seconds, '/api/v1/usage/reserve', {
          meter_id: meter,
          user_id: HOLDER,
          amount: toDecimal(amount),
          expires_in: seconds,
        })
        expect([answer.status, answer.body.allowed]).toEqual([200, fits])
        if (!fits) return null
        met.held += 1
        const held = { id: String(answer.body.reservation.id), meter, amount, ends: now + seconds * 1_000, open: true }
        // It lasts by the time of day of the process: here by the clock that is moved.
        await asSuperuser('update reservations set expires_at = $2 where id = $1', [held.id, at(held.ends)])
        holds.push(held)
        return held
      }
      for (const each of steps) {
        if (each.kind === 'use') {
          const border = models.credits.state().resets_at - MINUTE
          await go(each.border && border > now ? border : now + each.wait)
          const fresh: (Standing & { explicit: boolean })[] = []
          const bodies: object[] = []
          const wanted: (bigint | null)[] = []
          const drawn = each.plain ? each.events.slice(0, 1).map((one) => ({ ...one, ago: 0 })) : each.events
          const wires = drawn.map((_, index) => each.wires[index] ?? 'ours')
          const isOurs = wires.every((wire) => wire === 'ours')
          // What is sent together comes in microseconds, one by one in milliseconds.
          const gap = isOurs ? 0.001 : 1
          for (const [order, { meter, value, ago, device }] of drawn.entries()) {
            sequence += 1
            // No two at one moment, so that the latest is known.
            const occurred = ago === 0 ? now + order * gap : now - ago - sequence
            const explicit = ago !== 0
            const one = {
              id: `event-${sequence}`,
              meter,
              value: meter === 'visits' ? 1_000n : value,
              counted: 0n,
              occurred,
              received: now + order * gap,
              device,
              explicit,
            }
            const counted = judge(meter, one.value, occurred, device)
            wanted.push(counted)
            bodies.push({
              event_id: one.id,
              meter_id: meter,
              user_id: HOLDER,
              event_value: toDecimal(one.value),
              properties: { device },
              ...(explicit ? { timestamp: at(occurred) } : {}),
            })
            if (counted === null) {
              met.refused += 1
              continue
            }
            if (counted < one.value) met.part += 1
            if (placeOf(occurred) > placeOf(now)) met.ahead += 1
            if (placeOf(occurred) < placeOf(now)) met.late += 1
            const stands = { ...one, counted }
            standing = [...standing, stands]
            burn(stands, 1n)
            fresh.push(stands)
          }
          const breaking = each.breaks ? sleep(2).then(cutConnections) : undefined
          if (isOurs) {
            const answer = await track(tenant, sequence, bodies)
            await breaking
            expect(answer.rejected.map(({ index }: { index: number }) => index)).toEqual(
              wanted.flatMap((counted, index) => (counted === null ? [index] : [])),
            )
            expect(answer.inserted + answer.duplicates).toBe(fresh.length)
          } else {
            for (const [index, body] of bodies.entries()) {
              await moveClock(now + index)
              const code = await sendBy(tenant, wires[index] ?? 'ours', index, body as Body)
              met.wired += 1
              expect([wires[index], code]).toEqual([wires[index], wires[index] === 'openmeter' ? 204 : 200])
            }
            now += bodies.length
            await breaking
            for (const [index, body] of bodies.entries())
              if (wanted[index] !== null) await sendBy(tenant, each.again, index + 1, body as Body)
          }
          const again = bodies.filter((_, index) => wanted[index] !== null)
          // What was counted is known to the other process as well.
          if (again.length > 0)
            expect(await track(tenant, sequence + 1, again)).toMatchObject({
              inserted: 0,
              ...(isOurs ? { duplicates: again.length } : {}),
            })
        } else if (each.kind === 'correct') {
          await go(now + each.wait)
          const event = standing[each.which % Math.max(standing.length, 1)]
          if (!event) continue
          const value = event.meter === 'visits' ? null : each.value
          if (value === event.value) continue
          if (isBalanced(event.meter) && placeOf(event.occurred) < models[event.meter].state().starts_on) met.past += 1
          const before = standing
          const back = BALANCED.map((meter) => models[meter].keep())
          standing = standing.filter((other) => other !== event)
          burn(event, -1n)
          let counted: bigint | null = null
          if (value !== null) {
            counted = judge(event.meter, value, event.occurred, event.device)
            // Less than it was fits wherever it did.
            if (event.meter === 'credits' && value <= event.counted) counted = value
            if (counted === null) {
              // What may not be amended stays as it was.
              for (const restore of back) restore()
              standing = before
              met.refused += 1
            } else {
              const next = { ...event, value, counted, received: now }
              burn(next, 1n)
              standing = [...standing, next]
            }
          }
          if (value === null && each.stripe && event.source === undefined) {
            const answer = await form(tenant, 0, '/v1/billing/meter_event_adjustments', {
              event_name: event.meter,
              type: 'cancel',
              'cancel[identifier]': event.id,
            })
            met.adjusted += 1
            expect([answer.status, answer.body.status]).toEqual([200, 'complete'])
            await compare()
            continue
          }
          const result = await asSystem(tenant, () =>
            correctUsage(
              value === null
                ? { action: 'cancel', event_id: event.id, ...(event.source ? { source: event.source } : {}) }
                : {
                    action: 'amend',
                    event_id: event.id,
                    ...(event.source ? { source: event.source } : {}),
                    event_value: toDecimal(value),
                  },
            ),
          )
          expect({
            of: event,
            statuses: result.results.map(({ status }) => status),
            rejected: result.rejected,
          }).toMatchObject({
            statuses: value === null ? ['canceled'] : counted === null ? [] : ['amended'],
          })
        } else if (each.kind === 'grant') {
          await go(now + each.wait)
          const { meter, delay, aligned, life, wait: _wait, kind: _kind, ...rest } = each
          const effective_at = aligned ? models[meter].state().resets_at : now + delay
          const given: ModelGrant = {
            ...rest,
            id: newId(),
            effective_at,
            expires_at: life === null ? null : Math.max(effective_at, now) + life,
          }
          granted.push({ id: given.id, meter })
          models[meter].grant(given)
          await asSystem(tenant, () =>
            tenantQuery('select app.add_grant($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, null)', [
              tenant.id,
              zone,
              at(now),
              given.id,
              ids.customer,
              ids.meters[meter],
              toDecimal(given.amount),
              given.priority,
              at(given.effective_at),
              at(given.expires_at),
              given.recurrence,
              toDecimal(given.rollover_min),
              toDecimal(given.rollover_max),
            ]),
          )
        } else if (each.kind === 'void') {
          await go(now + each.wait)
          const one = granted[each.which % Math.max(granted.length, 1)]
          if (!one) continue
          models[one.meter].void(one.id)
          await asSystem(tenant, () =>
            tenantQuery('select app.void_grant($1, $2, $3, $4)', [tenant.id, zone, at(now), one.id]),
          )
        } else if (each.kind === 'tier') {
          await go(now + each.wait)
          own = tiers[each.tier] ?? tiers[0]
          for (const meter of BALANCED) models[meter].setTerms(own[meter])
          const next = { period: own.period, anchor: each.anchor ?? present.anchor }
          if (next.period !== present.period || next.anchor !== present.anchor) {
            present = next
            places.clear()
            for (const meter of BALANCED)
              models[meter].setCalendar(next, (place) =>
                inPeriod(meter, place).reduce((sum, { counted }) => sum + counted, 0n),
              )
            met.moved += 1
          }
          const settle = () =>
            tenantQuery('select app.settle_balances($1, $2, $3, $4)', [tenant.id, [ids.customer], at(now), zone])
          await asSystem(tenant, async () => {
            await tenantQuery('select app.hold_usage($1)', [tenant.id])
            await settle()
            await tenantQuery(
              'update subscriptions set canceled_at = $1 where customer_id = $2 and canceled_at is null',
              [at(now), ids.customer],
            )
            await tenantQuery(
              'insert into subscriptions (id, customer_id, tier_id, anchor_day, started_at) values ($1, $2, $3, $4, $5)',
              [newId(), ids.customer, ids.tiers[each.tier], present.anchor, at(now)],
            )
            await tenantQuery('select app.rebuild_customer_counters($1, $2, $3)', [
              tenant.id,
              ids.customer,
              present.anchor,
            ])
            await settle()
          })
        } else if (each.kind === 'zone') {
          await go(now + each.wait)
          // What was billed by the days of a zone keeps it.
          if (closed || each.zone === zone) continue
          // What time did until now is by the zone of before.
          await asSystem(tenant, async () => {
            await tenantQuery('select app.hold_usage($1)', [tenant.id])
            await tenantQuery('select app.settle_balances($1, $2, $3, $4)', [tenant.id, [ids.customer], at(now), zone])
          })
          zone = each.zone
          zoned = true
          met.zones += 1
          await moveZone(tenant, zone)
          places.clear()
          for (const meter of BALANCED)
            models[meter].setCalendar({ ...present, zone }, (place) =>
              inPeriod(meter, place).reduce((sum, { counted }) => sum + counted, 0n),
            )
        } else if (each.kind === 'reserve') {
          await go(now + each.wait)
          await reserve(each)
        } else if (each.kind === 'settle') {
          await go(now + each.wait)
          const held = await reserve(each)
          await go(now + each.during)
          if (!held) continue
          const { id, meter } = held
          const isOver = held.ends <= now
          if (each.releases) {
            expect((await json(tenant, 0, '/api/v1/usage/release', { reservation_id: id })).status).toBe(200)
            held.open = false
            continue
          }
          const unit = meter === 'visits' ? 1_000n : 1n
          const amount = each.halves === null ? held.amount : ((held.amount * each.halves) / 2n / unit) * unit
          const answer = await json(tenant, 1, '/api/v1/usage/settle', {
            reservation_id: id,
            ...(each.halves === null ? {} : { amount: toDecimal(amount) }),
          })
          if (isOver) {
            expect([answer.status, answer.body.code]).toEqual([409, 'reservation_expired'])
            continue
          }
          held.open = false
          const back = BALANCED.map((one) => models[one].keep())
          const before = standing
          // Of what is counted each is an event, of what adds up all together.
          const parts = meter === 'visits' ? Number(amount / unit) : amount > 0n ? 1 : 0
          let fits = true
          for (let part = 1; part <= parts && fits; part += 1) {
            const value = meter === 'visits' ? unit : amount
            const counted = judge(meter, value, now, '')
            fits = counted !== null
            if (counted === null) continue
            const one = { meter, value, counted, occurred: now, received: now, device: '' }
            const stands = { ...one, id: `${id}/${part}`, source: 'reservation' }
            standing = [...standing, stands]
            burn(stands, 1n)
          }
          if (!fits) {
            for (const restore of back) restore()
            standing = before
            held.open = true
          } else met.settled += 1
          expect([meter, each.halves, answer.status]).toEqual([meter, each.halves, fits ? 200 : 409])
        } else {
          await go(now + each.wait)
          if (standing.length === 0) continue
          closed = true
          await asSystem(tenant, () =>
            tenantQuery('select app.close_billing_period($1, $2, $3, $4)', [tenant.id, zone, newId(), at(now)]),
          )
          now += 1
          await moveClock(now)
        }
        await compare()
      }
      await go(now + 1)
      const overage = zoned ? [] : await compareOverage(tenant, zone, '2025-06-01', 'app.stopped_now()')
      expect(overage.map(({ billed: _, ...row }) => row)).toEqual(
        overage.map(({ reported: _, billed, ...row }) => ({ ...row, reported: billed })),
      )
      const drift = await asSystem(tenant, () =>
        tenantQuery<{ table_name: string | null }>(
          `select table_name, row_key, stored, expected from app.find_usage_drift($1, $2, null, null) where table_name is not null
           union all select * from app.find_clock_drift($1, $2, null)`,
          [tenant.id, zone],
        ),
      )
      expect(drift).toEqual([])
    }),
    { numRuns: RUNS, seed: SEED, endOnFailure: true },
  )
  // What was drawn was not all of one kind; of many runs each was there.
  const { refused, late, resets, over, moved, wired, zones, held } = met
  for (const [what, count] of Object.entries(
    RUNS < 40 ? { refused, late, resets, over, moved, wired, zones, held } : met,
  ))
    expect([what, count > 0]).toEqual([what, true])
}, 900_000)

test('usage ahead of its period may take what that is sure to begin with, and no more', async () => {
  const start = Date.parse('2026-05-01T00:00:00Z')
  const tenant = await createTenant('ahead')
  const calendar = { zone: 'UTC', period: 'month' as const, anchor: 1 }
  const own = { limit: 0n, behaviour: 'reject' as const, rollover_min: 0n, rollover_max: 0n, preserve_overage: false }
  const caps = { period: 'month' as const, credits: own, visits: own, peak: 0n, latest: 0n, devices: 0n }
  await moveClock(start)
  const ids = await arrange(tenant, 'UTC', calendar, [caps, caps], start)
  // Ten come every month, and what is left of thirty given once is kept, but for twenty of it at the most.
  for (const [amount, recurrence, rollover_max] of [
    [10, 'month', 0],
    [30, null, 20],
  ])
    await asSystem(tenant, () =>
      tenantQuery("select app.add_grant($1, 'UTC', $2, $3, $4, $5, $6, 1, $2, null, $7, 0, $8, null)", [
        tenant.id,
        at(start),
        newId(),
        ids.customer,
        ids.meters.credits,
        amount,
        recurrence,
        rollover_max,
      ]),
    )
  await moveClock(Date.parse('2026-05-31T23:58:00Z'))
  let sent = 0
  const use = async (event_value: number, timestamp?: string) => {
    sent += 1
    const { inserted } = await track(tenant, sent, [
      {
        meter_id: 'credits',
        user_id: HOLDER,
        event_id: `ahead-${sent}`,
        event_value,
        ...(timestamp ? { timestamp } : {}),
      },
    ])
    return inserted
  }
  const june = '2026-06-01T00:01:00Z'
  expect([await use(6, june), await use(5, june), await use(4, june), await use(1, june)]).toEqual([1, 0, 1, 0])
  // What is there in May may still be used to the last of it.
  expect([await use(40), await use(1)]).toEqual([1, 0])
  await moveClock(Date.parse('2026-06-01T00:02:00Z'))
  const [row] = await asSystem(tenant, () =>
    tenantQuery(
      'select used::float8, balance::float8, overage::float8, granted::float8 from app.peek_balance($1, $2, $3, $4, $5)',
      [tenant.id, ids.customer, ids.meters.credits, '2026-06-01T00:02:00Z', 'UTC'],
    ),
  )
  expect(row).toEqual({ used: 10, balance: 0, overage: 0, granted: 10 })
})

const CALENDAR = { zone: 'UTC', period: 'month' as const, anchor: 1 }
const OWN = {
  limit: 4_000n,
  behaviour: 'overflow' as const,
  rollover_min: 0n,
  rollover_max: 0n,
  preserve_overage: false,
}
const CAPS = { period: 'month' as const, credits: OWN, visits: OWN, peak: 0n, latest: 0n, devices: 0n }

test('overage of usage ahead of its period is reported as it is billed, before the period begins and after', async () => {
  const start = Date.parse('2026-04-10T00:00:00Z')
  const tenant = await createTenant('ahead-overage')
  await moveClock(start)
  await arrange(tenant, 'UTC', CALENDAR, [CAPS, CAPS], start)
  const use = async (event_id: string, event_value: number, timestamp?: string) =>
    expect(
      await track(tenant, 0, [
        { meter_id: 'credits', user_id: HOLDER, event_id, event_value, ...(timestamp ? { timestamp } : {}) },
      ]),
    ).toMatchObject({ inserted: 1 })
  const expectOverage = async (now: string, rows: readonly [month: string, overage: string][]) => {
    await moveClock(Date.parse(now))
    expect(await compareOverage(tenant, 'UTC', '2026-04-01', 'app.stopped_now()')).toEqual(
      rows.map(([starts_on, overage]) => ({
        customer: HOLDER,
        meter: 'credits',
        starts_on,
        reported: overage,
        billed: overage,
      })),
    )
  }
  await moveClock(Date.parse('2026-04-30T23:59:00Z'))
  await use('now', 5)
  await use('ahead', 10, '2026-05-01T00:01:00Z')
  await expectOverage('2026-04-30T23:59:01Z', [
    ['2026-04-01', '1'],
    ['2026-05-01', '6'],
  ])
  await expectOverage('2026-05-01T00:02:00Z', [
    ['2026-04-01', '1'],
    ['2026-05-01', '6'],
  ])
  await use('more', 2)
  await expectOverage('2026-05-01T00:03:00Z', [
    ['2026-04-01', '1'],
    ['2026-05-01', '8'],
  ])
})

test('usage ahead of its period is billed by what that begins with, whoever looks first', async () => {
  const start = Date.parse('2026-04-01T00:00:00Z')
  const tenant = await createTenant('ahead-billed')
  await moveClock(start)
  const ids = await arrange(tenant, 'UTC', CALENDAR, [CAPS, CAPS], start)
  // Ten come every month; what is left of thirty given once ends with April.
  for (const [amount, recurrence] of [
    [10, 'month'],
    [30, null],
  ])
    await asSystem(tenant, () =>
      tenantQuery("select app.add_grant($1, 'UTC', $2, $3, $4, $5, $6, 1, $2, null, $7, 0, 0, null)", [
        tenant.id,
        at(start),
        newId(),
        ids.customer,
        ids.meters.credits,
        amount,
        recurrence,
      ]),
    )
  const use = async (event_id: string, event_value: number, timestamp?: string) =>
    expect(
      await track(tenant, 0, [
        { meter_id: 'credits', user_id: HOLDER, event_id, event_value, ...(timestamp ? { timestamp } : {}) },
      ]),
    ).toMatchObject({ inserted: 1 })
  const expectOverage = async (now: string, overage: string) => {
    await moveClock(Date.parse(now))
    expect(await compareOverage(tenant, 'UTC', '2026-04-01', 'app.stopped_now()')).toEqual([
      { customer: HOLDER, meter: 'credits', starts_on: '2026-05-01', reported: overage, billed: overage },
    ])
  }
  await moveClock(Date.parse('2026-04-30T23:59:00Z'))
  await use('now', 5)
  await use('ahead', 20, '2026-05-01T00:01:00Z')
  await expectOverage('2026-04-30T23:59:01Z', '6')
  await expectOverage('2026-05-01T00:02:00Z', '6')
  await asSystem(tenant, () =>
    tenantQuery("select app.close_billing_period($1, 'UTC', $2, '2026-05-01T00:00:00Z')", [tenant.id, newId()]),
  )
  await expectOverage('2026-05-01T00:03:00Z', '6')
  await use('more', 2)
  await expectOverage('2026-05-01T00:04:00Z', '8')
})

test('what comes late for a day nobody looked after does not use what rolled over from it', async () => {
  const start = Date.parse('2026-04-01T00:00:00Z')
  const daily = { ...OWN, limit: 10_000n, rollover_max: 5_000n }
  const caps = { ...CAPS, period: 'day' as const, credits: daily }
  const billed = []
  for (const looks of [false, true]) {
    const tenant = await createTenant(`late-${looks}`)
    await moveClock(start)
    await arrange(tenant, 'UTC', { ...CALENDAR, period: 'day' }, [caps, caps], start)
    for (let day = 1; day <= 10; day += 1) {
      await moveClock(start + day * DAY)
      if (looks)
        await asSystem(tenant, () =>
          tenantQuery(
            "select app.settle_balances($1, array_agg(id), app.stopped_now(), 'UTC') from customers where tenant_id = $1",
            [tenant.id],
          ),
        )
    }
    // Fifteen were left of the fifth day, and five of them rolled over.
    const late = { meter_id: 'credits', user_id: HOLDER, event_value: 12, timestamp: at(start + 5 * DAY) }
    expect(await track(tenant, 0, [late])).toMatchObject({ inserted: 1 })
    await moveClock(start + 10 * DAY + 1)
    billed.push((await compareOverage(tenant, 'UTC', '2026-04-01', 'app.stopped_now()')).map(({ billed }) => billed))
  }
  expect(billed).toEqual([['2'], ['2']])
})

test('a tenant that moves to another time zone takes its balances along into the period that runs there', async () => {
  const now = Date.parse('2026-05-10T20:00:00Z')
  const tenant = await createTenant('far-zones', { time_zone: 'Asia/Tokyo' })
  const daily = { ...OWN, limit: 10_000n, behaviour: 'reject' as const, rollover_max: 5_000n }
  const caps = { ...CAPS, period: 'day' as const, credits: daily }
  await moveClock(now - 3 * DAY)
  await arrange(tenant, 'Asia/Tokyo', { ...CALENDAR, zone: 'Asia/Tokyo', period: 'day' }, [caps, caps], now - 3 * DAY)
  await moveClock(now)
  const use = (event_value: number) => track(tenant, 0, [{ meter_id: 'credits', user_id: HOLDER, event_value }])
  const look = async () => {
    const body = { meter_id: 'credits', user_id: HOLDER, amount: 0 }
    const { used, remaining, reset_at } = (await json(tenant, 1, '/api/v1/usage/check', body)).body
    const drift = await asSystem(tenant, () =>
      tenantQuery(
        `select table_name, stored, expected from app.find_usage_drift($1, $2, null, null) where table_name is not null
         union all select table_name, stored, expected from app.find_clock_drift($1, $2, null)`,
        [tenant.id, zone],
      ),
    )
    return { used, remaining, reset_at, drift }
  }
  let zone = 'Asia/Tokyo'
  expect(await use(4)).toMatchObject({ inserted: 1 })
  expect(await look()).toEqual({ used: 4, remaining: 11, reset_at: '2026-05-11T15:00:00.000Z', drift: [] })
  for (const [next, reset_at, at] of [
    // There it is still the day before, then again the day after, of which the same has been used.
    ['America/Los_Angeles', '2026-05-11T07:00:00.000Z', now + 1_000],
    ['Pacific/Auckland', '2026-05-11T12:00:00.000Z', now + 2_000],
  ] as const) {
    zone = next
    await moveClock(at)
    await moveZone(tenant, next)
    expect({ next, ...(await look()) }).toEqual({ next, used: 4, remaining: 11, reset_at, drift: [] })
  }
  expect([await use(12), await use(11), await use(1)]).toMatchObject([
    { inserted: 0 },
    { inserted: 1 },
    { inserted: 0 },
  ])
  expect(await look()).toMatchObject({ used: 15, remaining: 0, drift: [] })
})
