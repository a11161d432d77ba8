// Everything that follows from something else, spoilt column by column: reconciliation names the very row, and repairs what may be
// repaired. What is not spoilt is never named.
import { beforeAll, describe, expect, test } from 'vitest'
import { POST as closeRoute } from '@/app/api/v1/billing-periods/route'
import { POST as correctRoute } from '@/app/api/v1/usage/correct/route'
import { POST as reserveRoute } from '@/app/api/v1/usage/reserve/route'
import { POST as settleRoute } from '@/app/api/v1/usage/settle/route'
import { POST as trackRoute } from '@/app/api/v1/usage/track/route'
import { tenantQuery } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'
import { insertMeters } from '../support/meters'
import { asSuperuser, asSystem, call, createTenant, createWorld, type TestTenant } from '../support/world'

await createWorld()
const DAY = 86_400_000
const METERS = [
  { slug: 'sum', aggregation: 'SUM', group_by: ['region'] },
  { slug: 'count', aggregation: 'COUNT' },
  { slug: 'unique', aggregation: 'UNIQUE_COUNT', value_property: 'device' },
  { slug: 'min', aggregation: 'MIN', group_by: ['region'] },
  { slug: 'max', aggregation: 'MAX' },
  { slug: 'avg', aggregation: 'AVG' },
  { slug: 'latest', aggregation: 'LATEST', group_by: ['region'] },
  { slug: 'level', aggregation: 'WEIGHTED_SUM', group_by: ['region'] },
]
let tenant: TestTenant

async function post(handler: Parameters<typeof call>[0], body: unknown) {
  const answer = await call(handler, 'POST', '/x', { as: tenant.api_key, body })
  expect([answer.status < 300, answer.body.rejected ?? []]).toEqual([true, []])
  return answer.body
}
type Found = {
  table_name: string
  row_key: Record<string, string>
  stored: Record<string, unknown> | null
  expected: Record<string, unknown> | null
}
const look = (): Promise<Found[]> =>
  asSystem(tenant, () =>
    tenantQuery<Found>(
      "select table_name, row_key, stored, expected from app.find_usage_drift($1, 'UTC', null, null) where table_name is not null",
      [tenant.id],
    ),
  )
const repair = async (): Promise<number> => {
  const [row] = await asSystem(tenant, () =>
    tenantQuery<{ count: number }>("select app.repair_usage($1, 'UTC', null, null)::int as count", [tenant.id]),
  )
  return row?.count ?? -1
}

beforeAll(async () => {
  tenant = await createTenant('planted')
  await asSystem(tenant, () => insertMeters(METERS))
  await post(
    trackRoute,
    METERS.flatMap(({ slug: meter_id }) =>
      [3, 8, 5, 8].map((event_value, index) => ({
        meter_id,
        user_id: `user-${index % 2}`,
        event_value,
        event_id: `${meter_id}-${index}`,
        timestamp: Date.now() - index * 9 * DAY,
        properties: { region: ['eu', 'us'][index % 2], device: `d${index}` },
      })),
    ),
  )
  await post(correctRoute, { action: 'cancel', event_id: 'max-1' })
  await post(correctRoute, { action: 'amend', event_id: 'sum-2', event_value: 6 })
  await asSystem(tenant, () =>
    tenantQuery(
      `select app.add_grant($1, 'UTC', now(), $2, c.id, m.id, 10, 1, now(), null, null, 0, 0, null)
       from customers c, meters m where c.tenant_id = $1 and m.tenant_id = $1 and c.external_id = 'user-0' and m.slug = 'sum'`,
      [tenant.id, newId()],
    ),
  )
  for (const [meter_id, amount, settled] of [
    ['sum', 4, 3],
    ['count', 5, 2],
    ['sum', 1, 0],
    ['sum', 2, null],
  ] as const) {
    const { reservation } = await post(reserveRoute, { meter_id, user_id: 'user-0', amount })
    if (settled !== null) await post(settleRoute, { reservation_id: reservation.id, amount: settled })
  }
  await post(closeRoute, { ends_at: new Date(Date.now() - 1).toISOString() })
  await post(trackRoute, { meter_id: 'sum', user_id: 'user-0', event_value: '1.25' })
})

/** What grants and reservations hold: a repair of one column brings back what was there. */
const holdings = () =>
  asSuperuser(
    `select 'grant' as of, x.remaining, null::numeric as settled, null as status from grants x where x.tenant_id = $1
     union all select 'reservation', null, x.settled, x.status from reservations x where x.tenant_id = $1 and x.closed_at is not null
     order by 1, 2, 3, 4`,
    [tenant.id],
  )

test('nothing spoilt, nothing found', async () => {
  expect(await look()).toEqual([])
})

/** One row of a table, spoilt in one column; `where` chooses among rows, `meter` by the aggregation. */
const plants: [table: string, column: string, value: string, where: string][] = [
  ...(['day', 'month'] as const).flatMap((period): [string, string, string, string][] => [
    ...METERS.map(({ slug }): [string, string, string, string] => [
      'usage_counters',
      'used',
      'used + 0.5',
      `x.period = '${period}' and x.events > 0 and m.slug = '${slug}'`,
    ]),
    ['usage_counters', 'events', 'x.events + 1', `x.period = '${period}' and m.slug = 'avg'`],
    ['usage_counters', 'moment', 'x.moment + 0.001', `x.period = '${period}' and m.slug = 'level'`],
    [
      'usage_counters',
      'last_at',
      "x.last_at - interval '1 microsecond'",
      `x.period = '${period}' and m.slug = 'latest'`,
    ],
    [
      'usage_counters',
      'last_received_at',
      "x.last_received_at - interval '1 s'",
      `x.period = '${period}' and m.slug = 'latest'`,
    ],
  ]),
  ...['usage_totals', 'usage_quarters'].flatMap((table): [string, string, string, string][] => [
    ...METERS.filter(({ slug }) => slug !== 'unique' || table === 'usage_totals').map(
      ({ slug }): [string, string, string, string] => [
        table,
        'used',
        'used - 1',
        `m.slug = '${slug}' and x.events > 0`,
      ],
    ),
    [table, 'events', 'x.events + 1', `m.slug = 'count'`],
    [table, 'moment', 'x.moment + 1', `m.slug = 'level'`],
    [table, 'last_at', "x.last_at + interval '1 s'", `m.slug = 'latest'`],
    [table, 'last_received_at', "x.last_received_at + interval '1 s'", `m.slug = 'latest'`],
  ]),
  ...['usage_groups', 'usage_group_totals'].flatMap((table): [string, string, string, string][] => [
    ...['sum', 'min', 'latest', 'level'].map((slug): [string, string, string, string] => [
      table,
      'used',
      'used + 2',
      `m.slug = '${slug}'`,
    ]),
    [table, 'events', 'x.events + 2', `m.slug = 'min'`],
    [table, 'moment', 'x.moment + 2', `m.slug = 'level'`],
    [table, 'last_at', "x.last_at + interval '1 s'", `m.slug = 'latest'`],
    [table, 'last_received_at', "x.last_received_at + interval '1 s'", `m.slug = 'latest'`],
    [table, 'group_values', `'{"region": "mars"}'`, `m.slug = 'sum'`],
  ]),
  ...['day', 'month', 'total'].map((period): [string, string, string, string] => [
    'usage_uniques',
    'events',
    'x.events + 1',
    `x.period = '${period}'`,
  ]),
  ['balances', 'used', 'x.used + 1', 'true'],
  ['balances', 'allowance_left', 'x.allowance_left + 1', 'true'],
  ['balances', 'granted', 'x.granted + 1', 'true'],
  ['balances', 'overage', 'x.overage + 1', 'true'],
  ['balances', 'allowance', 'x.allowance + 1', 'true'],
  ['balances', 'opening', 'x.opening + 1', 'true'],
  ['balances', 'starts_on', 'x.starts_on - 1', 'true'],
  ['balances', 'carried', 'x.carried + 1', 'true'],
  ['grants', 'remaining', 'x.opening + 1', 'true'],
  ['reservations', 'settled', 'x.settled + 1', "x.settled > 0 and m.slug = 'sum'"],
  ['reservations', 'settled', 'x.settled + 1', "m.slug = 'count'"],
  ['reservations', 'status', "'released'", "x.settled > 0 and m.slug = 'sum'"],
  ['reservations', 'status', "'settled'", "x.status = 'held'"],
  ['meters', 'individual', 'false', "m.slug = 'sum'"],
]

describe('spoilt', () => {
  test.each(plants)('%s.%s = %s where %s', async (table, column, value, where) => {
    const before = await holdings()
    const [changed] = await asSuperuser<{ count: number }>(
      table === 'meters'
        ? `with w as (update meters m set ${column} = ${value} where m.tenant_id = $1 and ${where} returning 1) select count(*)::int from w`
        : `with one as (select x.ctid, x.tableoid from ${table} x join meters m on m.tenant_id = x.tenant_id and m.id = x.meter_id
             where x.tenant_id = $1 and ${where} order by x.ctid limit 1),
           w as (update ${table} x set ${column} = ${value} from one where x.ctid = one.ctid and x.tableoid = one.tableoid returning 1)
           select count(*)::int from w`,
      [tenant.id],
    )
    expect(changed?.count).toBe(1)
    const found = await look()
    // A grant that holds too much throws its balance out as well.
    expect(found.map(({ table_name }) => table_name)).toEqual(table === 'grants' ? ['balances', 'grants'] : [table])
    const row = found.at(-1)
    expect(row?.row_key.meter).toEqual(expect.any(String))
    expect(row?.stored).not.toEqual(row?.expected)
    expect(await repair()).toBe(found.length)
    expect(await look()).toEqual([])
    expect(await holdings()).toEqual(before)
  })

  test.each([
    'usage_counters',
    'usage_totals',
    'usage_quarters',
    'usage_groups',
    'usage_group_totals',
    'usage_uniques',
  ])('a row of %s that is missing, and one that should not be', async (table) => {
    const [gone] = await asSuperuser<{ row: Record<string, unknown> }>(
      `delete from ${table} x where x.ctid = (select y.ctid from ${table} y where y.tenant_id = $1 and y.events > 0 order by y.ctid limit 1)
           and x.tenant_id = $1 returning to_jsonb(x) as row`,
      [tenant.id],
    )
    expect(gone).toBeDefined()
    expect(await look()).toMatchObject([{ table_name: table, stored: null }])
    expect(await repair()).toBe(1)
    expect(await look()).toEqual([])
    const day =
      table === 'usage_quarters'
        ? "x.quarter - interval '3 years'"
        : table.match(/totals|groups/)
          ? 'x.day - 1000'
          : 'x.starts_on - 1000'
    const name = table === 'usage_quarters' ? 'quarter' : table.match(/totals|groups/) ? 'day' : 'starts_on'
    await asSuperuser(
      `insert into ${table} select (jsonb_populate_record(x, jsonb_build_object('${name}', ${day}))).* from ${table} x
         where x.tenant_id = $1 and x.events > 0 order by x.ctid limit 1`,
      [tenant.id],
    )
    expect(await look()).toMatchObject([{ table_name: table, expected: null }])
    expect(await repair()).toBe(1)
    expect(await look()).toEqual([])
  })

  test('a closed period: shown, never changed', async () => {
    const spoil = async (sql: string) => {
      await asSuperuser(`alter table billing_lines disable trigger user`)
      await asSuperuser(`alter table billing_periods disable trigger user`)
      await asSuperuser(sql, [tenant.id])
    }
    const line = `(x.customer_id, x.meter_id, x.starts_on) = (select y.customer_id, y.meter_id, y.starts_on from billing_lines y
      where y.tenant_id = $1 and y.meter = 'sum' order by 1, 2, 3 limit 1)`
    await spoil(`update billing_lines x set quantity = x.quantity + 1 where x.tenant_id = $1 and ${line}`)
    expect(await look()).toMatchObject([{ table_name: 'billing_lines', row_key: { meter: 'sum' } }])
    expect(await repair()).toBe(0)
    await spoil(`update billing_lines x set quantity = x.quantity - 1 where x.tenant_id = $1 and ${line}`)
    for (const column of ['lines', 'events', 'adjustments']) {
      await spoil(`update billing_periods x set ${column} = x.${column} + 1 where x.tenant_id = $1`)
      const found = await look()
      expect(found).toMatchObject([{ table_name: 'billing_periods', row_key: { id: expect.any(String) } }])
      expect(found[0]?.stored?.[column]).not.toEqual(found[0]?.expected?.[column])
      await spoil(`update billing_periods x set ${column} = x.${column} - 1 where x.tenant_id = $1`)
    }
    // An event that slipped into a closed period behind its back.
    await asSuperuser(
      `update usage_events set received_at = received_at - interval '1 hour' where tenant_id = $1 and value = 1.25 and source is null`,
      [tenant.id],
    )
    expect(await look()).toMatchObject([{ table_name: 'billing_lines', row_key: { meter: 'sum', customer: 'user-0' } }])
  })
})
