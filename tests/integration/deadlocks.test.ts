// Two requests that want the same rows in opposite order: the database ends one of them, and its caller never sees it.
import { beforeAll, describe, expect, test } from 'vitest'
import { PATCH as patchTier } from '@/app/api/v1/tiers/[id]/route'
import { POST as postTier } from '@/app/api/v1/tiers/route'
import { POST as track } from '@/app/api/v1/usage/track/route'
import { readBody } from '@/libs/api-utils/read-json'
import type { RouteHandler } from '@/libs/api-utils/route-handler'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'
import { tenantQuery } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'
import { whileLocked } from '../support/while-locked'
import { asSuperuser, asSystem, call, createWorld, request } from '../support/world'

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
