// Trends of customers whose months begin late in the month, in a zone whose clocks change: the period that is foretold is their own, what
// they used in it is exact, and the day a cap is hit is the day the line gets there.
import { beforeAll, expect, test } from 'vitest'
import { GET as portalRoute } from '@/app/api/v1/portal/usage/route'
import { GET as dailyRoute } from '@/app/api/v1/usage/daily/route'
import { GET as usageRoute } from '@/app/api/v1/usage/route'
import { GET as trendsRoute } from '@/app/api/v1/usage/trends/route'
import { setSubscription } from '@/features/customers/services/subscription-service'
import { tenantQuery } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'
import { addDays, addMonths, daysBetween, daysUntil, fitLine, forecastSum, localToday } from '@/libs/metering/trend'
import { waitForSteadyDay } from '../support/steady-day'
import { type PastEvent, writePast } from '../support/usage-history'
import { asSystem, call, createTenant, createWorld, type TestTenant } from '../support/world'

await createWorld()
const ZONE = 'America/New_York'
const ANCHORS = [1, 15, 28, 29, 30, 31]
const events: (PastEvent & { day: string })[] = []
let tenant: TestTenant

await waitForSteadyDay(ZONE)
const { day: today } = localToday(ZONE)
beforeAll(async () => {
  tenant = await createTenant('anchored', { time_zone: ZONE })
  await asSystem(tenant, async () => {
    const tier = newId()
    await tenantQuery(
      "insert into tiers (id, slug, name, price_minor, currency, billing_interval) values ($1, 'only', 'Only', 0, 'EUR', 'month')",
      [tier],
    )
    for (const slug of ['calls', 'peak']) {
      const id = newId()
      await tenantQuery("insert into meters (id, slug, name, unit, aggregation) values ($1, $2, $2, '', $3)", [
        id,
        slug,
        slug === 'peak' ? 'MAX' : 'SUM',
      ])
      await tenantQuery(
        `insert into tier_caps (id, tier_id, meter_id, cap_limit, behaviour, period) values (gen_random_uuid(), $1, $2, $3, 'overflow', 'month')`,
        [tier, id, slug === 'peak' ? 5_000 : 400],
      )
    }
    for (const anchor of ANCHORS)
      await tenantQuery('insert into customers (id, external_id) values ($1, $2)', [newId(), `c${anchor}`])
  })
  for (const anchor of ANCHORS)
    await asSystem(tenant, () => setSubscription(`c${anchor}`, { tier: 'only', anchor_day: anchor }))
  const now = Date.now()
  for (const anchor of ANCHORS)
    for (let index = 0; index < 75; index += 1) {
      const at = now - 90_000 - index * 86_400_000 - ((index * 7) % 24) * 3_600_000
      events.push({
        name: `${anchor} ${index}`,
        meter: 'calls',
        customer: `c${anchor}`,
        value: 3 + ((index * 5 + anchor) % 17),
        occurred: new Date(at).toISOString(),
        day: localToday(ZONE, new Date(at)).day,
      })
    }
  await writePast(tenant, ZONE, events)
})

test.each(ANCHORS)('anchor %i', async (anchor) => {
  const before = localToday(ZONE).share
  const { body } = await call(
    trendsRoute,
    'GET',
    `/api/v1/usage/trends?time_range=30d&meter=calls&customer=c${anchor}`,
    {
      as: tenant.api_key,
    },
  )
  const after = localToday(ZONE).share
  const [trend] = body.data
  const startIn = (month: string) =>
    addDays(`${month}-01`, Math.min(anchor, daysBetween(`${month}-01`, addMonths(`${month}-01`, 1))) - 1)
  const own = startIn(today.slice(0, 7))
  const starts = own <= today ? own : startIn(addMonths(`${today.slice(0, 7)}-01`, -1).slice(0, 7))
  const ends = own <= today ? startIn(addMonths(`${today.slice(0, 7)}-01`, 1).slice(0, 7)) : own
  expect([localToday(ZONE, new Date(trend.forecast.from)), localToday(ZONE, new Date(trend.forecast.to))]).toEqual([
    { day: starts, share: 0 },
    { day: ends, share: 0 },
  ])
  const sumOf = (from: string, to: string) =>
    events
      .filter(({ customer, day }) => customer === `c${anchor}` && day >= from && day < to)
      .reduce((sum, { value }) => sum + Number(value), 0)
  const used = sumOf(starts, addDays(today, 1))
  expect(trend.cap).toMatchObject({ limit: 400, used, resets_at: trend.forecast.to })
  const days = Array.from({ length: 29 }, (_, index) => sumOf(addDays(today, index - 29), addDays(today, index - 28)))
  const left = daysBetween(today, ends) - 1
  expect(trend.slope_per_day).toBeCloseTo(fitLine(days).slope, 4)
  // The forecast goes by thirty whole days, whatever the range, from the first with usage on.
  days.unshift(sumOf(addDays(today, -30), addDays(today, -29)))
  while (days[0] === 0) days.shift()
  const line = fitLine(days)
  const [most, least] = [before, after].map((share) => forecastSum(used, line, days.length, share, left))
  expect(trend.forecast.used).toBeLessThanOrEqual((most ?? 0) + 0.01)
  expect(trend.forecast.used).toBeGreaterThanOrEqual((least ?? 0) - 0.01)
  const hits = [before, after].map((share) => daysUntil(400, used, line, days.length, share, left))
  expect(hits.map((hit) => (hit === null ? null : addDays(today, hit)))).toContain(trend.cap_hit_on)
})

test('a day whose midnight comes twice is one day, whatever counts it', async () => {
  const havana = await createTenant('havana', { time_zone: 'America/Havana' })
  await asSystem(havana, async () => {
    for (const [slug, aggregation] of [
      ['sum', 'SUM'],
      ['peak', 'MAX'],
      ['mean', 'AVG'],
    ])
      await tenantQuery("insert into meters (id, slug, name, unit, aggregation) values ($1, $2, $2, '', $3)", [
        newId(),
        slug,
        aggregation,
      ])
    await tenantQuery("insert into customers (id, external_id) values ($1, 'ann')", [newId()])
  })
  // On 1 November 2026 clocks go back from one to midnight: half past midnight comes twice, at 4:30 and at 5:30.
  await writePast(
    havana,
    'America/Havana',
    ['sum', 'peak', 'mean'].flatMap((meter) =>
      (
        [
          ['03:30', 1],
          ['04:30', 50],
          ['05:30', 20],
          ['12:00', 5],
        ] as const
      ).map(([time, value]) => ({
        name: `${meter} ${time}`,
        meter,
        customer: 'ann',
        value,
        occurred: `2026-11-01T${time}:00Z`,
      })),
    ),
  )
  const get = async (route: Parameters<typeof call>[0], path: string) => {
    const { status, body } = await call(route, 'GET', path, { as: havana.api_key })
    expect([path, status]).toEqual([path, 200])
    return Object.fromEntries(
      body.data.map(({ meter, used }: { meter: string | { slug: string }; used: number }) => [
        typeof meter === 'string' ? meter : meter.slug,
        used,
      ]),
    )
  }
  for (const query of ['', '&customer=ann', '&group_by=customer']) {
    expect(await get(usageRoute, `/api/v1/usage?from=2026-11-01&to=2026-11-02${query}`)).toEqual({
      sum: 75,
      peak: 50,
      mean: 25,
    })
    expect(await get(dailyRoute, `/api/v1/usage/daily?from=2026-11-01&to=2026-11-02${query}`)).toEqual({
      sum: 75,
      peak: 50,
      mean: 25,
    })
  }
})

test('in the portal a level is averaged over all of a day whose midnight comes twice', async () => {
  const place = await createTenant('twice', { time_zone: 'America/Havana' })
  await asSystem(place, () =>
    tenantQuery(
      "insert into meters (id, slug, name, unit, aggregation, allows_negative) values ($1, 'level', 'Level', '', 'WEIGHTED_SUM', true)",
      [newId()],
    ),
  )
  const customer = place.customer.external_id
  await writePast(place, 'America/Havana', [
    { name: 'up', meter: 'level', customer, value: 12, occurred: '2026-10-30T12:00:00Z' },
    { name: 'more', meter: 'level', customer, value: 100, occurred: '2026-11-01T04:30:00Z' },
    { name: 'less', meter: 'level', customer, value: -100, occurred: '2026-11-01T05:30:00Z' },
  ])
  const { body } = await call(portalRoute, 'GET', '/api/v1/portal/usage?meter=level&starts_on=2026-11-01', {
    as: place.users.customer,
    host: `${place.slug}.localhost:3000`,
  })
  // Of 25 hours one at 112, the others at 12.
  expect(body.days.slice(0, 2)).toEqual([
    { day: '2026-11-01', used: 16 },
    { day: '2026-11-02', used: 12 },
  ])
})
