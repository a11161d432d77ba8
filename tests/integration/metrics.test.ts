// The built-in metrics: measured where the product can know, added once where they are sent, and read day by day.
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { GET as getDays } from '@/app/api/v1/metrics/daily/route'
import { GET as getMetrics, POST as postMetric } from '@/app/api/v1/metrics/route'
import { GET as getTrends } from '@/app/api/v1/metrics/trends/route'
import { measureTenants } from '@/features/metrics/jobs/measure-tenants'
import { tenantQuery } from '@/libs/db/tenant-db'
import { startOutboxWorker } from '@/libs/jobs/outbox-worker'
import { mailSink } from '@/libs/mail/mail-sink'
import { queueMail } from '@/libs/mail/queue-mail'
import { flushMetrics } from '@/libs/metering/metric-accumulator'
import { startIngestProcess } from '../support/ingest-process'
import { waitForSteadyDay } from '../support/steady-day'
import {
  asSuperuser,
  asSystem,
  call,
  createApiKey,
  createTenant,
  createWorld,
  setStatus,
  type TestTenant,
} from '../support/world'

const { acme, globex } = await createWorld()

type Row = Record<string, unknown>
const post = (body: Row, as = acme.api_key) => call(postMetric, 'POST', '/api/v1/metrics', { as, body })
const days = (query = '', as = acme.api_key) => call(getDays, 'GET', `/api/v1/metrics/daily${query}`, { as })
const trends = (query = '', as = acme.api_key) => call(getTrends, 'GET', `/api/v1/metrics/trends${query}`, { as })
const present = async (metric: string, label = '', as = acme.api_key): Promise<Row | undefined> => {
  const { body } = await call(getMetrics, 'GET', '/api/v1/metrics', { as })
  return body.data.find((row: Row) => row.metric === metric && row.label === label)
}
await waitForSteadyDay()
const today = new Date().toISOString().slice(0, 10)
const dayBefore = (count: number) => new Date(Date.parse(today) - count * 86_400_000).toISOString().slice(0, 10)
const plant = (
  tenant: { id: string },
  metric: string,
  values: ReadonlyArray<readonly [day: string, value: number]>,
  label = '',
) =>
  asSuperuser(
    `insert into tenant_metrics (tenant_id, metric, label, day, value) select $1, $2, $3, d, v from unnest($4::date[], $5::numeric[]) u (d, v)`,
    [tenant.id, metric, label, values.map(([day]) => day), values.map(([, value]) => value)],
  )

describe('sent values', () => {
  test('add up, by label', async () => {
    expect(await post({ metric: 'revenue', value: 4_999, currency: 'eur' })).toMatchObject({
      status: 201,
      body: { metric: 'revenue', label: 'EUR', value: 4_999, inserted: true },
    })
    await post({ metric: 'revenue', value: '1.00', currency: 'EUR' })
    await post({ metric: 'revenue', value: 7, currency: 'USD' })
    await post({ metric: 'communications', value: 3, channel: 'whatsapp' })
    await post({ metric: 'transactions', value: '0.1' })
    await post({ metric: 'transactions', value: '0.2' })
    expect(await present('revenue', 'EUR')).toMatchObject({
      kind: 'sum',
      today: 5_000,
      period: 5_000,
      previous_period: 0,
    })
    expect(await present('revenue', 'USD')).toMatchObject({ today: 7 })
    expect(await present('communications', 'whatsapp')).toMatchObject({ today: 3 })
    expect(await present('transactions')).toMatchObject({ today: 0.3 })
    expect(await present('workflow_executions')).toMatchObject({ today: 0, updated_at: null })
  })

  test('are added once under one event_id, also at the same time', async () => {
    const body = { metric: 'workflow_executions', value: 5, event_id: 'run-1' }
    const answers = await Promise.all([1, 2, 3, 4, 5].map(() => post(body)))
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201, 201])
    expect(answers.filter((answer) => answer.body.inserted)).toHaveLength(1)
    expect((await post({ ...body, value: 6 })).status).toBe(409)
    expect((await post({ ...body, metric: 'transactions' })).status).toBe(409)
    expect(await present('workflow_executions')).toMatchObject({ today: 5 })
  })

  test('count for the day they happened', async () => {
    const occurred_at = `${dayBefore(3)}T12:00:00Z`
    await post({ metric: 'workflow_executions', value: 2, occurred_at })
    const { body } = await days('?timeRange=7d&metric=workflow_executions')
    expect(body.data).toHaveLength(7)
    expect(body.data.find(({ day }: Row) => day === dayBefore(3))).toMatchObject({ value: 2, label: '' })
    expect(body.data.at(-1)).toMatchObject({ day: today, value: 5 })
  })

  test('are refused with their place when they make no sense', async () => {
    const wrong: [Row, string][] = [
      [{ metric: 'api_calls', value: 1 }, '/metric'],
      [{ metric: 'nothing', value: 1 }, '/metric'],
      [{ metric: 'revenue', value: 1 }, '/currency'],
      [{ metric: 'revenue', value: '1.5', currency: 'EUR' }, '/value'],
      [{ metric: 'revenue', value: 1, currency: 'EURO' }, '/currency'],
      [{ metric: 'transactions', value: 1, currency: 'EUR' }, '/currency'],
      [{ metric: 'communications', value: 1 }, '/channel'],
      [{ metric: 'communications', value: 1, channel: 'pigeon' }, '/channel'],
      [{ metric: 'transactions', value: 1, channel: 'email' }, '/channel'],
      [{ metric: 'transactions', value: 'NaN' }, '/value'],
      [{ metric: 'transactions', value: 1e31 }, '/value'],
      [{ metric: 'transactions', value: 1e-30 }, '/value'],
      [{ metric: 'transactions', value: null }, '/value'],
      [{ metric: 'transactions', value: 1, occurred_at: '2020-01-01T00:00:00Z' }, '/occurred_at'],
      [
        { metric: 'transactions', value: 1, occurred_at: new Date(Date.now() + 3_600_000).toISOString() },
        '/occurred_at',
      ],
      [{ metric: 'transactions', value: 1, event_id: '' }, '/event_id'],
    ]
    for (const [body, pointer] of wrong) {
      const answer = await post(body)
      expect([body, answer.status]).toEqual([body, 422])
      expect(answer.body.errors[0].pointer).toBe(pointer)
    }
    for (const query of [
      '?time_range=1y',
      '?from=2026-02-30',
      '?to=2026-01-01',
      '?from=2026-02-02&to=2026-02-01',
      '?metric=x',
    ])
      expect([query, (await days(query)).status]).toEqual([query, 422])
  })

  test('belong to their tenant, and to those who may', async () => {
    expect(await present('revenue', 'EUR', globex.api_key)).toBeUndefined()
    const { key } = await createApiKey(acme, ['metrics:read'])
    expect((await post({ metric: 'transactions', value: 1 }, key)).status).toBe(403)
    expect((await days('', key)).status).toBe(200)
    expect((await call(getMetrics, 'GET', '/api/v1/metrics', { as: acme.users.customer, tenant: acme })).status).toBe(
      403,
    )
  })
})

describe('measured values', () => {
  test('API calls and their bytes, within seconds, by any process', async () => {
    const tenant = await createTenant('counted')
    await flushMetrics()
    for (let round = 0; round < 5; round += 1) expect((await days('', tenant.api_key)).status).toBe(200)
    await flushMetrics()
    const counted = await present('api_calls', '', tenant.api_key)
    expect(counted).toMatchObject({ today: 5 })
    const bytes = await present('bandwidth_bytes', '', tenant.api_key)
    expect(Number(bytes?.today)).toBeGreaterThan(5 * 60)
    // A process that is asked to end writes what it has.
    const ingest = await startIngestProcess()
    for (let round = 0; round < 7; round += 1) {
      await ingest.send({
        path: '/api/v1/usage/check',
        headers: { authorization: `Bearer ${tenant.api_key}` },
        body: { meter_id: 'x', user_id: 'y' },
      })
    }
    expect(await ingest.end()).toBe(0)
    await flushMetrics()
    // Two reads of this test and seven checks came on top.
    expect(await present('api_calls', '', tenant.api_key)).toMatchObject({ today: 14 })
  })

  test('what a database that ends does not take is written when it is back', async () => {
    const tenant = await createTenant('kept')
    await flushMetrics()
    await days('', tenant.api_key)
    const holder = new pg.Client({ connectionString: process.env.SUPERUSER_DATABASE_URL })
    await holder.connect()
    try {
      await holder.query('select pg_advisory_lock(hashtextextended($1, 0))', [tenant.id])
      const flushed = flushMetrics()
      const end = async () =>
        (
          await holder.query(
            `select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and wait_event_type = 'Lock' and query like '%app.note_metrics%' and pid <> pg_backend_pid()`,
          )
        ).rowCount
      await expect.poll(end).toBe(1)
      await flushed
    } finally {
      await holder.end()
    }
    await flushMetrics()
    expect(await present('api_calls', '', tenant.api_key)).toMatchObject({ today: 1 })
  })

  test('a tenant that is suspended in between holds nobody up', async () => {
    const tenant = await createTenant('paused')
    await days('', tenant.api_key)
    await setStatus(tenant, 'suspended')
    await days()
    await flushMetrics()
    expect(Number((await present('api_calls'))?.today)).toBeGreaterThan(0)
  })

  test('people and storage, once an hour', async () => {
    const tenant = await createTenant('measured')
    expect(await measureTenants(AbortSignal.timeout(30_000))).toBeGreaterThanOrEqual(3)
    expect(await present('users_count', '', tenant.api_key)).toMatchObject({ kind: 'gauge', today: 5, period: 5 })
    const before = Number((await present('storage_bytes', '', tenant.api_key))?.today)
    expect(before).toBeGreaterThan(0)
    expect(await measureTenants(AbortSignal.timeout(30_000))).toBe(0)
    await asSystem(tenant, () =>
      tenantQuery(
        `insert into customers (id, external_id, metadata) select app.uuid_v7(), 'c' || n, jsonb_build_object('text', repeat(md5(n::text), 10))
         from generate_series(1, 500) n`,
      ),
    )
    await asSuperuser(`update tenant_metrics set updated_at = now() - interval '2 hours' where tenant_id = $1`, [
      tenant.id,
    ])
    expect(await measureTenants(AbortSignal.timeout(30_000))).toBe(1)
    const after = Number((await present('storage_bytes', '', tenant.api_key))?.today)
    // 500 rows of more than 400 bytes, and their entries in the audit log.
    expect(after - before).toBeGreaterThan(500 * 300)
    expect(after - before).toBeLessThan(500 * 3_000)
  })

  test('e-mails that went out', async () => {
    await asSystem(acme, () =>
      queueMail({ to: 'someone@example.test', template: 'notice', data: { subject: 'One', paragraphs: ['Two'] } }),
    )
    const worker = startOutboxWorker({ sinks: [mailSink], pollMs: 50 })
    try {
      for (let waited = 0; (await present('communications', 'email')) === undefined && waited < 10_000; waited += 100)
        await sleep(100)
    } finally {
      await worker.stop()
    }
    expect(await present('communications', 'email')).toMatchObject({ today: 1 })
  })
})

describe('series', () => {
  let steady: TestTenant
  beforeAll(async () => {
    steady = await createTenant('steady')
    await plant(
      steady,
      'transactions',
      Array.from({ length: 59 }, (_, index) => [dayBefore(index + 1), 100 - index]),
    )
    await plant(steady, 'users_count', [
      [dayBefore(40), 3],
      [dayBefore(5), 8],
    ])
  })

  test('no day is left out: sums are 0, gauges go on', async () => {
    const { body } = await days('?timeRange=7d&metric=users_count', steady.api_key)
    expect(body.data.map(({ value }: Row) => value)).toEqual([3, 8, 8, 8, 8, 8, 8])
    const month = await days(`?from=${dayBefore(1)}&to=${today}&metric=transactions`, steady.api_key)
    expect(month.body.data.map(({ value }: Row) => value)).toEqual([100, 0])
  })

  test.each(['from=0001-01-01', 'from=1899-12-31'])(
    'a range before calendars can be counted on is refused by its name: %s',
    async (query) => {
      expect((await trends(`?${query}`)).body).toMatchObject({
        status: 422,
        errors: [{ pointer: '/from', detail: 'must lie between 1900-01-01 and 9000-01-01' }],
      })
    },
  )

  test('trends compare with the range before and follow the line', async () => {
    const { body } = await trends('?timeRange=30d&metric=transactions', steady.api_key)
    const sum = (from: number, to: number) => {
      let total = 0
      for (let back = from; back <= to; back += 1) total += 101 - back
      return total
    }
    // 29 days before today and today itself; before it thirty more.
    expect(body.data).toMatchObject([
      { metric: 'transactions', current: sum(1, 29), previous: sum(30, 59), last_year: 0, slope_per_day: 1 },
    ])
    expect(body.data[0].change_percent).toBeCloseTo((sum(1, 29) / sum(30, 59) - 1) * 100, 1)
    expect(body.previous).toEqual({ from: dayBefore(59), to: dayBefore(29) })
    expect(body.data[0].forecast.value).toBeGreaterThan(0)
    const gauge = await trends('?timeRange=30d&metric=users_count', steady.api_key)
    expect(gauge.body.data).toMatchObject([{ kind: 'gauge', current: 8, previous: 3, change_percent: 166.7 }])
  })
})
