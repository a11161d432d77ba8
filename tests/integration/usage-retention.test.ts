// Where events go, nothing is lost that anybody still needs: whoever asks for it, a month is dropped only when each tenant's seal is of
// exactly the events that are there. And what cannot be known without them is neither billed nor made up.
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { POST as closeRoute } from '@/app/api/v1/billing-periods/route'
import { POST as correctRoute } from '@/app/api/v1/usage/correct/route'
import { dropUsagePartitions } from '@/features/reconciliations/jobs/drop-usage-partitions'
import { queryUsage } from '@/features/usage-tracking/services/usage-query-service'
import { updateUsageSettings } from '@/features/usage-tracking/services/usage-settings-service'
import { serverPool } from '@/libs/db/pools'
import { tenantQuery } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'
import { log } from '@/libs/log'
import { usageQueryInput } from '@/libs/metering/usage-query'
import { EVERY_AGGREGATION, insertMeters } from '../support/meters'
import { type PastEvent, pastKey, writePast } from '../support/usage-history'
import { asSuperuser, asSystem, call, createTenant, createWorld, type TestTenant } from '../support/world'

await createWorld()

const METERS = EVERY_AGGREGATION.filter(({ slug }) => slug !== 'count')
let made = 0
async function arrange(): Promise<TestTenant> {
  made += 1
  const tenant = await createTenant(`kept-${made}`)
  await asSystem(tenant, async () => {
    await insertMeters(METERS)
    await tenantQuery("insert into customers (id, external_id) values ($1, 'ann')", [newId()])
  })
  return tenant
}
/** The first of a month, so many months ago. */
const ago = (months: number): string => {
  const now = new Date()
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - months, 1)).toISOString().slice(0, 10)
}
const at = (meter: string, occurred: string, value: number, rest: Partial<PastEvent> = {}): PastEvent => ({
  name: `${meter} ${occurred} ${value}`,
  meter,
  customer: 'ann',
  occurred,
  value,
  properties: { device: `d${value}` },
  ...rest,
})
/** As any connection of the server may ask: no tenant, no context. */
const drop = async (months: number): Promise<string[]> =>
  (await serverPool().query<{ months: string[] }>('select app.drop_usage_partitions($1) as months', [months])).rows[0]
    ?.months ?? []
const seal = (tenant: TestTenant, month: string, patience = 14) =>
  asSystem(tenant, async () => {
    const [row] = await tenantQuery<{ sealed: boolean }>("select app.seal_usage($1, 'UTC', $2, $3) as sealed", [
      tenant.id,
      month,
      patience,
    ])
    return row?.sealed
  })
const close = async (tenant: TestTenant, ends_at: string) => {
  const answer = await call(closeRoute, 'POST', '/api/v1/billing-periods', { as: tenant.api_key, body: { ends_at } })
  expect([answer.status, answer.body.errors]).toEqual([201, undefined])
}
const stored = async (): Promise<number> =>
  (await asSuperuser<{ count: number }>('select count(*)::int as count from usage_events'))[0]?.count ?? 0

describe('a clock that cannot be right', () => {
  const old = ago(30)
  const keep = () => dropUsagePartitions(new AbortController().signal)
  const sealed = () => asSuperuser('select 1 from usage_seals')

  test('neither seals nor drops a month: nothing came in for long, or the database is years before those who ask it', async () => {
    const tenant = await arrange()
    log.level = 'fatal'
    await writePast(tenant, 'UTC', [at('sum', `${old}T12:00:00Z`, 5), at('sum', `${ago(2)}T12:00:00Z`, 6)])
    expect(await keep()).toEqual([])
    expect(await sealed()).toEqual([])
    await seal(tenant, old)
    expect(await drop(25)).toEqual([])
    await asSuperuser('delete from usage_seals where tenant_id = $1', [tenant.id])

    await writePast(tenant, 'UTC', [at('sum', `${ago(1)}T12:00:00Z`, 7)])
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 5 * 365 * 86_400_000 })
    expect(await keep()).toEqual([])
    vi.useRealTimers()
    expect(await sealed()).toEqual([])
    expect(await keep()).toEqual([old.slice(0, 7)])
  })
})

describe('whoever asks', () => {
  let tenant: TestTenant
  const old = ago(4)
  beforeAll(async () => {
    tenant = await arrange()
    await writePast(tenant, 'UTC', [
      at('sum', `${old}T12:00:00Z`, 5),
      at('sum', `${ago(2)}T12:00:00Z`, 6),
      at('sum', `${ago(0)}T00:00:00Z`, 7),
    ])
  })
  const nothingGoes = async () => {
    const before = await stored()
    for (const months of [2, 3, 25]) expect([months, await drop(months)]).toEqual([months, []])
    for (const months of [-1, 0, 1]) await expect(drop(months)).rejects.toThrow(/two months/)
    await expect(drop(2_000_000_000)).rejects.toThrow()
    expect(await stored()).toBe(before)
  }

  test('what is not sealed stays', nothingGoes)

  test('what came after the seal, or a seal that somebody made up, drops nothing', async () => {
    await asSystem(tenant, () =>
      tenantQuery('insert into usage_seals (tenant_id, month, events, drifts) values ($1, $2, 99, 0)', [
        tenant.id,
        old,
      ]),
    )
    await nothingGoes()
    await asSuperuser('delete from usage_seals where tenant_id = $1', [tenant.id])
    expect(await seal(tenant, old)).toBe(true)
    await writePast(tenant, 'UTC', [at('sum', `${old}T13:00:00Z`, 5)])
    await nothingGoes()
    await asSuperuser('delete from usage_seals where tenant_id = $1', [tenant.id])
  })

  test('what is not billed stays, sealed or not', async () => {
    await close(tenant, `${old.slice(0, 8)}20`)
    expect(await seal(tenant, old)).toBe(false)
    await asSystem(tenant, () =>
      tenantQuery('insert into usage_seals (tenant_id, month, events, drifts) values ($1, $2, 2, 0)', [tenant.id, old]),
    )
    await nothingGoes()
    await asSuperuser('delete from usage_seals where tenant_id = $1', [tenant.id])
    await close(tenant, ago(1))
  })

  test('what is not cut for Stripe stays', async () => {
    const [connection, mapping] = [newId(), newId()]
    await asSuperuser(
      `insert into stripe_exports (tenant_id, id, mode, secret, last_four, status) values ($1, $2, 'test', 'x', '0000', 'connected')`,
      [tenant.id, connection],
    )
    await asSuperuser(
      `insert into stripe_meters (tenant_id, id, stripe_export_id, meter_id, event_name, cut_at, enabled)
       select $1, $2, $3, id, 'sum', $4::date + 10, false from meters where tenant_id = $1 and slug = 'sum'`,
      [tenant.id, mapping, connection, old],
    )
    expect(await seal(tenant, old)).toBe(false)
    await asSystem(tenant, () =>
      tenantQuery('insert into usage_seals (tenant_id, month, events, drifts) values ($1, $2, 2, 0)', [tenant.id, old]),
    )
    await nothingGoes()
    await asSuperuser('delete from usage_seals where tenant_id = $1', [tenant.id])
    await asSuperuser('update stripe_meters set cut_at = now() where tenant_id = $1', [tenant.id])
  })

  test('what is sealed, billed and pushed goes, and no month after it', async () => {
    const before = await stored()
    expect(await seal(tenant, old)).toBe(true)
    expect(await drop(2)).toEqual([old.slice(0, 7)])
    expect(await stored()).toBe(before - 2)
    const [totals] = await asSuperuser('select sum(used)::int as used from usage_totals where tenant_id = $1', [
      tenant.id,
    ])
    expect(totals).toEqual({ used: 23 })
  })
})

describe('without the events of a month', () => {
  let tenant: TestTenant
  const old = ago(4)
  const month = old.slice(0, 8)
  const next = ago(3)
  const values = METERS.map(({ slug }) => slug)
  beforeAll(async () => {
    tenant = await arrange()
    await writePast(
      tenant,
      'UTC',
      values.flatMap((meter) => [
        at(meter, `${month}05T12:00:00Z`, 100),
        at(meter, `${month}06T12:00:00Z`, 40),
        // Sent a month late: its row stays when those of its day go.
        at(meter, `${month}06T13:30:00Z`, 60, { received: `${next.slice(0, 8)}03T00:00:00Z` }),
        at(meter, `${month}06T13:00:30Z`, 50, { received: `${next.slice(0, 8)}03T00:00:00Z` }),
      ]),
    )
    await close(tenant, ago(1))
    expect(await seal(tenant, old)).toBe(true)
    expect(await drop(2)).toEqual([old.slice(0, 7)])
  })
  const correct = async (name: string, action = 'cancel') =>
    (
      await call(correctRoute, 'POST', '/api/v1/usage/correct', {
        as: tenant.api_key,
        body: { action, id: pastKey(name), ...(action === 'amend' ? { event_value: 1 } : {}) },
      })
    ).body
  const usedOf = async (meter: string) =>
    (
      await asSuperuser<{ used: string }>(
        `select trim_scale(k.used)::text as used from usage_counters k join meters m on m.tenant_id = k.tenant_id and m.id = k.meter_id
         where k.tenant_id = $1 and m.slug = $2 and k.period = 'day' and k.starts_on = $3`,
        [tenant.id, meter, `${month}06`],
      )
    )[0]?.used

  test('its hours are known by every clock', async () => {
    const { data } = await asSystem(tenant, () =>
      queryUsage(
        'max',
        usageQueryInput.parse({ from: `${month}05`, to: `${month}07`, window: 'HOUR', time_zone: 'Asia/Kolkata' }),
      ),
    )
    expect(data.map(({ window_start, value, events }) => [window_start, value, events])).toEqual([
      [`${month}05T11:30:00.000Z`, 100, 1],
      [`${month}06T11:30:00.000Z`, 40, 1],
      [`${month}06T12:30:00.000Z`, 50, 1],
      [`${month}06T13:30:00.000Z`, 60, 1],
    ])
  })

  test('an extreme of one of its days is not taken back, since nobody knows what would be left; anything else is', async () => {
    expect(await usedOf('max')).toBe('60')
    expect((await correct(`max ${month}06T13:30:00Z 60`)).rejected).toMatchObject([{ code: 'sealed' }])
    expect((await correct(`latest ${month}06T13:30:00Z 60`)).rejected).toMatchObject([{ code: 'sealed' }])
    expect(await usedOf('max')).toBe('60')
    expect(await correct(`max ${month}06T13:00:30Z 50`)).toMatchObject({ corrected: 1 })
    expect(await usedOf('max')).toBe('60')
    expect(await correct(`sum ${month}06T13:30:00Z 60`)).toMatchObject({ corrected: 1 })
    expect(await usedOf('sum')).toBe('90')
    expect((await correct(`sum ${month}05T12:00:00Z 100`)).rejected).toMatchObject([{ code: 'not_found' }])
  })

  test('what comes late for it is billed on top of what it came to, never instead of it', async () => {
    const billed = async () =>
      Object.fromEntries(
        (
          await asSuperuser<{ meter: string; quantity: string }>(
            `select meter, trim_scale(sum(quantity))::text as quantity from billing_lines where tenant_id = $1 and starts_on = $2 group by 1`,
            [tenant.id, old],
          )
        ).map(({ meter, quantity }) => [meter, quantity]),
      )
    expect(await billed()).toMatchObject({ max: '100', min: '40', avg: '62.5', unique: '4', latest: '60' })
    await asSystem(tenant, () => updateUsageSettings({ accepts_late_days: 400 }))
    await asSystem(tenant, () =>
      tenantQuery(
        `select app.record_usage($1, 'UTC', $2, array['ann'], array(select generate_series(1, 6)), array_fill(1, array[6]), array_fill(3::numeric, array[6]),
           array(select gen_random_uuid() from generate_series(1, 6)), null, null, array_fill($3::timestamptz, array[6]),
           array_fill('{"device": "d3"}'::jsonb, array[6]), null, false, false, false, false, false)`,
        [tenant.id, values.filter((meter) => meter !== 'sum'), `${month}20T12:00:00Z`],
      ),
    )
    await close(tenant, new Date().toISOString())
    expect(await billed()).toMatchObject({ max: '100', min: '3', avg: '50.6', unique: '5', latest: '3' })
  })
})
