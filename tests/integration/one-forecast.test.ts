// One customer and one meter have one forecast, whoever looks at it and over whatever range.
import { beforeAll, describe, expect, test } from 'vitest'
import { PUT as putSubscription } from '@/app/api/v1/customers/[id]/subscription/route'
import { POST as postMeter } from '@/app/api/v1/meters/route'
import { GET as getPortalUsage } from '@/app/api/v1/portal/usage/route'
import { POST as postTier } from '@/app/api/v1/tiers/route'
import { POST as track } from '@/app/api/v1/usage/track/route'
import { GET as getTrends } from '@/app/api/v1/usage/trends/route'
import { localToday } from '@/libs/metering/trend'
import { waitForSteadyDay } from '../support/steady-day'
import { call, createWorld } from '../support/world'

const { acme } = await createWorld()
await waitForSteadyDay()
const DAY = 86_400_000
/** Twelve days of usage: the line through them is not the one through seven, nor the one through thirty. */
const AGES = Array.from({ length: 12 }, (_, index) => 12 - index)

const portal = async () =>
  (
    await call(getPortalUsage, 'GET', '/api/v1/portal/usage?meter=api_calls', {
      as: acme.users.customer,
      tenant: acme,
    })
  ).body
const trend = async (range: string) => {
  const query = `customer=${acme.customer.external_id}&meter=api_calls&time_range=${range}`
  return (await call(getTrends, 'GET', `/api/v1/usage/trends?${query}`, { as: acme.api_key })).body.data[0]
}
const subscribe = async (tier: string) => {
  const put = await call(putSubscription, 'PUT', '/api/v1/customers/x/subscription', {
    as: acme.api_key,
    params: { id: acme.customer.id },
    body: { tier },
  })
  expect(put.status).toBeLessThan(300)
}

beforeAll(async () => {
  for (const period of ['day', 'month']) {
    const usage_caps = { api_calls: { limit: 4_000, period, behaviour: 'overflow' } }
    const tier = { name: `By ${period}`, slug: `by-${period}`, usage_caps }
    expect((await call(postTier, 'POST', '/api/v1/tiers', { as: acme.api_key, body: tier })).status).toBe(201)
  }
  const body = AGES.map((age, index) => ({
    meter_id: 'api_calls',
    user_id: acme.customer.external_id,
    event_value: 100 + index * index * 7,
    timestamp: new Date(Date.now() - age * DAY).toISOString(),
  }))
  const answer = await call(track, 'POST', '/api/v1/usage/track', { as: acme.api_key, body })
  expect(answer.body).toMatchObject({ inserted: AGES.length, rejected: [] })
})

describe.each(['month', 'day'] as const)('with a cap of each %s', (period) => {
  test('portal and dashboard say the same', async () => {
    await subscribe(`by-${period}`)
    const { forecast, time_zone } = await portal()
    const today = localToday(time_zone).day
    expect(forecast.days).toBe(AGES.length)
    if (period === 'day') expect(Date.parse(forecast.ends_on) - Date.parse(today)).toBe(DAY)
    for (const range of ['7d', '30d', '90d']) {
      const told = await trend(range)
      expect(told.forecast).toMatchObject({ method: 'sum', days: AGES.length })
      expect(told.cap.period).toBe(period)
      // Less than a second of the pace may lie between the two questions.
      expect(Math.abs(told.forecast.used - forecast.used)).toBeLessThan(0.5)
      expect(told.cap_hit_on).toBe(forecast.cap_hit_on)
      expect(forecast.cap_reached).toBe(told.cap.used >= told.cap.limit)
    }
  })
})

test('of amounts as small as a millionth, it is as exact as they are', async () => {
  const meter = { slug: 'grams', name: 'Grams', aggregation: 'SUM', unit: 'g' }
  expect((await call(postMeter, 'POST', '/api/v1/meters', { as: acme.api_key, body: meter })).status).toBe(201)
  const body = AGES.map((age) => ({
    meter_id: 'grams',
    user_id: acme.customer.external_id,
    event_value: 0.000002,
    timestamp: new Date(Date.now() - age * DAY).toISOString(),
  }))
  const answer = await call(track, 'POST', '/api/v1/usage/track', { as: acme.api_key, body })
  expect(answer.body).toMatchObject({ inserted: AGES.length, rejected: [] })
  const path = `/api/v1/usage/trends?meter=grams&time_range=30d`
  const { forecast, current } = (await call(getTrends, 'GET', path, { as: acme.api_key })).body.data[0]
  expect(current).toBe(0.000024)
  // A month of the same amount each day, as far as it had any.
  expect(forecast.used).toBeGreaterThan(0)
  expect(forecast.used).toBeLessThanOrEqual(31 * 0.000002)
})
