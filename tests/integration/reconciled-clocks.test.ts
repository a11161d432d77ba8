// What time does to balances, and the metrics of a tenant: spoilt row by row, a run names the row, and its repair sets it right. What is
// not spoilt is never named.
import { beforeAll, describe, expect, test } from 'vitest'
import { POST as metricRoute } from '@/app/api/v1/metrics/route'
import { POST as trackRoute } from '@/app/api/v1/usage/track/route'
import { tenantQuery } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'
import { noteMetric } from '@/libs/metering/note-metric'
import { asSuperuser, asSystem, call, createTenant, createWorld, type TestTenant } from '../support/world'

await createWorld()
const ZONE = 'Europe/Berlin'
let tenant: TestTenant

const post = async (handler: Parameters<typeof call>[0], body: unknown) => {
  const answer = await call(handler, 'POST', '/x', { as: tenant.api_key, body })
  expect([answer.status < 300, answer.body.errors]).toEqual([true, undefined])
}
type Found = {
  table_name: string
  row_key: Record<string, string>
  stored: Record<string, string> | null
  expected: Record<string, string> | null
}
/** Does a run, and gives what it named. */
async function run(): Promise<{ id: string; found: Found[] }> {
  const id = newId()
  const found = await asSystem(tenant, async () => {
    await tenantQuery("insert into reconciliations (id, requested_by) values ($1, 'person')", [id])
    await tenantQuery('select app.reconcile_usage($1, $2, $3)', [tenant.id, ZONE, id])
    return tenantQuery<Found>(
      'select table_name, row_key, stored, expected from reconciliation_drifts where reconciliation_id = $1 order by position',
      [id],
    )
  })
  return { id, found }
}
const repair = async (id: string): Promise<number> => {
  const [row] = await asSystem(tenant, () =>
    tenantQuery<{ repaired: number }>('select (app.repair_reconciliation($1, $2, $3)).repaired::int as repaired', [
      tenant.id,
      ZONE,
      id,
    ]),
  )
  return row?.repaired ?? -1
}

beforeAll(async () => {
  tenant = await createTenant('clocks', { time_zone: ZONE })
  await asSystem(tenant, async () => {
    await tenantQuery("insert into meters (id, slug, name, individual) values ($1, 'sum', 'Sum', true)", [newId()])
    for (const [name, period, rollover] of [
      ['daily', 'day', 5],
      ['monthly', 'month', 0],
    ]) {
      const id = newId()
      await tenantQuery('insert into customers (id, external_id) values ($1, $2)', [id, name])
      await tenantQuery(
        `insert into entitlements (id, customer_id, kind, feature_key, meter_id, cap_limit, behaviour, period, rollover_max)
         select $1, $2, 'metered', 'sum', m.id, 10, 'overflow', $3, $4 from meters m where m.slug = 'sum'`,
        [newId(), id, period, rollover],
      )
      await tenantQuery(
        `select app.add_grant($1, $2, clock_timestamp(), $3, $4, m.id, 7, 1, null, null, 'day', 0, 100, null) from meters m where m.slug = 'sum'`,
        [tenant.id, ZONE, newId(), id],
      )
    }
  })
  for (const user_id of ['daily', 'monthly'])
    await post(trackRoute, [
      { meter_id: 'sum', user_id, event_value: 4 },
      { meter_id: 'sum', user_id, event_value: 9 },
    ])
  await post(metricRoute, { metric: 'transactions', value: 3, event_id: 'one' })
  await post(metricRoute, { metric: 'transactions', value: '2.5' })
  await post(metricRoute, { metric: 'transactions', value: 3, event_id: 'one' })
  await post(metricRoute, {
    metric: 'transactions',
    value: 4,
    event_id: 'two',
    occurred_at: new Date(Date.now() - 9 * 86_400_000).toISOString(),
  })
  await post(metricRoute, { metric: 'revenue', value: 100, currency: 'EUR', event_id: 'three' })
  await asSystem(tenant, () => noteMetric({ id: tenant.id, time_zone: ZONE }, 'communications', 'email', 1))
})

test('nothing spoilt, nothing found', async () => {
  expect((await run()).found).toEqual([])
})

const standing = () =>
  asSystem(tenant, () =>
    tenantQuery(
      `select c.external_id, p.used::text, p.balance::text, p.overage::text, p.granted::text, p.starts_on::text, p.resets_at
       from balances b join customers c on c.tenant_id = b.tenant_id and c.id = b.customer_id
       cross join lateral app.peek_balance(b.tenant_id, b.customer_id, b.meter_id, clock_timestamp(), $2) p
       where b.tenant_id = $1 order by 1`,
      [tenant.id, ZONE],
    ),
  )

describe.each(['daily', 'monthly'])('of the %s balance', (customer) => {
  test.each([
    ['as_of', "as_of + interval '1 year'"],
    ['as_of', "as_of + interval '2 hours'"],
    ['as_of', "as_of - interval '1 day 1 hour'"],
    ['as_of', "as_of - interval '2 months'"],
    ['resets_at', "resets_at + interval '1 hour'"],
    ['resets_at', "resets_at - interval '1 microsecond'"],
    ['resets_at', "'infinity'"],
  ])('%s = %s', async (column, value) => {
    const before = await standing()
    await asSuperuser(
      `update balances b set ${column} = ${value} from customers c
       where b.tenant_id = $1 and c.tenant_id = $1 and c.id = b.customer_id and c.external_id = $2`,
      [tenant.id, customer],
    )
    const { id, found } = await run()
    expect(found).toMatchObject([{ table_name: 'balances', row_key: { customer, meter: 'sum' } }])
    expect(found[0]?.stored?.[column]).not.toEqual(found[0]?.expected?.[column])
    expect(await repair(id)).toBe(1)
    expect((await run()).found).toEqual([])
    expect(await standing()).toEqual(before)
  })
})

test('a grant that was due by then', async () => {
  const spoil = async (issues: number, remaining: string) => {
    const [was] = await asSuperuser<{ issues: number; remaining: string }>(
      `with was as (select g.id, g.issues, g.remaining::text from grants g join customers c on c.tenant_id = $1 and c.id = g.customer_id
         where g.tenant_id = $1 and c.external_id = 'daily'),
       now as (update grants g set issues = $2, remaining = $3 from was where g.tenant_id = $1 and g.id = was.id)
       select issues, remaining from was`,
      [tenant.id, issues, remaining],
    )
    return was
  }
  const was = await spoil(0, '0')
  const clocks = await asSystem(tenant, () =>
    tenantQuery<Found>('select * from app.find_clock_drift($1, $2, null)', [tenant.id, ZONE]),
  )
  expect(clocks).toMatchObject([{ table_name: 'balances', row_key: { customer: 'daily' } }])
  await spoil(was?.issues ?? 0, was?.remaining ?? '')
  expect((await run()).found).toEqual([])
})

describe('of the metrics', () => {
  test.each([
    ['transactions', '', 'value = value + 1', 'day > current_date - 3'],
    ['transactions', '', 'value = value - 1', 'day < current_date - 3'],
    ['revenue', 'EUR', 'value = 0', 'true'],
    ['communications', 'email', 'value = 2', 'true'],
    ['transactions', '', 'noted = noted + 1', 'day > current_date - 3'],
  ])('%s %s: %s where %s', async (metric, label, change, where) => {
    // The other metrics grow by themselves: what the calls above were is noted up to a second after them.
    const kept = () =>
      asSuperuser('select label, day, value from tenant_metrics where tenant_id = $1 and metric = $2 order by 1, 2', [
        tenant.id,
        metric,
      ])
    const before = await kept()
    await asSuperuser(
      `update tenant_metrics set ${change} where tenant_id = $1 and metric = $2 and label = $3 and ${where}`,
      [tenant.id, metric, label],
    )
    const { id, found } = await run()
    expect(found).toMatchObject([{ table_name: 'tenant_metrics', row_key: { metric, label } }])
    if (change.startsWith('noted')) {
      await asSuperuser(
        'update tenant_metrics set noted = noted - 1 where tenant_id = $1 and metric = $2 and noted > 2.5',
        [tenant.id, metric],
      )
    } else expect(await repair(id)).toBe(1)
    expect((await run()).found).toEqual([])
    expect(await kept()).toEqual(before)
  })

  test('a row that is missing', async () => {
    await asSuperuser("delete from tenant_metrics where tenant_id = $1 and metric = 'revenue'", [tenant.id])
    const { id, found } = await run()
    expect(found).toMatchObject([{ table_name: 'tenant_metrics', stored: null, expected: { value: '100' } }])
    expect(await repair(id)).toBe(1)
    expect((await run()).found).toEqual([])
  })
})

test('another time zone moves the end of the period, once the totals are made anew', async () => {
  await asSystem(tenant, () => tenantQuery("select app.recount_usage($1, 'Pacific/Auckland')", [tenant.id]))
  const found = await asSystem(tenant, () =>
    tenantQuery("select * from app.find_clock_drift($1, 'Pacific/Auckland', null)", [tenant.id]),
  )
  expect(found).toEqual([])
})
