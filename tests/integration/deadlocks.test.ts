// Two requests that want the same rows in opposite order: the database ends one of them, and its caller never sees it.
import pg from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { POST as postMeter } from '@/app/api/v1/meters/route'
import { PATCH as patchTier } from '@/app/api/v1/tiers/[id]/route'
import { POST as postTier } from '@/app/api/v1/tiers/route'
import { POST as correct } from '@/app/api/v1/usage/correct/route'
import { POST as track } from '@/app/api/v1/usage/track/route'
import { readBody } from '@/libs/api-utils/read-json'
import type { RouteHandler } from '@/libs/api-utils/route-handler'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'
import { tenantQuery } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'
import { requireVariable } from '../support/variables'
import { whileLocked } from '../support/while-locked'
import { asSuperuser, asSystem, call, createTenant, createWorld, request } from '../support/world'

const { acme } = await createWorld()
const NAMES = ['first', 'second']

beforeAll(() =>
  asSystem(acme, async () => {
    for (const name of NAMES)
      await tenantQuery('insert into customers (id, external_id, name) values ($1, $2, $3)', [newId(), name, '-'])
  }),
)

/** A route that appends to two rows in the order that is asked for, the second only when another holds it. */
function meetingRoute() {
  let waiting = 0
  let runs = 0
  let release = () => {}
  const met = new Promise<void>((resolve) => {
    release = resolve
  })
  const route = withTenantAuth(async (request) => {
    runs += 1
    const order: string[] = JSON.parse(await readBody(request))
    for (const [index, name] of order.entries()) {
      if (index === 1) {
        waiting += 1
        if (waiting === 2) release()
        await met
      }
      await tenantQuery('update customers set name = name || $2 where tenant_id = $3 and external_id = $1', [
        name,
        order[0]?.[0],
        acme.id,
      ])
    }
    return ApiResponse.success({ order })
  })
  return { route, runs: () => runs }
}

describe.each([
  ['without', () => ({})],
  ['with', () => ({ 'idempotency-key': newId() })],
])('two that meet, %s an Idempotency-Key', (_, headers) => {
  test('both are done, once each, body included', async () => {
    await asSuperuser("update customers set name = '-' where tenant_id = $1", [acme.id])
    const { route, runs } = meetingRoute()
    const orders = [NAMES, [...NAMES].reverse()]
    const answers = await Promise.all(
      orders.map((order) => call(route, 'POST', '/x', { as: acme.api_key, body: order, headers: headers() })),
    )
    expect(answers.map(({ status, body }) => [status, body.order])).toEqual(orders.map((order) => [200, order]))
    expect(runs()).toBe(3)
    const rows = await asSuperuser<{ name: string }>(
      'select name from customers where tenant_id = $1 and external_id = any ($2)',
      [acme.id, NAMES],
    )
    expect(rows.map(({ name }) => [...name].sort().join(''))).toEqual(['-fs', '-fs'])
  })
})

test.each([
  ['without', {}],
  ['with', { 'idempotency-key': 'endless' }],
])('a body that tells no length and never ends is refused at 1 MiB, %s an Idempotency-Key', async (_, headers) => {
  const { route, runs } = meetingRoute()
  const body = new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(new Uint8Array(65_536)) })
  const endless = await request('POST', '/x', { as: acme.api_key, headers })
  const { status } = await route(new Request(endless, { body, duplex: 'half' } as RequestInit))
  expect(status).toBe(413)
  expect(runs()).toBe(0)
})

test('a tier that waits to change keeps nobody from being given it', async () => {
  const caps = (limit: number) => ({ usage_caps: { units: { limit, rollover: { max: 50 } } } })
  const send = (handler: RouteHandler, method: string, body: unknown, params = {}) =>
    call(handler, method, '/x', { as: acme.api_key, body, params })
  await send(postTier, 'POST', { name: 'Kept', is_default: true, ...caps(100) })
  await send(track, 'POST', { meter_id: 'units', user_id: NAMES[0], event_value: 1 })
  const { status } = await whileLocked(
    `select app.hold_usage('${acme.id}')`,
    () => send(patchTier, 'PATCH', caps(50), { id: 'kept' }),
    { last: `select from tiers where tenant_id = '${acme.id}' and slug = 'kept' for key share nowait` },
  )
  expect(status).toBe(200)
})

describe('whoever writes usage goes the same way', async () => {
  const tenant = await createTenant('same-way')
  const send = async (handler: RouteHandler, body: unknown, query = '') => {
    const { status, body: answer } = await call(handler, 'POST', `/x${query}`, { as: tenant.api_key, body })
    expect([status, answer.rejected ?? []]).toEqual([expect.toBeOneOf([200, 201]), []])
  }
  const METERS = ['alone', 'crowd', 'days', 'most', 'taken', 'soft', 'daily', 'next', 'seen']
  const KINDS: Record<string, object> = {
    most: { aggregation: 'MAX' },
    seen: { aggregation: 'UNIQUE_COUNT', value_property: 'device' },
  }

  beforeAll(async () => {
    for (const slug of METERS) await send(postMeter, { slug, name: slug, ...KINDS[slug] })
    const usage_caps = {
      soft: { limit: 1e9, behaviour: 'overflow' },
      daily: { limit: 1e9, behaviour: 'overflow', period: 'day' },
      seen: { limit: 1e9, behaviour: 'overflow' },
    }
    await send(postTier, { name: 'Soft', is_default: true, usage_caps })
    await send(
      track,
      [...METERS, 'taken'].map((slug, index) => usage(slug, `first-${index}`)),
    )
  })

  const usage = (slug: string, event_id?: string) => ({
    meter_id: slug,
    user_id: 'ann',
    event_value: 1,
    event_id,
    properties: { device: 'one' },
  })
  const twice = (slug: string) => [usage(slug), usage(slug)]
  const yesterday = () => new Date(Date.now() - 86_400_000).toISOString()
  const ways: [slug: string, how: string, write: () => Promise<void>][] = [
    ['alone', 'an event', () => send(track, usage('alone'))],
    ['crowd', 'a batch', () => send(track, twice('crowd'))],
    ['days', 'a batch of two days', () => send(track, [usage('days'), { ...usage('days'), timestamp: yesterday() }])],
    ['most', 'a batch of another aggregation', () => send(track, twice('most'))],
    ['taken', 'an event that is taken back', () => send(correct, { event_id: 'first-4', action: 'cancel' })],
    ['soft', 'an event held to a soft cap', () => send(track, usage('soft'), '?enforce=true')],
    ['soft', 'a batch held to a soft cap', () => send(track, twice('soft'), '?enforce=true')],
    ['daily', 'an event held to a soft cap of a day', () => send(track, usage('daily'), '?enforce=true')],
    ['daily', 'a batch held to a soft cap of a day', () => send(track, twice('daily'), '?enforce=true')],
  ]
  const rows = (table: string, slug: string, more = '') =>
    `from ${table} where tenant_id = '${tenant.id}' ${more}
      and meter_id = (select id from meters where tenant_id = '${tenant.id}' and slug = '${slug}')`
  const free = (...what: Parameters<typeof rows>) => `select ${rows(...what)} for update nowait;`
  const held = (...what: Parameters<typeof rows>) =>
    `do $$ begin if exists (select ${rows(...what)} for update skip locked) then raise exception 'nobody holds it'; end if; end $$;`

  test.each(ways)('%s: %s: the month, then the day, the total, the quarter', async (slug, _, write) => {
    const day = "and period = 'day' and starts_on = (now() at time zone 'UTC')::date"
    await whileLocked(`select ${rows('usage_counters', slug, day)} for update`, write, {
      last:
        held('usage_counters', slug, "and period = 'month'") +
        free('usage_totals', slug) +
        free('usage_quarters', slug),
    })
    if (slug === 'taken') await send(track, usage('taken', 'again'))
    const again = slug === 'taken' ? () => send(correct, { event_id: 'again', action: 'cancel' }) : write
    await whileLocked(`select ${rows('usage_totals', slug)} for update`, again, {
      last: held('usage_counters', slug) + free('usage_quarters', slug),
    })
  })

  test('different values are held after the counters and before the total, also by who holds a cap or takes one back', async () => {
    await send(track, usage('seen', 'seen'))
    for (const write of [
      () => send(track, usage('seen')),
      () => send(track, twice('seen')),
      () => send(track, twice('seen'), '?enforce=true'),
      () => send(correct, { event_id: 'seen', action: 'cancel' }),
    ])
      await whileLocked(`select ${rows('usage_uniques', 'seen')} for update`, write, {
        last:
          held('usage_counters', 'seen', "and period = 'month'") +
          held('usage_counters', 'seen', "and period = 'day'") +
          free('usage_totals', 'seen'),
      })
  })

  test('a soft cap that is held is not held before the counters of other meters', async () => {
    const order = await asSuperuser<{ slug: string }>(
      "select slug from meters where tenant_id = $1 and slug in ('soft', 'next') order by id",
      [tenant.id],
    )
    const [first = '', second = ''] = order.map(({ slug }) => slug)
    await whileLocked(
      `select ${rows('usage_counters', second, "and period = 'month'")} for update`,
      () => send(track, [usage('soft'), usage('next')], '?enforce=true'),
      { last: held('usage_counters', first, "and period = 'month'") },
    )
  })

  test('all of them at once are all done', async () => {
    const write = `select app.ingest_usage($1, 1, $2, 'UTC', $3, $4, $5, $6, $7, $8, null, null, $9, null, null, false, false, false, true, $10) as value`
    const actor = JSON.stringify({
      id: newId(),
      kind: 'api_key',
      label: '-',
      permissions: ['usage:write', 'usage:read'],
    })
    const meters = METERS.filter((slug) => !(slug in KINDS))
    const draw = (from: number) => 1 + Math.floor(Math.random() * from)
    const list = (length: number, make: () => unknown) => Array.from({ length }, make)
    const writers = [
      [1, false, false],
      [1, true, false],
      [60, false, false],
      [60, false, true],
      [60, true, false],
    ] as const
    const before = await countEvents()
    const outcomes = await Promise.all(
      writers.map(async ([size, enforce, timed]) => {
        const client = new pg.Client({ connectionString: requireVariable('DATABASE_URL') })
        await client.connect()
        try {
          for (let round = 0; round < 25; round += 1) {
            const users = ['ann', 'bob', 'cyd'].slice(0, size)
            await client.query(write, [
              tenant.id,
              actor,
              size === 1 ? [meters[draw(meters.length) - 1]] : meters,
              users,
              size === 1 ? [1] : list(size, () => draw(meters.length)),
              list(size, () => draw(users.length)),
              list(size, () => 1),
              list(size, newId),
              timed ? list(size, () => (draw(2) === 1 ? yesterday() : null)) : null,
              enforce,
            ])
          }
        } finally {
          await client.end()
        }
      }),
    )
    expect(outcomes).toHaveLength(writers.length)
    expect((await countEvents()) - before).toBe(25 * (1 + 1 + 60 + 60 + 60))
  })

  async function countEvents(): Promise<number> {
    const [row] = await asSuperuser<{ count: number }>('select count(*)::int from usage_events where tenant_id = $1', [
      tenant.id,
    ])
    return row?.count ?? 0
  }
})
