// A meter says what is counted and how; neither its name nor its way of counting changes once events refer to it.
import { describe, expect, test } from 'vitest'
import { DELETE, GET as getMeter, PATCH } from '@/app/api/v1/meters/[id]/route'
import { GET as listMeters, POST } from '@/app/api/v1/meters/route'
import { POST as trackRoute } from '@/app/api/v1/usage/track/route'
import { asSuperuser, call, createApiKey, createWorld, type RequestOptions } from '../support/world'

const { acme, globex, stranger } = await createWorld()
const admin = { as: acme.users.admin, tenant: acme }
const create = (body: unknown, options: RequestOptions = admin) =>
  call(POST, 'POST', '/api/v1/meters', { ...options, body })
const one = (id: string, options: RequestOptions = admin) =>
  call(getMeter, 'GET', `/api/v1/meters/${id}`, { ...options, params: { id } })
const change = (id: string, body: unknown, options: RequestOptions = admin) =>
  call(PATCH, 'PATCH', `/api/v1/meters/${id}`, { ...options, body, params: { id } })
const archive = (id: string, options: RequestOptions = admin) =>
  call(DELETE, 'DELETE', `/api/v1/meters/${id}`, { ...options, params: { id } })
const list = (query = '', options: RequestOptions = admin) => call(listMeters, 'GET', `/api/v1/meters${query}`, options)
const slugs = (rows: { slug: string }[]) => rows.map(({ slug }) => slug)

describe('who may', () => {
  test.each([
    ['nobody', { tenant: acme }, 401],
    ['a stranger', { as: stranger, tenant: acme }, 404],
    ['a member of another tenant', { as: globex.users.owner, tenant: acme }, 404],
    ['a customer', { as: acme.users.customer, tenant: acme }, 403],
    ['a compliance officer', { as: acme.users.compliance, tenant: acme }, 403],
  ] as [string, RequestOptions, number][])('%s: %s', async (_who, options, status) => {
    expect((await list('', options)).status).toBe(status)
    expect((await create({ name: 'X' }, options)).status).toBe(status)
    expect((await one('api_calls', options)).status).toBe(status)
    expect((await change('api_calls', { name: 'X' }, options)).status).toBe(status)
    expect((await archive('api_calls', options)).status).toBe(status)
  })
  test('a member reads and does not write', async () => {
    const member = { as: acme.users.member, tenant: acme }
    expect((await list('', member)).status).toBe(200)
    expect((await create({ name: 'X' }, member)).status).toBe(403)
  })
})

describe('create', () => {
  test.each([
    [{}, '/name'],
    [{ name: '' }, '/name'],
    [{ name: 'X', slug: 'Not A Slug' }, '/slug'],
    [{ name: 'X', slug: '0198c0de-0000-7000-8000-000000000001' }, '/slug'],
    [{ name: 'X', aggregation: 'MEDIAN' }, '/aggregation'],
    [{ name: 'X', unit: 'x'.repeat(33) }, '/unit'],
    [{ name: 'X', color: 'red' }, '/color'],
    [{ name: '…' }, '/slug'],
    [{ name: 'X', aggregation: 'UNIQUE_COUNT' }, '/value_property'],
    [{ name: 'X', aggregation: 'COUNT', value_property: 'size' }, '/value_property'],
    [{ name: 'X', group_by: ['a', 'b', 'c', 'd', 'e', 'f'] }, '/group_by'],
    [{ name: 'X', group_by: ['a', 'a'] }, '/group_by/1'],
    [{ name: 'X', group_by: ['a', 3] }, '/group_by/1'],
    [{ name: 'X', group_by: ['a', 'customer'] }, '/group_by/1'],
    [{ name: 'X', group_by: ['a,b'] }, '/group_by/0'],
    [{ name: 'X', event_type: '' }, '/event_type'],
    [{ name: 'X', filter: 'all' }, '/filter'],
    [{ name: 'X', filter: { operator: 'eq', value: 1 } }, '/filter/property'],
    [{ name: 'X', filter: { property: 'a', operator: 'is', value: 1 } }, '/filter/operator'],
    [{ name: 'X', filter: { property: 'a', operator: 'in', value: 1 } }, '/filter/value'],
    [{ name: 'X', filter: { property: 'a', operator: 'in', value: ['x', {}] } }, '/filter/value/1'],
    [{ name: 'X', filter: { property: 'a', operator: 'like', value: 1 } }, '/filter/value'],
    [{ name: 'X', filter: { property: 'a', operator: 'gt', value: true } }, '/filter/value'],
    [{ name: 'X', filter: { property: 'a', operator: 'eq', value: 1, also: 2 } }, '/filter/also'],
    [{ name: 'X', filter: { and: [] } }, '/filter/and'],
    [{ name: 'X', filter: { and: [{ property: 'a', operator: 'eq', value: 1 }], or: [] } }, '/filter/or'],
    [
      { name: 'X', filter: { and: [{ or: [{ property: '', operator: 'eq', value: 1 }] }] } },
      '/filter/and/0/or/0/property',
    ],
    [{ name: 'X', filter: { and: Array(21).fill({ property: 'a', operator: 'eq', value: 1 }) } }, '/filter'],
    [{ name: 'X', filter: { and: [{ or: [{ and: [{ or: [] }] }] }] } }, '/filter/and/0/or/0/and/0/or'],
  ])('%j is invalid at %s', async (body, pointer) => {
    const answer = await create(body)
    expect(answer).toMatchObject({ status: 422, body: { code: 'invalid_input', errors: [{ pointer }] } })
  })
  test('with everything, and with a name alone', async () => {
    const full = await create({
      slug: 'api-calls',
      name: 'API calls',
      unit: 'calls',
      aggregation: 'count',
      description: 'All of them',
    })
    expect(full).toMatchObject({
      status: 201,
      body: { slug: 'api-calls', aggregation: 'COUNT', unit: 'calls', archived_at: null },
    })
    const short = await create({ name: 'Images rendered (HD)' })
    expect(short).toMatchObject({
      status: 201,
      body: { slug: 'images_rendered_hd', aggregation: 'SUM', allows_negative: false },
    })
  })
  test('says how it counts, as it was told', async () => {
    const body = {
      name: 'Active people',
      slug: 'active_people',
      aggregation: 'unique_count',
      value_property: 'person',
      group_by: ['region', 'plan'],
      filter: {
        and: [
          { property: 'kind', operator: 'in', value: ['click', 'view'] },
          {
            or: [
              { property: 'bot', operator: 'ne', value: true },
              { property: 'agent', operator: 'like', value: 'Mo%' },
            ],
          },
        ],
      },
      event_type: 'page.seen',
    }
    const { status, body: made } = await create(body)
    expect(status).toBe(201)
    expect(made).toMatchObject({ ...body, aggregation: 'UNIQUE_COUNT' })
    expect((await one('active_people')).body).toEqual(made)
    expect((await list('?q=active_people')).body.data).toEqual([made])
  })
  test.each(['SUM', 'COUNT', 'MIN', 'MAX', 'AVG', 'LATEST', 'WEIGHTED_SUM'])(
    '%s is a way of counting',
    async (aggregation) => {
      const { body } = await create({ name: `By ${aggregation}`, aggregation })
      expect(body).toMatchObject({ aggregation, value_property: null, group_by: [], filter: null, event_type: null })
    },
  )
  test('a slug is one meter; in another tenant it is free', async () => {
    expect((await create({ name: 'Again', slug: 'api-calls' })).status).toBe(409)
    expect((await create({ name: 'Theirs', slug: 'api-calls' }, { as: globex.api_key })).status).toBe(201)
  })
  test('is recorded with what it is', async () => {
    const { body } = await create({ name: 'Recorded' })
    const logged = await asSuperuser<{ action: string; after: { slug: string }; actor_id: string }>(
      'select action, after, actor_id from audit_logs l join audit_details d using (tenant_id, id) where tenant_id = $1 and target_id = $2',
      [acme.id, body.id],
    )
    expect(logged).toEqual([
      { action: 'meter.created', actor_id: acme.users.admin.id, after: expect.objectContaining({ slug: 'recorded' }) },
    ])
  })
})

describe('read', () => {
  test('by id or slug; not by those of another tenant', async () => {
    const { body } = await one('api-calls')
    expect((await one(body.id)).body).toEqual(body)
    const theirs = await one('api-calls', { as: globex.api_key })
    expect((await one(theirs.body.id)).status).toBe(404)
    expect((await one('nothing')).status).toBe(404)
  })
  test('the list is searched and comes in pages, archived ones apart', async () => {
    for (const slug of ['page_a', 'page_b', 'page_c']) await create({ name: slug, slug })
    await archive('page_b')
    const first = await list('?q=PAGE&limit=1')
    expect(slugs(first.body.data)).toEqual(['page_a'])
    const next = await list(`?q=PAGE&limit=1&cursor=${first.body.next_cursor}`)
    expect(slugs(next.body.data)).toEqual(['page_c'])
    expect(next.body.next_cursor).toBeNull()
    expect(slugs((await list('?archived=true')).body.data)).toEqual(['page_b'])
    expect(slugs((await list('?q=page&archived=all')).body.data)).toEqual(['page_a', 'page_b', 'page_c'])
    expect((await list('?q=%25')).body.data).toEqual([])
    expect((await list('?cursor=nonsense')).status).toBe(400)
    expect((await list('?limit=0')).status).toBe(422)
  })
})

describe('change', () => {
  test('what is for people changes, what counters rest on does not', async () => {
    const { body } = await create({ name: 'Before', slug: 'changing' })
    expect((await change('changing', { name: 'After', unit: 'pieces', allows_negative: true })).body).toMatchObject({
      id: body.id,
      slug: 'changing',
      name: 'After',
      unit: 'pieces',
      allows_negative: true,
    })
    for (const [field, value] of Object.entries({
      slug: 'other',
      aggregation: 'COUNT',
      value_property: 'size',
      group_by: ['region'],
      filter: null,
      event_type: 'other',
    }))
      expect(await change('changing', { [field]: value })).toMatchObject({
        status: 422,
        body: { errors: [{ pointer: `/${field}`, detail: expect.stringContaining('never changes') }] },
      })
    expect((await change('nothing', { name: 'X' })).status).toBe(404)
  })
  test('an archived meter refuses events until it is back', async () => {
    await create({ name: 'Resting', slug: 'resting' })
    const track = () =>
      call(trackRoute, 'POST', '/api/v1/usage/track', { as: acme.api_key, body: { meter_id: 'resting', user_id: 'u' } })
    expect((await track()).body.inserted).toBe(1)
    expect((await archive('resting')).body.archived_at).toEqual(expect.any(String))
    expect((await archive('resting')).status).toBe(200)
    expect((await track()).body.rejected).toEqual([expect.objectContaining({ code: 'meter_archived' })])
    expect((await change('resting', { archived: false })).body.archived_at).toBeNull()
    expect((await track()).body.inserted).toBe(1)
    const actions = await asSuperuser<{ action: string }>(
      "select action from audit_logs where tenant_id = $1 and action like 'meter.%' order by created_at desc limit 2",
      [acme.id],
    )
    expect(actions.map(({ action }) => action)).toEqual(['meter.restored', 'meter.archived'])
  })
})

test('a key needs the permission itself', async () => {
  const { key } = await createApiKey(acme, ['meters:read'])
  expect((await list('', { as: key })).status).toBe(200)
  expect((await create({ name: 'X' }, { as: key })).status).toBe(403)
})
