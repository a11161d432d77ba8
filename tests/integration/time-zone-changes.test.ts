// A tenant that moves to another time zone has other days: totals, caps and bills follow, whoever counts at the same time.
import { beforeAll, describe, expect, test } from 'vitest'
import { POST as closeRoute } from '@/app/api/v1/billing-periods/route'
import { PATCH as changeRoute } from '@/app/api/v1/tenants/[id]/route'
import { GET as dailyRoute } from '@/app/api/v1/usage/daily/route'
import { POST as trackRoute } from '@/app/api/v1/usage/track/route'
import { recountSink } from '@/features/reconciliations/jobs/recount-usage'
import { tenantQuery } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'
import { startOutboxWorker } from '@/libs/jobs/outbox-worker'
import { insertMeters } from '../support/meters'
import { asSuperuser, asSystem, call, createTenant, createWorld, type TestTenant } from '../support/world'

const { operators } = await createWorld()
const DAY = 86_400_000
const METERS = [
  { slug: 'sum', aggregation: 'SUM', group_by: ['region'] },
  { slug: 'unique', aggregation: 'UNIQUE_COUNT', value_property: 'device' },
  { slug: 'max', aggregation: 'MAX' },
  { slug: 'latest', aggregation: 'LATEST' },
  { slug: 'level', aggregation: 'WEIGHTED_SUM' },
]
let made = 0
async function arrange(): Promise<TestTenant> {
  made += 1
  const tenant = await createTenant(`moved-${made}`)
  await asSystem(tenant, () => insertMeters(METERS))
  return tenant
}
/** Of each day something is kept from now on: who counts has balances. */
async function keepOfDays(tenant: TestTenant): Promise<void> {
  await asSystem(tenant, async () => {
    const tier = newId()
    await tenantQuery("insert into tiers (id, slug, name, is_default) values ($1, 'base', 'Base', true)", [tier])
    await tenantQuery(
      `insert into tier_caps (id, tier_id, meter_id, cap_limit, behaviour, period, rollover_max)
       select $1, $2, m.id, 10, 'overflow', 'day', 5 from meters m where m.slug = 'sum'`,
      [newId(), tier],
    )
  })
}
const track = (tenant: TestTenant, body: unknown) =>
  call(trackRoute, 'POST', '/api/v1/usage/track', { as: tenant.api_key, body })
const change = (tenant: TestTenant, time_zone: string, as: TestTenant['users']['owner'] = tenant.users.owner) =>
  call(changeRoute, 'PATCH', `/api/v1/tenants/${tenant.id}`, {
    as,
    tenant,
    params: { id: tenant.id },
    body: { time_zone },
  })
const drift = (tenant: TestTenant, zone: string) =>
  asSystem(tenant, () =>
    tenantQuery(
      `select table_name, row_key, stored, expected from app.find_usage_drift($1, $2, null, null) where table_name is not null
       union all select * from app.find_clock_drift($1, $2, null)`,
      [tenant.id, zone],
    ),
  )
const waiting = async (tenant: TestTenant) =>
  (
    await asSuperuser<{ count: number }>(
      "select count(*)::int as count from outbox where tenant_id = $1 and topic = 'usage_time_zone' and delivered_at is null",
      [tenant.id],
    )
  )[0]?.count
async function work(tenant: TestTenant): Promise<void> {
  const worker = startOutboxWorker({ sinks: [recountSink], pollMs: 50 })
  try {
    await expect.poll(() => waiting(tenant), { timeout: 15_000 }).toBe(0)
  } finally {
    await worker.stop()
  }
}
const someEvents = (count: number) =>
  Array.from({ length: count }, (_, index) => ({
    meter_id: METERS[index % METERS.length]?.slug,
    user_id: `user-${index % 3}`,
    event_value: index,
    event_id: `e-${index}`,
    timestamp: Date.now() - ((index * 5) % 30) * DAY - index * 1_800_000,
    properties: { region: 'eu', device: `d${index % 7}` },
  }))

describe('before anything was counted', () => {
  test('it is the zone, and nothing is to be done', async () => {
    const tenant = await arrange()
    expect(await change(tenant, 'Asia/Tokyo')).toMatchObject({ status: 200, body: { time_zone: 'Asia/Tokyo' } })
    expect(await waiting(tenant)).toBe(0)
  })
})

test('a period is not closed by totals of the days there were', async () => {
  const tenant = await arrange()
  await asSystem(tenant, async () => {
    const tier = newId()
    await tenantQuery('insert into tiers (id, slug, name, is_default) values ($1, $2, $2, true)', [tier, 'capped'])
    await tenantQuery(
      `insert into tier_caps (id, tier_id, meter_id, cap_limit, behaviour) select $1, $2, m.id, 4, 'overflow' from meters m
       where m.tenant_id = $3 and m.slug = 'sum'`,
      [newId(), tier, tenant.id],
    )
  })
  // The last hour of a month in UTC is the first day of the next one in Tokyo.
  const now = new Date()
  const timestamp = Date.UTC(now.getUTCFullYear(), now.getUTCMonth()) - 3_600_000
  await track(tenant, { meter_id: 'sum', user_id: 'ann', event_value: 10, timestamp })
  expect((await change(tenant, 'Asia/Tokyo')).status).toBe(200)
  const close = () =>
    call(closeRoute, 'POST', '/api/v1/billing-periods', {
      as: tenant.api_key,
      body: { ends_at: new Date(Date.now() - 1).toISOString() },
    })
  const refused = await close()
  expect(refused).toMatchObject({ status: 409, body: { code: 'conflict' } })
  expect(refused.headers.get('retry-after')).toBe('5')
  await work(tenant)
  expect(await close()).toMatchObject({ status: 201, body: { lines: 1 } })
  const lines = await asSuperuser(
    'select starts_on::text, quantity::int, overage::int from billing_lines where tenant_id = $1',
    [tenant.id],
  )
  expect(lines).toEqual([{ starts_on: `${now.toISOString().slice(0, 7)}-01`, quantity: 10, overage: 6 }])
})

describe('after usage was counted', () => {
  let tenant: TestTenant
  beforeAll(async () => {
    tenant = await arrange()
    await keepOfDays(tenant)
    expect((await track(tenant, someEvents(200))).body).toMatchObject({ inserted: 200 })
  })

  test('every total is made anew, and the days shown are those of the zone', async () => {
    expect((await change(tenant, 'Asia/Tokyo')).status).toBe(200)
    await work(tenant)
    expect(await drift(tenant, 'Asia/Tokyo')).toEqual([])
    const dayOf = (at: number) => new Intl.DateTimeFormat('en-CA', { timeZone: 'Asia/Tokyo' }).format(at)
    const wanted = new Map<string, number>()
    for (const { meter_id, timestamp, event_value } of someEvents(200))
      if (meter_id === 'sum') wanted.set(dayOf(timestamp), (wanted.get(dayOf(timestamp)) ?? 0) + event_value)
    const { body } = await call(dailyRoute, 'GET', '/api/v1/usage/daily?meter=sum&time_range=90d', {
      as: tenant.api_key,
    })
    // Values that were zero are events as well.
    expect(Object.fromEntries(body.data.map(({ day, used }: { day: string; used: number }) => [day, used]))).toEqual(
      Object.fromEntries(wanted),
    )
  })

  test('also while others count, with routing from before, and by an operator', async () => {
    let stop = false
    let sent = 0
    const writers = Array.from({ length: 3 }, async (_, writer) => {
      while (!stop) {
        const answer = await track(
          tenant,
          Array.from({ length: 10 }, (_, index) => ({
            meter_id: METERS[(sent + index) % METERS.length]?.slug,
            user_id: `user-${index % 3}`,
            event_value: 1,
            timestamp: Date.now() - ((sent + index) % 25) * 3_600_000,
            properties: { device: `w${writer}` },
          })),
        )
        expect(answer.status).toBe(200)
        sent += 10
      }
    })
    for (const [zone, as] of [
      ['America/New_York', tenant.users.owner],
      ['Pacific/Auckland', operators.super_admin],
      ['Europe/Berlin', tenant.users.owner],
    ] as const) {
      expect((await change(tenant, zone, as)).status).toBe(200)
      await work(tenant)
      expect(await drift(tenant, zone)).toEqual([])
    }
    stop = true
    await Promise.all(writers)
    expect(sent).toBeGreaterThan(50)
    expect(await drift(tenant, 'Europe/Berlin')).toEqual([])
  })

  test('and not any more once days were billed in it', async () => {
    const closed = await call(closeRoute, 'POST', '/api/v1/billing-periods', {
      as: tenant.api_key,
      body: { ends_at: new Date(Date.now() - 1).toISOString() },
    })
    expect(closed.status).toBe(201)
    expect(await change(tenant, 'Asia/Tokyo')).toMatchObject({
      status: 409,
      body: { code: 'conflict', detail: expect.stringContaining('billed or sealed') },
    })
    expect((await change(tenant, 'Europe/Berlin')).status).toBe(200)
  })
})
