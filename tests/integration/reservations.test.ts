// Reservations: what is held counts for everybody, whoever asks and from wherever; settled once, however often it is said.
import { beforeAll, describe, expect, test } from 'vitest'
import { POST as postEntitlement } from '@/app/api/v1/customers/[id]/entitlements/route'
import { POST as postGrant } from '@/app/api/v1/customers/[id]/grants/route'
import { PUT as putSubscription } from '@/app/api/v1/customers/[id]/subscription/route'
import { POST as postCustomer } from '@/app/api/v1/customers/route'
import { DELETE as archiveMeter } from '@/app/api/v1/meters/[id]/route'
import { POST as postMeter } from '@/app/api/v1/meters/route'
import { POST as postTier } from '@/app/api/v1/tiers/route'
import { POST as checkRoute } from '@/app/api/v1/usage/check/route'
import { POST as releaseRoute } from '@/app/api/v1/usage/release/route'
import { POST as reserveRoute } from '@/app/api/v1/usage/reserve/route'
import { POST as settleRoute } from '@/app/api/v1/usage/settle/route'
import { POST as trackRoute } from '@/app/api/v1/usage/track/route'
import { sweepReservations } from '@/features/reservations/jobs/sweep-reservations'
import { newId } from '@/libs/ids'
import { startIngestProcess } from '../support/ingest-process'
import { asSuperuser, call, createApiKey, createWorld, type RequestOptions } from '../support/world'

const { acme, globex, stranger } = await createWorld()
const admin = { as: acme.users.admin, tenant: acme }
const key = { as: acme.api_key }
const post =
  (route: Parameters<typeof call>[0], path: string) =>
  (body: unknown, options: RequestOptions = key) =>
    call(route, 'POST', `/api/v1/usage/${path}`, { ...options, body })
const reserve = post(reserveRoute, 'reserve')
const settle = post(settleRoute, 'settle')
const release = post(releaseRoute, 'release')
const check = post(checkRoute, 'check')
const track = post(trackRoute, 'track')
let made = 0
const newCustomer = async (tier: string) => {
  made += 1
  const external_id = `holder-${made}`
  await call(postCustomer, 'POST', '/api/v1/customers', { ...admin, body: { external_id, tier } })
  return external_id
}
const hold = async (user_id: string, amount: number, meter_id = 'tokens'): Promise<string> => {
  const { body } = await reserve({ meter_id, user_id, amount })
  expect(body).toMatchObject({ allowed: true })
  return body.reservation.id
}
const expire = (id: string) =>
  asSuperuser("update reservations set expires_at = now() - interval '2 minutes' where tenant_id = $1 and id = $2", [
    acme.id,
    id,
  ])

beforeAll(async () => {
  for (const [slug, aggregation] of [
    ['tokens', 'SUM'],
    ['calls', 'COUNT'],
    ['peak', 'MAX'],
    ['old', 'SUM'],
  ])
    await call(postMeter, 'POST', '/api/v1/meters', { ...admin, body: { name: slug, slug, aggregation } })
  await call(postTier, 'POST', '/api/v1/tiers', {
    ...admin,
    body: { name: 'Hard', usage_caps: { tokens: 100, calls: 10, peak: 5, old: 5 } },
  })
  await call(postTier, 'POST', '/api/v1/tiers', {
    ...admin,
    body: { name: 'Soft', usage_caps: { tokens: { limit: 100, behaviour: 'soft' } } },
  })
  await call(postTier, 'POST', '/api/v1/tiers', { ...admin, body: { name: 'Open', usage_caps: {} } })
  await call(postTier, 'POST', '/api/v1/tiers', {
    ...admin,
    body: { name: 'Rolling', usage_caps: { tokens: { limit: 100, rollover: 50 } } },
  })
})

describe('who may', () => {
  test.each([
    ['nobody', { tenant: acme }, 401],
    ['a stranger', { as: stranger, tenant: acme }, 404],
    ['a customer', { as: acme.users.customer, tenant: acme }, 403],
    ['a member who only reads usage', { as: acme.users.compliance, tenant: acme }, 403],
  ] as [string, RequestOptions, number][])('%s: %s', async (_who, options, status) => {
    const answers = [
      await reserve({ meter_id: 'tokens', user_id: 'x' }, options),
      await settle({ reservation_id: newId() }, options),
      await release({ reservation_id: newId() }, options),
    ]
    expect(answers.map((answer) => answer.status)).toEqual([status, status, status])
  })
  test('what another tenant holds is not there', async () => {
    const id = await hold(await newCustomer('hard'), 1)
    expect((await settle({ reservation_id: id }, { as: globex.api_key })).status).toBe(404)
    expect((await release({ reservation_id: id }, { as: globex.api_key })).status).toBe(404)
  })
  test('a key with usage:write alone is enough', async () => {
    const { key } = await createApiKey(acme, ['usage:write'])
    const user_id = await newCustomer('hard')
    const { body } = await reserve({ meter_id: 'tokens', user_id, amount: 5 }, { as: key })
    expect(body).toMatchObject({ allowed: true, remaining: 95 })
    expect((await settle({ reservation_id: body.reservation.id }, { as: key })).body).toMatchObject({
      settled: 5,
      used: 5,
    })
  })
})

describe('what is held', () => {
  test('counts against what is left, for reservations, checks and events', async () => {
    const user_id = await newCustomer('hard')
    await track({ meter_id: 'tokens', user_id, event_value: 30 })
    const { body } = await reserve({ meter_id: 'tokens', user_id, amount: 50, expires_in: 60 })
    expect(body).toMatchObject({
      allowed: true,
      code: 'VALID',
      meter: 'tokens',
      user_id,
      limit: 100,
      used: 30,
      held: 50,
      remaining: 20,
      overage: 0,
      reservation: { amount: 50 },
    })
    expect(new Date(body.reservation.expires_at).getTime() - Date.now()).toBeLessThanOrEqual(60_000)
    expect((await check({ meter_id: 'tokens', user_id, amount: 20 })).body.allowed).toBe(true)
    expect((await check({ meter_id: 'tokens', user_id, amount: 21 })).body).toMatchObject({
      allowed: false,
      code: 'USAGE_EXCEEDED',
      used: 30,
      held: 50,
      remaining: 20,
    })
    expect((await reserve({ meter_id: 'tokens', user_id, amount: 21 })).body).toMatchObject({
      allowed: false,
      code: 'USAGE_EXCEEDED',
      used: 30,
      held: 50,
      remaining: 20,
      reservation: null,
      upgrade: { reason: 'cap_reached', meter: 'tokens' },
    })
    expect((await track({ meter_id: 'tokens', user_id, event_value: 21 })).body.rejected).toHaveLength(1)
    expect((await track({ meter_id: 'tokens', user_id, event_value: 20 })).body.inserted).toBe(1)
  })
  test('soft caps and no caps hold anything', async () => {
    const soft = await newCustomer('soft')
    expect((await reserve({ meter_id: 'tokens', user_id: soft, amount: 500 })).body).toMatchObject({
      allowed: true,
      limit: 100,
      remaining: 0,
    })
    const open = await newCustomer('open')
    expect((await reserve({ meter_id: 'tokens', user_id: open, amount: 500 })).body).toMatchObject({
      allowed: true,
      limit: null,
      remaining: null,
    })
  })
  test('of grants and rollover as well', async () => {
    const user_id = await newCustomer('hard')
    await call(postGrant, 'POST', '/api/v1/customers/x/grants', {
      ...admin,
      body: { meter: 'tokens', amount: 25 },
      params: { id: user_id },
    })
    const id = await hold(user_id, 120)
    expect((await reserve({ meter_id: 'tokens', user_id, amount: 6 })).body).toMatchObject({
      allowed: false,
      remaining: 5,
    })
    expect((await settle({ reservation_id: id, amount: 110 })).body).toMatchObject({
      settled: 110,
      used: 110,
      limit: 125,
      remaining: 15,
    })
    const rolling = await newCustomer('rolling')
    expect((await reserve({ meter_id: 'tokens', user_id: rolling, amount: 101 })).body.allowed).toBe(false)
    expect((await settle({ reservation_id: await hold(rolling, 100) })).body).toMatchObject({ used: 100, remaining: 0 })
  })
  test('for a customer seen for the first time', async () => {
    for (const meter_id of ['tokens', 'TOKENS']) {
      const { body } = await reserve({ meter_id, user_id: `never-seen-${meter_id}`, amount: 1 })
      expect(body).toMatchObject({ allowed: true, limit: null, meter: 'tokens' })
    }
  })
  test('nothing of what is not there or archived', async () => {
    const user_id = await newCustomer('hard')
    expect((await reserve({ meter_id: 'nothing', user_id })).body).toMatchObject({
      allowed: false,
      code: 'NOT_FOUND',
      reservation: null,
    })
    const id = await hold(user_id, 1, 'old')
    await call(archiveMeter, 'DELETE', '/api/v1/meters/old', { ...admin, params: { id: 'old' } })
    expect((await reserve({ meter_id: 'old', user_id })).body).toMatchObject({ allowed: false, code: 'DISABLED' })
    expect(await settle({ reservation_id: id })).toMatchObject({
      status: 409,
      body: { code: 'conflict', reason: 'usage_refused' },
    })
    expect((await release({ reservation_id: id })).status).toBe(200)
  })
  test('a repeat under an Idempotency-Key holds once', async () => {
    const user_id = await newCustomer('hard')
    const headers = { 'idempotency-key': newId() }
    const first = await reserve({ meter_id: 'tokens', user_id, amount: 60 }, { ...key, headers })
    const again = await reserve({ meter_id: 'tokens', user_id, amount: 60 }, { ...key, headers })
    expect(again.body).toEqual(first.body)
    expect((await reserve({ meter_id: 'tokens', user_id, amount: 40 })).body.allowed).toBe(true)
  })
})

describe('settle', () => {
  test('all, and again', async () => {
    const user_id = await newCustomer('hard')
    const id = await hold(user_id, 40)
    const first = await settle({ reservation_id: id, properties: { model: 'large' } })
    expect(first).toMatchObject({
      status: 200,
      body: {
        reservation_id: id,
        status: 'settled',
        amount: 40,
        settled: 40,
        user_id,
        meter: 'tokens',
        used: 40,
        held: 0,
        remaining: 60,
      },
    })
    expect((await settle({ reservation_id: id })).body).toEqual(first.body)
    expect((await settle({ reservation_id: id, amount: '40.00' })).body).toEqual(first.body)
    expect(await settle({ reservation_id: id, amount: 39 })).toMatchObject({
      status: 409,
      body: { code: 'conflict', reason: 'settled', settled: 40 },
    })
    expect(await release({ reservation_id: id })).toMatchObject({ status: 409, body: { code: 'conflict' } })
    const events = await asSuperuser(
      'select value::text, source, properties from usage_events where tenant_id = $1 and event_id = $2',
      [acme.id, `${id}/1`],
    )
    expect(events).toEqual([{ value: '40', source: 'reservation', properties: { model: 'large' } }])
  })
  test('part lets go of the rest, nothing counts nothing', async () => {
    const user_id = await newCustomer('hard')
    expect((await settle({ reservation_id: await hold(user_id, 100), amount: '0.25' })).body).toMatchObject({
      settled: 0.25,
      used: 0.25,
      held: 0,
      remaining: 99.75,
    })
    expect((await settle({ reservation_id: await hold(user_id, 50), amount: 0 })).body).toMatchObject({
      settled: 0,
      used: 0.25,
    })
  })
  test('more must fit, and otherwise nothing happens', async () => {
    const user_id = await newCustomer('hard')
    const [id, other] = [await hold(user_id, 50), await hold(user_id, 30)]
    expect(await settle({ reservation_id: id, amount: 71 })).toMatchObject({
      status: 409,
      body: { code: 'conflict', reason: 'usage_exceeded', used: 0, held: 80, remaining: 20 },
    })
    expect((await settle({ reservation_id: id, amount: 70 })).body).toMatchObject({ used: 70, held: 30, remaining: 0 })
    expect((await settle({ reservation_id: other, amount: 30 })).body).toMatchObject({ used: 100, remaining: 0 })
  })
  test('of what was held fits no more once the cap is lower, and says so', async () => {
    const user_id = await newCustomer('hard')
    const id = await hold(user_id, 7, 'calls')
    const patched = await call(postEntitlement, 'POST', '/api/v1/customers/x/entitlements', {
      ...admin,
      params: { id: user_id },
      body: { kind: 'metered', meter: 'calls', limit: 5 },
    })
    expect(patched.status).toBe(201)
    expect(await settle({ reservation_id: id })).toMatchObject({
      status: 409,
      body: { reason: 'usage_exceeded', limit: 5, used: 0, held: 7, detail: expect.stringMatching(/less is allowed/) },
    })
    expect(await settle({ reservation_id: id, amount: 8 })).toMatchObject({
      status: 409,
      body: { detail: expect.stringMatching(/beyond the amount held/) },
    })
    expect((await settle({ reservation_id: id, amount: 5 })).body).toMatchObject({ counted: 5, used: 5, remaining: 0 })
  })
  test('after expiry is too late, however long', async () => {
    const user_id = await newCustomer('hard')
    const [id, swept] = [await hold(user_id, 100), newId()]
    await expire(id)
    expect(await settle({ reservation_id: id })).toMatchObject({ status: 409, body: { code: 'reservation_expired' } })
    expect((await check({ meter_id: 'tokens', user_id, amount: 100 })).body.allowed).toBe(true)
    expect(await sweepReservations(new AbortController().signal)).toBeGreaterThan(0)
    expect(
      await asSuperuser('select status from reservations where tenant_id = $1 and id = $2', [acme.id, id]),
    ).toEqual([{ status: 'released' }])
    expect(await settle({ reservation_id: id })).toMatchObject({ status: 409, body: { code: 'reservation_expired' } })
    expect((await release({ reservation_id: id })).status).toBe(200)
    expect((await settle({ reservation_id: swept })).status).toBe(404)
  })
  test('of what was settled in time stays repeatable after expiry', async () => {
    const id = await hold(await newCustomer('hard'), 10)
    const { body } = await settle({ reservation_id: id })
    await expire(id)
    expect((await settle({ reservation_id: id })).body).toMatchObject({ settled: body.settled })
  })
  test('what counted of it is said: a cap that takes what is left, a filter, and every one of a count', async () => {
    const tier = { name: 'Partly', usage_caps: { tokens: { limit: 10, behaviour: 'cap' } } }
    await call(postTier, 'POST', '/api/v1/tiers', { ...admin, body: tier })
    const filter = { property: 'plan', operator: 'eq', value: 'pro' }
    await call(postMeter, 'POST', '/api/v1/meters', { ...admin, body: { name: 'Paid', slug: 'paid', filter } })
    const user_id = await newCustomer('partly')
    const id = await hold(user_id, 8)
    const first = await settle({ reservation_id: id, amount: 12 })
    expect(first.body).toMatchObject({ settled: 12, counted: 10, used: 10, remaining: 0 })
    expect((await settle({ reservation_id: id, amount: 12 })).body).toEqual(first.body)
    const [free, paid] = [await hold(user_id, 5, 'paid'), await hold(user_id, 5, 'paid')]
    expect((await settle({ reservation_id: free })).body).toMatchObject({ settled: 5, counted: 0, used: 0 })
    expect((await settle({ reservation_id: paid, amount: 3, properties: { plan: 'pro' } })).body).toMatchObject({
      settled: 3,
      counted: 3,
      used: 3,
    })
    const calls = await hold(user_id, 8, 'calls')
    const { key } = await createApiKey(acme, ['usage:write'])
    for (let time = 0; time < 2; time += 1)
      expect((await settle({ reservation_id: calls, amount: 6 }, { as: key })).body).toMatchObject({ counted: 6 })
    expect((await settle({ reservation_id: await hold(user_id, 1, 'calls'), amount: 0 })).body).toMatchObject({
      settled: 0,
      counted: 0,
    })
  })
  test('a meter that counts events counts as many', async () => {
    const user_id = await newCustomer('hard')
    expect(await reserve({ meter_id: 'calls', user_id, amount: 1.5 })).toMatchObject({ status: 422 })
    const id = await hold(user_id, 8, 'calls')
    expect(await settle({ reservation_id: id, amount: 0.5 })).toMatchObject({ status: 422 })
    expect((await settle({ reservation_id: id, amount: 6 })).body).toMatchObject({ settled: 6, used: 6, remaining: 4 })
    expect((await settle({ reservation_id: id, amount: 6 })).body).toMatchObject({ used: 6 })
  })
})

describe('release', () => {
  test('gives back, and again, and ends it', async () => {
    const user_id = await newCustomer('hard')
    const id = await hold(user_id, 100)
    expect(await release({ reservation_id: id })).toMatchObject({
      status: 200,
      body: { status: 'released', amount: 100 },
    })
    expect((await release({ reservation_id: id })).status).toBe(200)
    expect(await settle({ reservation_id: id })).toMatchObject({
      status: 409,
      body: { code: 'conflict', reason: 'released' },
    })
    expect((await check({ meter_id: 'tokens', user_id, amount: 100 })).body.allowed).toBe(true)
  })
})

test.each([
  ['reserve', { user_id: 'x' }, '/meter_id'],
  ['reserve', { meter_id: 'tokens' }, '/user_id'],
  ['reserve', { meter_id: 'tokens', user_id: 1.5 }, '/user_id'],
  ['reserve', { meter_id: 'tokens', user_id: 'x', amount: 0 }, '/amount'],
  ['reserve', { meter_id: 'tokens', user_id: 'x', amount: '0.0' }, '/amount'],
  ['reserve', { meter_id: 'tokens', user_id: 'x', amount: 'Infinity' }, '/amount'],
  ['reserve', { meter_id: 'tokens', user_id: 'x', amount: '9'.repeat(400) }, '/amount'],
  ['reserve', { meter_id: 'tokens', user_id: 'x', amount: 'ten' }, '/amount'],
  ['reserve', { meter_id: 'tokens', user_id: 'x', amount: null }, '/amount'],
  ['reserve', { meter_id: 'tokens', user_id: 'x', amount: 1e-25 }, '/amount'],
  ['reserve', { meter_id: 'tokens', user_id: 'x', expires_in: 86_401 }, '/expires_in'],
  ['reserve', { meter_id: 'peak', user_id: 'x' }, '/meter_id'],
  ['settle', { reservation_id: 'x' }, '/reservation_id'],
  ['settle', { reservation_id: newId(), amount: -1 }, '/amount'],
  ['settle', { reservation_id: newId(), amount: 'all' }, '/amount'],
  ['settle', { reservation_id: newId(), properties: { deep: {} } }, '/properties/deep'],
  ['release', {}, '/reservation_id'],
] as const)('%s %j is invalid at %s', async (path, body, pointer) => {
  const answer = await { reserve, settle, release }[path](body)
  expect(answer).toMatchObject({ status: 422, body: { code: 'invalid_input' } })
  expect(answer.body.errors).toEqual([{ pointer, detail: expect.not.stringMatching(/^Invalid input$/) }])
})

test('held and used never pass the cap, from two processes and this one at once', async () => {
  const user_id = await newCustomer('hard')
  const processes = await Promise.all([startIngestProcess(), startIngestProcess()])
  try {
    const here = { reserve, settle, release, track }
    const headers = { authorization: `Bearer ${acme.api_key}` }
    const send = async (turn: number, path: keyof typeof here, body: unknown) => {
      const target = processes[turn % 3]
      if (!target) return (await here[path](body)).body
      return (await target.send({ path: `/api/v1/usage/${path}`, headers, body })).body
    }
    const over: unknown[] = []
    const look = async () => {
      const [row] = await asSuperuser<{ total: string }>(
        `select coalesce((select used from usage_counters k where k.tenant_id = $1 and k.period = 'month' and k.customer_id = c.id), 0)
           + coalesce((select sum(amount) from reservations r where r.tenant_id = $1 and r.customer_id = c.id and r.status = 'held'
             and r.expires_at > now()), 0) as total
         from customers c where c.tenant_id = $1 and c.external_id = $2`,
        [acme.id, user_id],
      )
      if (Number(row?.total) > 100) over.push(row)
    }
    const work = async (turn: number) => {
      if (turn % 4 === 0) {
        await send(turn, 'track', { meter_id: 'tokens', user_id, event_value: 3 })
      } else {
        const { reservation } = (await send(turn, 'reserve', { meter_id: 'tokens', user_id, amount: 7 })) as {
          reservation: { id: string } | null
        }
        if (reservation && turn % 4 === 1) await send(turn + 1, 'release', { reservation_id: reservation.id })
        else if (reservation)
          await Promise.all(
            [0, 1, 2].map((by) =>
              send(turn + by, 'settle', { reservation_id: reservation.id, amount: turn % 4 === 2 ? 7 : 2 }),
            ),
          )
      }
      await look()
    }
    await Promise.all(
      Array.from({ length: 12 }, async (_, worker) => {
        for (let round = 0; round < 8; round += 1) await work(worker * 8 + round)
      }),
    )
    expect(over).toEqual([])
    // What was refused while others held it is there for whoever comes now, to the last unit.
    const turns = Array.from({ length: 100 }, (_, turn) => turn)
    for (const turn of turns) await send(turn, 'track', { meter_id: 'tokens', user_id, event_value: 1 })
    const [sums] = await asSuperuser<{ counted: string; events: string; settled: string; tracked: string }>(
      `select k.used::text as counted,
         (select sum(value)::text from usage_events e where e.tenant_id = $1 and e.customer_id = c.id) as events,
         (select coalesce(sum(settled), 0)::text from reservations r where r.tenant_id = $1 and r.customer_id = c.id) as settled,
         (select coalesce(sum(value), 0)::text from usage_events e where e.tenant_id = $1 and e.customer_id = c.id and e.source is null) as tracked
       from customers c join usage_counters k on k.tenant_id = $1 and k.customer_id = c.id and k.period = 'month'
       where c.tenant_id = $1 and c.external_id = $2`,
      [acme.id, user_id],
    )
    expect(sums?.counted).toBe(sums?.events)
    expect(Number(sums?.settled) + Number(sums?.tracked)).toBe(Number(sums?.counted))
    expect(Number(sums?.counted)).toBe(100)
  } finally {
    await Promise.all(processes.map((each) => each.end()))
  }
})

test('a change of tier holds for what is reserved next', async () => {
  const user_id = await newCustomer('hard')
  await hold(user_id, 100)
  await call(putSubscription, 'PUT', '/api/v1/customers/x/subscription', {
    ...admin,
    body: { tier: 'open' },
    params: { id: user_id },
  })
  expect((await reserve({ meter_id: 'tokens', user_id, amount: 1 })).body.allowed).toBe(true)
})

test.each(['hard', 'rolling'])('a refusal and a report name what is held, as check does: %s', async (tier) => {
  const user_id = await newCustomer(tier)
  await hold(user_id, 60)
  const event = (event_value: number) => ({ meter_id: 'tokens', user_id, event_value })
  const { body } = await track([event(2), event(30), event(50)])
  const stands = { limit: 100, used: 32, held: 60, remaining: 8, overage: 0 }
  expect(body).toMatchObject({ inserted: 2, rejected: [{ index: 2, ...stands }], usage: [stands] })
  expect((await check({ meter_id: 'tokens', user_id, amount: 0 })).body).toMatchObject(stands)
})
