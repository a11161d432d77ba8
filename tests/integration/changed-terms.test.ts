// What is left carries over by the terms that held at each time: from when a customer has them, whether it used anything or not, whoever
// looked first, and as a check says it before the next event gets it.
import { beforeAll, expect, test } from 'vitest'
import {
  DELETE as endEntitlement,
  PUT as replaceEntitlement,
} from '@/app/api/v1/customers/[id]/entitlements/[feature]/route'
import { POST as entitle } from '@/app/api/v1/customers/[id]/entitlements/route'
import { POST as grant } from '@/app/api/v1/customers/[id]/grants/route'
import { PUT as subscribe } from '@/app/api/v1/customers/[id]/subscription/route'
import { POST as postCustomer } from '@/app/api/v1/customers/route'
import { POST as postMeter } from '@/app/api/v1/meters/route'
import { PATCH as patchTier } from '@/app/api/v1/tiers/[id]/route'
import { POST as postTier } from '@/app/api/v1/tiers/route'
import { POST as checkRoute } from '@/app/api/v1/usage/check/route'
import { POST as trackRoute } from '@/app/api/v1/usage/track/route'
import type { RouteHandler } from '@/libs/api-utils/route-handler'
import { tenantQuery } from '@/libs/db/tenant-db'
import { moveClock, stopClock } from '../support/movable-clock'
import { makePartition } from '../support/usage-history'
import { asSystem, call, createApiKey, createWorld } from '../support/world'

const { acme } = await createWorld()
const ROLLS = { limit: 100, rollover: { max: 1_000 } }
/** The middle of a month, counted from the one there is. */
const month = (ahead: number) => {
  const today = new Date()
  return new Date(Date.UTC(today.getUTCFullYear(), today.getUTCMonth() + ahead, 15, 12))
}
const at = (ahead: number) => moveClock(month(ahead).getTime())
beforeAll(async () => {
  await stopClock()
  for (let ahead = 0; ahead < 8; ahead += 1) await makePartition(`${month(ahead).toISOString().slice(0, 7)}-01`)
})

const send = async (handler: RouteHandler, method: string, body?: unknown, params?: Record<string, string>) => {
  const answer = await call(handler, method, '/x', {
    as: acme.api_key,
    ...(body === undefined ? {} : { body }),
    ...(params ? { params } : {}),
  })
  expect([answer.status < 300, answer.body]).toEqual([true, answer.body])
  return answer.body
}
const use = (user_id: string, event_value: number, meter_id = 'units') =>
  send(trackRoute, 'POST', { meter_id, user_id, event_value })
const remaining = async (user_id: string, meter_id = 'units') => {
  const { remaining } = await send(checkRoute, 'POST', { meter_id, user_id, amount: 0 })
  return remaining
}
const driftOf = (meter: string) =>
  asSystem(acme, () =>
    tenantQuery(
      `select x.* from meters m cross join lateral (
         select table_name, row_key, stored, expected from app.find_usage_drift($1, 'UTC', array[m.id], null) where table_name is not null
         union all select * from app.find_clock_drift($1, 'UTC', array[m.id])
       ) x where m.slug = $2`,
      [acme.id, meter],
    ),
  )

test('an allowance nobody used has carried over before the first event as after it', async () => {
  await at(0)
  await send(postTier, 'POST', { name: 'Carries', slug: 'carries', usage_caps: { units: ROLLS } })
  await send(postCustomer, 'POST', { external_id: 'idle', tier: 'carries' })
  await at(2)
  expect(await remaining('idle')).toBe(300)
  expect(await use('idle', 250)).toMatchObject({ inserted: 1, usage: [{ limit: 300, used: 250, remaining: 50 }] })
  expect(await remaining('idle')).toBe(50)
})

test('a version that begins to carry over does so from then on', async () => {
  await at(0)
  await send(postTier, 'POST', { name: 'Plain', slug: 'plain', usage_caps: { units: 100 } })
  await send(postCustomer, 'POST', { external_id: 'moved', tier: 'plain' })
  await send(postCustomer, 'POST', { external_id: 'chosen', tier: 'plain' })
  await at(2)
  await send(patchTier, 'PATCH', { usage_caps: { units: ROLLS } }, { id: 'plain' })
  await send(subscribe, 'PUT', { tier: 'plain' }, { id: 'chosen' })
  await send(patchTier, 'PATCH', { move: true }, { id: 'plain' })
  expect([await remaining('moved'), await remaining('chosen')]).toEqual([100, 100])
  await at(3)
  await use('moved', 1)
  expect([await remaining('moved'), await remaining('chosen')]).toEqual([199, 200])
})

test('so does an entitlement that is replaced, and the tier whose terms hold again when it ends', async () => {
  await at(0)
  await send(postTier, 'POST', { name: 'Under', slug: 'under', usage_caps: { units: ROLLS } })
  for (const external_id of ['replaced', 'ended']) {
    await send(postCustomer, 'POST', { external_id })
    await send(entitle, 'POST', { kind: 'metered', meter: 'units', limit: 10 }, { id: external_id })
    await send(subscribe, 'PUT', { tier: 'under' }, { id: external_id })
  }
  await at(2)
  await send(replaceEntitlement, 'PUT', ROLLS, { id: 'replaced', feature: 'units' })
  await send(endEntitlement, 'DELETE', undefined, { id: 'ended', feature: 'units' })
  expect([await remaining('replaced'), await remaining('ended')]).toEqual([100, 100])
  await at(3)
  await use('ended', 1)
  expect([await remaining('replaced'), await remaining('ended')]).toEqual([200, 199])
})

test('a new version of the default tier, or another one, changes nothing of the months before', async () => {
  await at(0)
  await send(postTier, 'POST', {
    name: 'First',
    is_default: true,
    usage_caps: { calls: { limit: 100, rollover: { max: 50 } } },
  })
  for (const user of ['quiet', 'busy']) await use(user, 60, 'calls')
  await at(1)
  await use('busy', 1, 'calls')
  await send(patchTier, 'PATCH', { usage_caps: { calls: 100 } }, { id: 'first' })
  expect([await remaining('quiet', 'calls'), await remaining('busy', 'calls')]).toEqual([140, 139])
  await send(patchTier, 'PATCH', { usage_caps: { calls: { limit: 100, rollover: { max: 50 } } } }, { id: 'first' })
  await at(2)
  await use('busy', 1, 'calls')
  await send(postTier, 'POST', { name: 'Second', is_default: true, usage_caps: { calls: { limit: 5, period: 'day' } } })
  expect([await remaining('quiet', 'calls'), await remaining('busy', 'calls')]).toEqual([55, 54])
  expect(await driftOf('calls')).toEqual([])
})

test('whoever may change tiers and nothing else settles what hangs on them', async () => {
  await at(0)
  const caps = (limit: number) => ({ usage_caps: { turns: { limit, rollover: { max: 50 } } } })
  await send(postTier, 'POST', { name: 'Third', is_default: true, ...caps(100) })
  for (const user of ['still', 'moving']) await use(user, 60, 'turns')
  await send(grant, 'POST', { meter: 'turns', amount: 5, recurrence: 'month' }, { id: 'moving' })
  await at(1)
  await use('moving', 1, 'turns')
  const { key } = await createApiKey(acme, ['tiers:write'])
  const change = async (body: unknown) => {
    const { status } = await call(patchTier, 'PATCH', '/x', { as: key, body, params: { id: 'third' } })
    expect(status).toBe(200)
    return [await remaining('still', 'turns'), await remaining('moving', 'turns')]
  }
  expect(await change(caps(10))).toEqual([50, 54])
  expect(await change(caps(100))).toEqual([140, 144])
  await at(2)
  expect(await change({ usage_caps: { turns: 7 } })).toEqual([57, 62])
  expect(await driftOf('turns')).toEqual([])
})

test('months that begin on another day are counted anew, also by a key that sees no usage', async () => {
  await at(0)
  await send(postMeter, 'POST', { name: 'People', aggregation: 'UNIQUE_COUNT', value_property: 'person' })
  await send(postTier, 'POST', { name: 'Seats', usage_caps: { people: 3 } })
  await send(postCustomer, 'POST', { external_id: 'anchored', tier: 'seats' })
  for (const person of ['ann', 'bob', 'cyd'])
    await send(trackRoute, 'POST', { meter_id: 'people', user_id: 'anchored', properties: { person } })
  const { key } = await createApiKey(acme, ['customers:read', 'customers:write', 'tiers:read'])
  const { status } = await call(subscribe, 'PUT', '/x', {
    as: key,
    body: { tier: 'seats', anchor_day: 10 },
    params: { id: 'anchored' },
  })
  expect([status, await remaining('anchored', 'people')]).toEqual([200, 0])
})
