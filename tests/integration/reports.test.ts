// The report of a month, of a tenant and of one customer, against the events it is made of.
import { beforeAll, describe, expect, test } from 'vitest'
import { GET as getHistory } from '@/app/api/v1/customers/[id]/balance/history/route'
import { POST as postCustomer } from '@/app/api/v1/customers/route'
import { POST as postMeter } from '@/app/api/v1/meters/route'
import { POST as previewTier } from '@/app/api/v1/tiers/[id]/preview/route'
import { POST as postTier } from '@/app/api/v1/tiers/route'
import { GET as getDaily } from '@/app/api/v1/usage/daily/route'
import { GET as getQuery } from '@/app/api/v1/usage/query/route'
import { GET as getReport } from '@/app/api/v1/usage/reports/route'
import { GET as getUsage } from '@/app/api/v1/usage/route'
import { POST as track } from '@/app/api/v1/usage/track/route'
import { GET as getTrends } from '@/app/api/v1/usage/trends/route'
import { waitForSteadyDay } from '../support/steady-day'
import { writePast } from '../support/usage-history'
import { call, createTenant, createWorld, type TestTenant } from '../support/world'

const { globex } = await createWorld()

type Event = { at: Date; value: number; user: string }
const ZONE = 'America/St_Johns'
const events: Event[] = []
let tenant: TestTenant

const dayOf = (at: Date): string => new Intl.DateTimeFormat('en-CA', { timeZone: ZONE }).format(at)
await waitForSteadyDay(ZONE)
const thisMonth = dayOf(new Date()).slice(0, 7)
const monthBefore = (month: string): string =>
  new Date(Date.parse(`${month}-01`) - 86_400_000).toISOString().slice(0, 7)
const sumOf = (prefix: string, user?: string): number =>
  events
    .filter(({ at, user: who }) => dayOf(at).startsWith(prefix) && (user === undefined || who === user))
    .reduce((sum, { value }) => sum + value, 0)

const report = (query = '') => call(getReport, 'GET', `/api/v1/usage/reports${query}`, { as: tenant.api_key })

beforeAll(async () => {
  tenant = await createTenant('newfoundland', { time_zone: ZONE })
  const post = async (handler: Parameters<typeof call>[0], path: string, body: unknown) => {
    const answer = await call(handler, 'POST', path, { as: tenant.api_key, body })
    expect(answer.status).toBeLessThan(300)
    return answer.body
  }
  await post(postMeter, '/api/v1/meters', { slug: 'calls', name: 'Calls', unit: 'calls' })
  await post(postMeter, '/api/v1/meters', { slug: 'peak', name: 'Peak', aggregation: 'MAX' })
  await post(postMeter, '/api/v1/meters', { slug: 'idle', name: 'Never used' })
  await post(postTier, '/api/v1/tiers', {
    name: 'Small',
    is_default: true,
    usage_caps: { calls: { limit: 40, behaviour: 'overflow' } },
  })
  for (const external_id of ['a', '=b()', 'c']) await post(postCustomer, '/api/v1/customers', { external_id })
  for (let index = 0; index < 100; index += 1)
    events.push({
      at: new Date(Date.now() - 60_000 - index * 8 * 3_600_000),
      value: (index % 5) + 0.5,
      user: ['a', '=b()', 'c'][index % 3] ?? 'a',
    })
  await post(
    track,
    '/api/v1/usage/track',
    events.flatMap(({ at, value, user }) =>
      ['calls', 'peak'].map((meter_id) => ({
        meter_id,
        user_id: user,
        event_value: value,
        timestamp: at.toISOString(),
      })),
    ),
  )
})

describe('the report of a month', () => {
  test('of the tenant', async () => {
    const { status, body } = await report()
    expect(status).toBe(200)
    expect(body).toMatchObject({ month: thisMonth, time_zone: ZONE, complete: false, customer: null })
    expect(body.meters.map(({ meter }: { meter: { slug: string } }) => meter.slug)).toEqual(['calls', 'peak'])
    const users = ['a', '=b()', 'c']
    expect(body.meters[0]).toMatchObject({
      used: sumOf(thisMonth),
      previous: sumOf(monthBefore(thisMonth)),
      cap: null,
      overage: users.reduce((sum, user) => sum + Math.max(0, sumOf(thisMonth, user) - 40), 0),
    })
    expect(body.meters[1]).toMatchObject({ cap: null, overage: null })
    const ranking = users
      .map((user) => ({ user, used: sumOf(thisMonth, user) }))
      .sort((one, two) => two.used - one.used)
    const [top] = body.top_customers
    expect(top.meter).toBe('calls')
    expect(top.customers.map(({ used }: { used: number }) => used)).toEqual(ranking.map(({ used }) => used))
    const daily = body.daily.filter(({ meter }: { meter: string }) => meter === 'calls')
    for (const { day, used } of daily) expect([day, used]).toEqual([day, sumOf(day)])
    expect(daily.reduce((sum: number, { used }: { used: number }) => sum + used, 0)).toBeCloseTo(sumOf(thisMonth))
  })

  test('of one customer, and of a month that is over', async () => {
    const { body } = await report(`?month=${monthBefore(thisMonth)}&customer=a`)
    expect(body).toMatchObject({ complete: true, customer: { external_id: 'a' }, top_customers: [] })
    const used = sumOf(monthBefore(thisMonth), 'a')
    expect(body.meters[0]).toMatchObject({ used, cap: 40, cap_period: 'month', overage: Math.max(0, used - 40) })
  })

  test('as CSV, with nothing a spreadsheet would run', async () => {
    const { status, headers, body } = await report('?format=csv')
    expect(status).toBe(200)
    expect(headers.get('content-type')).toMatch(/^text\/csv/)
    expect(headers.get('content-disposition')).toContain(`usage-${thisMonth}.csv`)
    const lines = String(body).trim().split('\r\n')
    expect(lines[0]).toMatch(/^row,month,meter,unit,customer,day,used/)
    expect(lines.find((line) => line.startsWith(`meter,${thisMonth},calls,calls,,,`))).toContain(
      String(sumOf(thisMonth)),
    )
    expect(lines.filter((line) => line.startsWith('customer,'))).toHaveLength(6)
    expect(lines.some((line) => line.includes(",'=b(),"))).toBe(true)
    expect(lines.some((line) => line.includes(',=b()'))).toBe(false)
  })

  test('refuses months that are none, and customers of nobody or of others', async () => {
    for (const query of [
      '?month=2026-13',
      '?month=2999-01',
      '?month=1999-12',
      '?month=november',
      '?format=pdf',
      '?x=1',
    ])
      expect([query, (await report(query)).status]).toEqual([query, 422])
    expect((await report('?customer=nobody')).status).toBe(404)
    expect((await report(`?customer=${globex.customer.id}`)).status).toBe(404)
    const foreign = await call(getReport, 'GET', '/api/v1/usage/reports', { as: globex.api_key })
    expect(foreign.body.meters).toEqual([])
  })
})

test('CSV has very small and very large amounts as plain decimals', async () => {
  const extreme = await createTenant('extreme', { time_zone: ZONE })
  const small = '0.0000001'
  const large = '1000000000000000000000000'
  for (const slug of ['small', 'large'])
    await call(postMeter, 'POST', '/api/v1/meters', { as: extreme.api_key, body: { slug, name: slug } })
  const tracked = await call(track, 'POST', '/api/v1/usage/track', {
    as: extreme.api_key,
    body: [
      { meter_id: 'small', user_id: 'ann', event_value: small },
      { meter_id: 'large', user_id: 'ann', event_value: large },
    ],
  })
  expect(tracked.body).toMatchObject({ inserted: 2 })
  const csv = String(
    (await call(getReport, 'GET', '/api/v1/usage/reports?format=csv', { as: extreme.api_key })).body,
  ).split('\r\n')
  const used = csv.filter((line) => /^(meter|customer|day),/.test(line)).map((line) => line.split(',')[6])
  expect(used.toSorted()).toEqual([small, small, small, large, large, large])
  const series = await call(getQuery, 'GET', '/api/v1/usage/query?meter=small&format=csv', { as: extreme.api_key })
  expect(String(series.body).split('\r\n')[1]?.split(',')[2]).toBe(small)
})

test('a level is used as long as it stands, whether or not it changes', async () => {
  const place = await createTenant('standing', { time_zone: ZONE })
  const ask = async (handler: Parameters<typeof call>[0], path: string, body?: unknown) => {
    const answer = await call(handler, body ? 'POST' : 'GET', `/api/v1/${path}`, { as: place.api_key, body })
    expect([path, answer.status]).toEqual([path, answer.status < 300 ? answer.status : 200])
    return answer.body
  }
  await ask(postMeter, 'meters', { slug: 'seats', name: 'Seats', aggregation: 'WEIGHTED_SUM' })
  await ask(postTier, 'tiers', {
    name: 'Few',
    is_default: true,
    usage_caps: { seats: { limit: 10, behaviour: 'overflow' } },
  })
  for (const external_id of ['holds', 'gave-back']) await ask(postCustomer, 'customers', { external_id })
  const long = `${monthBefore(monthBefore(thisMonth))}-02T12:00:00Z`
  await writePast(place, ZONE, [
    { name: 'seats', meter: 'seats', customer: 'holds', value: 12, occurred: long },
    { name: 'others', meter: 'seats', customer: 'gave-back', value: 5, occurred: long },
    { name: 'back', meter: 'seats', customer: 'gave-back', value: -5, occurred: long },
  ])
  const meter = { slug: 'seats' }
  const used = { used: 12, events: 0 }
  const preview = await call(previewTier, 'POST', '/api/v1/tiers/few/preview', {
    as: place.api_key,
    params: { id: 'few' },
    body: { usage_caps: { seats: { limit: 11, behaviour: 'overflow' } } },
  })
  expect(preview.body).toMatchObject({ over_count: 1, over: [{ customer: { external_id: 'holds' }, used: 12 }] })
  const history = await call(getHistory, 'GET', '/api/v1/customers/holds/balance/history?meter=seats', {
    as: place.api_key,
    params: { id: 'holds' },
  })
  expect(history.body.daily.slice(-2).map(({ used }: { used: number }) => used)).toEqual([12, 12])
  const month = await ask(getReport, 'usage/reports')
  expect(month.meters).toMatchObject([{ meter, ...used, previous: 12, change_percent: 0, overage: 2 }])
  expect(month.top_customers).toMatchObject([{ meter: 'seats', customers: [{ ...used }] }])
  const today = Number(dayOf(new Date()).slice(8))
  expect(month.daily).toHaveLength(today)
  expect(month.daily.at(-1)).toEqual({ day: dayOf(new Date()), meter: 'seats', ...used })
  expect((await ask(getUsage, 'usage?time_range=7d')).data).toMatchObject([{ meter, ...used }])
  expect((await ask(getUsage, 'usage?time_range=7d&group_by=customer')).data).toMatchObject([
    { customer: { external_id: 'holds' }, ...used },
  ])
  expect((await ask(getDaily, 'usage/daily?time_range=7d')).data).toHaveLength(7)
  expect((await ask(getTrends, 'usage/trends?time_range=7d')).data).toMatchObject([
    { meter, current: 12, previous: 12, forecast: { used: 12, method: 'level', days: 30 } },
  ])
  const ahead = `from=${dayOf(new Date())}&to=${Number(thisMonth.slice(0, 4)) + 1}-12-31`
  for (const [query, rows] of [
    ['time_range=7d&group_by=customer', 1],
    ['time_range=7d&window=day', 7],
    [`${ahead}&window=day`, 1],
    [`${ahead}&window=day&customer=gave-back`, 0],
  ] as const)
    expect([query, (await ask(getQuery, `usage/query?meter=seats&${query}`)).data.length]).toEqual([query, rows])
})
