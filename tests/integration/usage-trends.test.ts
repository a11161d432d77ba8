// Trends over HTTP against a plain model: events in a list, days by the clocks of the tenant's zone.
import { beforeAll, describe, expect, test } from 'vitest'
import { POST as postCustomer } from '@/app/api/v1/customers/route'
import { POST as postMeter } from '@/app/api/v1/meters/route'
import { POST as postTier } from '@/app/api/v1/tiers/route'
import { POST as track } from '@/app/api/v1/usage/track/route'
import { GET as getTrends } from '@/app/api/v1/usage/trends/route'
import { fitLine } from '@/libs/metering/trend'
import { waitForSteadyDay } from '../support/steady-day'
import { asSuperuser, call, createTenant, createWorld, type TestTenant } from '../support/world'

await createWorld()

type Event = { at: Date; value: number; user: string }
const ZONE = 'Asia/Kathmandu'
const DAY = 86_400_000
const events: Event[] = []
let tenant: TestTenant

const dayOf = (at: Date): string => new Intl.DateTimeFormat('en-CA', { timeZone: ZONE }).format(at)
await waitForSteadyDay(ZONE)
const today = dayOf(new Date())
const back = (count: number): string => new Date(Date.parse(today) - count * DAY).toISOString().slice(0, 10)
/** Sum of the events of some days, both included. */
const sumOf = (from: string, to: string, user?: string): number =>
  events
    .filter(({ at, user: who }) => dayOf(at) >= from && dayOf(at) <= to && (user === undefined || who === user))
    .reduce((sum, { value }) => sum + value, 0)

const trends = async (query: string) => {
  const answer = await call(getTrends, 'GET', `/api/v1/usage/trends?${query}`, { as: tenant.api_key })
  expect(answer.status).toBe(200)
  return answer.body
}

beforeAll(async () => {
  tenant = await createTenant('himal', { time_zone: ZONE })
  const post = async (handler: Parameters<typeof call>[0], path: string, body: unknown) => {
    const answer = await call(handler, 'POST', path, { as: tenant.api_key, body })
    expect(answer.status).toBeLessThan(300)
    return answer.body
  }
  for (const [slug, aggregation] of [
    ['calls', 'SUM'],
    ['peak', 'MAX'],
    ['level', 'LATEST'],
    ['people', 'UNIQUE_COUNT'],
    ['mean', 'AVG'],
  ])
    await post(postMeter, '/api/v1/meters', {
      slug,
      name: slug,
      aggregation,
      ...(slug === 'people' ? { value_property: 'who' } : {}),
    })
  await post(postTier, '/api/v1/tiers', {
    name: 'Capped',
    usage_caps: { calls: { limit: 1_000_000, behaviour: 'overflow' }, peak: { limit: 5, behaviour: 'overflow' } },
  })
  await post(postCustomer, '/api/v1/customers', { external_id: 'a', tier: 'capped' })
  // 34 days, at odd hours, so that days of the zone are not those of UTC; the last within the last minute.
  for (let index = 0; index < 34 * 3; index += 1)
    events.push({
      at: new Date(Date.now() - 60_000 - index * (DAY / 3)),
      value: 1 + ((index * 7) % 13),
      user: index % 4 === 0 ? 'a' : 'b',
    })
  const answer = await post(
    track,
    '/api/v1/usage/track',
    events.flatMap(({ at, value, user }, index) =>
      ['calls', 'peak', 'level', 'people', 'mean'].map((meter_id) => ({
        meter_id,
        user_id: user,
        event_value: value,
        timestamp: at.toISOString(),
        properties: { who: `p${index % 9}` },
      })),
    ),
  )
  expect(answer).toMatchObject({ inserted: events.length * 5, rejected: [] })
})

describe('trends', () => {
  test('of a sum are exact, by the days of the zone', async () => {
    const body = await trends('timeRange=7d&meter=calls')
    const [trend] = body.data
    expect(body).toMatchObject({ time_zone: ZONE, interval: 'day' })
    expect(body.previous.to).toBe(body.from)
    expect(trend.current).toBe(sumOf(back(6), today))
    expect(trend.previous).toBe(sumOf(back(13), back(7)))
    expect(trend.last_year).toBe(0)
    expect(trend.change_percent).toBeCloseTo((trend.current / trend.previous - 1) * 100, 1)
    expect(trend.change_last_year_percent).toBeNull()
    const days = [6, 5, 4, 3, 2, 1].map((count) => sumOf(back(count), back(count)))
    expect(trend.slope_per_day).toBeCloseTo(fitLine(days).slope, 4)
    // The forecast goes by thirty days, since these are few: what this month has, and the line for what is left.
    const month = `${today.slice(0, 7)}-01`
    const pace = fitLine(Array.from({ length: 30 }, (_, index) => sumOf(back(30 - index), back(30 - index))))
    const end = new Date(Date.UTC(Number(today.slice(0, 4)), Number(today.slice(5, 7)), 1))
    const left = Math.round((end.getTime() - Date.parse(today)) / DAY) - 1
    const sure = sumOf(month, today)
    let most = sure
    for (let ahead = 0; ahead <= left; ahead += 1) most += Math.max(0, pace.at(30 + ahead))
    expect(trend.forecast.method).toBe('sum')
    expect(trend.forecast.used).toBeLessThanOrEqual(most + 0.01)
    expect(trend.forecast.used).toBeGreaterThanOrEqual(most - Math.max(0, pace.at(30)) - 0.01)
    expect(trend.cap).toBeNull()
  })

  test('of 24 hours go by whole hours', async () => {
    const body = await trends('timeRange=24h&meter=calls')
    expect(body.interval).toBe('hour')
    expect(Date.parse(body.to) - Date.parse(body.from)).toBe(DAY)
    const within = (from: string, to: string) =>
      events.filter(({ at }) => at >= new Date(from) && at < new Date(to)).reduce((sum, { value }) => sum + value, 0)
    expect(body.data[0]).toMatchObject({
      current: within(body.from, body.to),
      previous: within(body.previous.from, body.previous.to),
    })
  })

  test('of one customer: its period, its cap, and the day it is hit', async () => {
    const [trend] = (await trends('timeRange=30d&meter=calls&customer=a')).data
    expect(trend.current).toBe(sumOf(back(29), today, 'a'))
    expect(trend.cap).toMatchObject({
      limit: 1_000_000,
      used: sumOf(`${today.slice(0, 7)}-01`, today, 'a'),
      period: 'month',
    })
    expect(trend.cap_hit_on).toBeNull()
    expect(trend.forecast.to).toBe(trend.cap.resets_at)
    const [peak] = (await trends('timeRange=30d&meter=peak&customer=a')).data
    expect(peak).toMatchObject({ cap: { limit: 5 }, cap_hit_on: today })
  })

  test('of the other aggregations are of the whole range, never sums of days', async () => {
    const [peak] = (await trends('timeRange=30d&meter=peak')).data
    const inRange = events.filter(({ at }) => dayOf(at) >= back(29))
    expect(peak).toMatchObject({
      current: Math.max(...inRange.map(({ value }) => value)),
      forecast: { method: 'level' },
    })
    const [level] = (await trends('timeRange=30d&meter=level')).data
    expect(level.current).toBe(events[0]?.value)
    const [people] = (await trends('timeRange=30d&meter=people')).data
    expect(people).toMatchObject({ current: 9, forecast: { method: 'proportional' } })
    const [mean] = (await trends('timeRange=30d&meter=mean')).data
    expect(Number(mean.current)).toBeCloseTo(sumOf(back(29), today) / inRange.length, 9)
  })

  test('of a range that is over, with both comparisons', async () => {
    // A year ago, written past the API, which takes nothing so old.
    const day = new Date(Date.parse(back(20)) - 365 * DAY).toISOString().slice(0, 10)
    await asSuperuser(
      `insert into usage_totals (tenant_id, meter_id, day, used, events) select $1, id, $2, 40, 1 from meters where tenant_id = $1 and slug = 'calls'`,
      [tenant.id, day],
    )
    const [trend] = (await trends(`meter=calls&from=${back(25)}&to=${back(15)}`)).data
    expect(trend).toMatchObject({ current: sumOf(back(25), back(16)), last_year: 40 })
    expect(trend.change_last_year_percent).toBeCloseTo((trend.current / 40 - 1) * 100, 1)
  })
})
