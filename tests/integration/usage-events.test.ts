// Events as they came in: found by what is known of them, with what became of each.
import { beforeAll, describe, expect, test } from 'vitest'
import { POST as correctRoute } from '@/app/api/v1/usage/correct/route'
import { GET as oneRoute } from '@/app/api/v1/usage/events/[id]/route'
import { GET as listRoute } from '@/app/api/v1/usage/events/route'
import { GET as countsRoute } from '@/app/api/v1/usage/rejections/counts/route'
import { POST as trackRoute } from '@/app/api/v1/usage/track/route'
import { tenantQuery } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'
import { writePast } from '../support/usage-history'
import { asSuperuser, asSystem, call, createTenant, createWorld } from '../support/world'

const { acme, globex } = await createWorld()
const as = acme.api_key
const list = (query: string, key = as) => call(listRoute, 'GET', `/api/v1/usage/events${query}`, { as: key })
const one = (id: string, key = as) => call(oneRoute, 'GET', `/api/v1/usage/events/${id}`, { as: key, params: { id } })
const values = (rows: { value: number; state: string }[]) => rows.map(({ value, state }) => `${value} ${state}`)

beforeAll(async () => {
  await asSystem(acme, () =>
    tenantQuery(
      `insert into meters (id, slug, name, unit, aggregation, filter, group_by)
       values ($1, 'sum', 'Sum', '', 'SUM', '{"property": "region", "operator": "eq", "value": "eu"}', '{region}')`,
      [newId()],
    ),
  )
  const event = (event_id: string, event_value: number, region: string, more: object = {}) => ({
    meter_id: 'sum',
    user_id: 'ann',
    event_id,
    event_value,
    properties: { region },
    ...more,
  })
  await call(trackRoute, 'POST', '/api/v1/usage/track', {
    as,
    body: [
      event('a', 1, 'eu'),
      event('a', 2, 'eu', { source: 'till' }),
      event('b', 3, 'us'),
      { meter_id: 'none', user_id: 'ann' },
    ],
  })
  await call(correctRoute, 'POST', '/api/v1/usage/correct', {
    as,
    body: { action: 'amend', event_id: 'a', event_value: 5 },
  })
})

describe('the list', () => {
  test('by id, with its corrections; with the source, the one of that source', async () => {
    expect(values((await list('?event_id=a')).body.data).sort()).toEqual(['1 corrected', '1 correction', '5 counted'])
    expect(values((await list('?event_id=a&source=till')).body.data)).toEqual(['2 counted'])
    expect((await list('?event_id=a&source=else')).body.data).toEqual([])
    expect((await list('?event_id=none')).body.data).toEqual([])
  })
  test.each([
    ['counted', ['2 counted', '5 counted']],
    ['filtered', ['3 filtered']],
    ['corrected', ['1 corrected']],
    ['correction', ['1 correction']],
  ])('by state: %s', async (state, expected) => {
    expect(values((await list(`?state=${state}&customer=ann&time_range=7d`)).body.data).sort()).toEqual(expected)
  })
  test('what is wrong is said', async () => {
    expect((await list('?state=lost')).status).toBe(422)
    expect((await list('?customer=nobody')).status).toBe(404)
    expect((await list('?event_id=a', globex.api_key)).body.data).toEqual([])
    expect((await list('?to=2020-01-01')).body.errors).toMatchObject([{ pointer: '/from' }])
  })
  test('of a customer, also what came long before anything of it counted', async () => {
    const tenant = await createTenant('long-ago')
    await asSystem(tenant, () =>
      tenantQuery("insert into meters (id, slug, name, unit, aggregation) values ($1, 'sum', 'Sum', '', 'SUM')", [
        newId(),
      ]),
    )
    const occurred = new Date(Date.now() - 80 * 86_400_000).toISOString()
    const customer = tenant.customer.external_id
    await asSuperuser('update customers set created_at = $2 where tenant_id = $1', [tenant.id, occurred])
    await writePast(tenant, 'UTC', [
      { name: 'filtered', meter: 'sum', customer, occurred, weight: 0 },
      { name: 'counted', meter: 'sum', customer, occurred: new Date().toISOString() },
    ])
    expect(values((await list(`?customer=${customer}`, tenant.api_key)).body.data)).toEqual(['1 counted', '1 filtered'])
  })
  test.each(['SUM', 'COUNT', 'MIN', 'MAX', 'AVG', 'LATEST', 'WEIGHTED_SUM', 'UNIQUE_COUNT'])(
    'of a customer whose only event is of %s, or earlier than the customer',
    async (aggregation) => {
      const slug = aggregation.toLowerCase().replace('_', '-')
      await asSystem(globex, () =>
        tenantQuery(
          `insert into meters (id, slug, name, unit, aggregation, value_property)
           values ($1, $2, $2, '', $3, case $3 when 'UNIQUE_COUNT' then 'who' end)`,
          [newId(), slug, aggregation],
        ),
      )
      const day = 86_400_000
      for (const [user_id, age] of [
        [`now-${slug}`, 0],
        [`late-${slug}`, 20 * day],
      ] as const) {
        const timestamp = new Date(Date.now() - age).toISOString()
        const body = { meter_id: slug, user_id, timestamp, properties: { who: 'ann' } }
        expect(await call(trackRoute, 'POST', '/api/v1/usage/track', { as: globex.api_key, body })).toMatchObject({
          body: { inserted: 1 },
        })
        expect((await list(`?customer=${user_id}`, globex.api_key)).body.data).toMatchObject([{ state: 'counted' }])
      }
    },
  )
  test('of a customer whose months begin on another day, also when all of it was taken back before', async () => {
    const tenant = await createTenant('other-days')
    await asSystem(tenant, () =>
      tenantQuery("insert into meters (id, slug, name, unit, aggregation) values ($1, 'sum', 'Sum', '', 'SUM')", [
        newId(),
      ]),
    )
    const customer = tenant.customer.external_id
    const of = () => list(`?customer=${customer}`, tenant.api_key)
    expect((await of()).body.data).toEqual([])
    const now = new Date().toISOString()
    await writePast(
      tenant,
      'UTC',
      [{ name: 'taken back', meter: 'sum', customer, occurred: now }],
      [{ name: 'taken back', received: now }],
    )
    expect(values((await of()).body.data).sort()).toEqual(['1 corrected', '1 correction'])
    await writePast(tenant, 'UTC', [{ name: 'stays', meter: 'sum', customer, value: 2, occurred: now }])
    const [tier] = await asSuperuser<{ id: string }>(
      `insert into tiers (tenant_id, id, slug, name) values ($1, $2, 'pro', 'Pro') returning id`,
      [tenant.id, newId()],
    )
    await asSystem(tenant, async () => {
      await tenantQuery(`insert into subscriptions (id, customer_id, tier_id, anchor_day) values ($1, $2, $3, 31)`, [
        newId(),
        tenant.customer.id,
        tier?.id,
      ])
      await tenantQuery('select app.rebuild_customer_counters($1, $2, 31)', [tenant.id, tenant.customer.id])
    })
    expect(values((await of()).body.data).sort()).toEqual(['1 corrected', '1 correction', '2 counted'])
  })
})

test('one event, what it is part of, and its history', async () => {
  const [standing] = (await list('?state=counted&event_id=a')).body.data
  const { body } = await one(standing.id)
  expect(body).toMatchObject({ event: { value: 5, state: 'counted' }, aggregation: 'SUM', amount: 5 })
  expect(values(body.chain)).toEqual(['1 corrected', '1 correction', '5 counted'])
  expect(body.moved).toMatchObject([
    { scope: 'customer_day', used: 7, events: 2 },
    { scope: 'customer_period', used: 7 },
    { scope: 'day', used: 7 },
    { scope: 'quarter', used: 7 },
    { scope: 'group', used: 7, group: { region: 'eu' } },
  ])
  const [filtered] = (await list('?event_id=b')).body.data
  expect((await one(filtered.id)).body.moved).toEqual([])
  expect((await one(standing.id, globex.api_key)).status).toBe(404)
  expect((await one('x')).status).toBe(404)
})

test('refusals are counted by reason', async () => {
  const { body } = await call(countsRoute, 'GET', '/api/v1/usage/rejections/counts', { as })
  expect(body.data).toMatchObject([{ code: 'unknown_meter', count: 1 }])
})
