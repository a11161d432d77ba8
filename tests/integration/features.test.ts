import { describe, expect, test } from 'vitest'
import { POST as entitle } from '@/app/api/v1/customers/[id]/entitlements/route'
import { DELETE as archive, GET as getOne, PATCH as patch } from '@/app/api/v1/features/[id]/route'
import { POST as create, GET as list } from '@/app/api/v1/features/route'
import { POST as postMeter } from '@/app/api/v1/meters/route'
import { asSuperuser, call, createWorld } from '../support/world'

const { acme, globex } = await createWorld()
const make = (body: unknown, as: Parameters<typeof call>[3] = { as: acme.api_key }) =>
  call(create, 'POST', '/api/v1/features', { ...as, body })
const read = (id: string, as: string = acme.api_key) =>
  call(getOne, 'GET', `/api/v1/features/${id}`, { as, params: { id } })
const remove = (id: string) => call(archive, 'DELETE', `/api/v1/features/${id}`, { as: acme.api_key, params: { id } })
const keys = async (query = '', as: string = acme.api_key) =>
  (await call(list, 'GET', `/api/v1/features?${query}`, { as })).body.data.map(({ key }: { key: string }) => key)

describe('features', () => {
  test('are made with the meter that counts them, and found by id and key', async () => {
    const meter = await call(postMeter, 'POST', '/api/v1/meters', {
      as: acme.api_key,
      body: { name: 'Exports', slug: 'exports', unit: 'files' },
    })
    const { status, body } = await make({
      key: 'exports',
      name: 'Exports',
      meter: 'exports',
      metadata: { planName: 1 },
    })
    expect(status).toBe(201)
    expect(body).toEqual({
      id: expect.any(String),
      key: 'exports',
      name: 'Exports',
      meter: { id: meter.body.id, slug: 'exports', name: 'Exports', unit: 'files' },
      metadata: { planName: 1 },
      created_at: expect.any(String),
      archived_at: null,
    })
    expect((await read('exports')).body).toEqual(body)
    expect((await read(body.id)).body).toEqual(body)
    expect((await make({ key: 'sso' })).body).toMatchObject({ name: 'sso', meter: null })
    expect(await keys()).toEqual(['exports', 'sso'])
    expect(await keys('limit=1')).toEqual(['exports'])
    expect(await keys('meter=EXPORTS')).toEqual(['exports'])
    expect(await call(list, 'GET', '/api/v1/features?meter=nothing', { as: acme.api_key })).toMatchObject({
      status: 404,
      body: { errors: [{ pointer: '/meter', detail: 'there is no such meter' }] },
    })
  })

  test('a key is taken once, until its feature is archived', async () => {
    const { body } = await make({ key: 'beta' })
    expect((await make({ key: 'beta' })).status).toBe(409)
    const archived = await remove('beta')
    expect([archived.status, archived.body.archived_at]).toEqual([200, expect.any(String)])
    expect((await remove(body.id)).body).toEqual(archived.body)
    expect((await read('beta')).status).toBe(404)
    expect(await keys('archived=true')).toEqual(['beta'])
    const again = await make({ key: 'beta' })
    expect(again.status).toBe(201)
    expect((await read('beta')).body.id).toBe(again.body.id)
    expect((await read(body.id)).body.id).toBe(body.id)
  })

  test('an archived one comes back, unless its key is taken', async () => {
    const change = (id: string, body: unknown, as: Parameters<typeof call>[3] = { as: acme.api_key }) =>
      call(patch, 'PATCH', `/api/v1/features/${id}`, { ...as, body, params: { id } })
    const { body } = await make({ key: 'returning', name: 'Comes back' })
    expect((await change(body.id, { archived: true })).body.archived_at).toEqual(expect.any(String))
    expect(await change(body.id, { archived: false })).toMatchObject({ status: 200, body })
    expect(await change(body.id, { archived: false })).toMatchObject({ status: 200, body })
    await remove(body.id)
    await make({ key: 'returning' })
    expect(await change(body.id, { archived: false })).toMatchObject({ status: 409, body: { code: 'conflict' } })
    for (const fixed of [{ key: 'other' }, { meter: 'exports' }])
      expect((await change(body.id, fixed)).body.errors).toMatchObject([{ pointer: `/${Object.keys(fixed)[0]}` }])
    expect((await change(body.id, { archived: true }, { as: acme.users.member, tenant: acme })).status).toBe(403)
    expect((await change(body.id, { archived: true }, { as: globex.api_key })).status).toBe(404)
  })

  test('one is called otherwise, which is recorded; key and meter stay', async () => {
    const { body } = await make({ key: 'renamed', name: 'Before', meter: 'exports', metadata: { a: 1 } })
    const change = (patchBody: unknown) =>
      call(patch, 'PATCH', '/api/v1/features/renamed', { as: acme.api_key, body: patchBody, params: { id: 'renamed' } })
    expect(await change({ name: 'After' })).toMatchObject({ status: 200, body: { ...body, name: 'After' } })
    expect((await change({ metadata: {} })).body).toEqual({ ...body, name: 'After', metadata: {} })
    expect((await change({ name: ' ' })).body.errors).toMatchObject([{ pointer: '/name' }])
    const [logged] = await asSuperuser<{ action: string }>(
      'select action from audit_logs where tenant_id = $1 and target_id = $2 order by id desc limit 1',
      [acme.id, body.id],
    )
    expect(logged).toEqual({ action: 'feature.updated' })
  })

  test('are found by part of their name or key', async () => {
    await make({ key: 'find.me', name: 'Audit trail' })
    expect(await keys('q=it%20TR')).toEqual(['find.me'])
    expect(await keys('q=nd.m')).toEqual(['find.me'])
    expect(await keys('q=%25')).toEqual([])
  })

  test.each([
    [{}, '/key'],
    [{ key: 'Not Good' }, '/key'],
    [{ key: '01a1fe21-3dd9-7000-a069-d1840ab91fee' }, '/key'],
    [{ key: 'x', meter: 'no_such_meter' }, '/meter'],
    [{ key: 'x', name: ' ' }, '/name'],
    [{ key: 'x', metadata: 'text' }, '/metadata'],
    [{ key: 'x', price: 1 }, '/price'],
  ])('what is wrong with one is said: %j', async (body, pointer) => {
    const answer = await make(body)
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([422, pointer])
  })

  test('another tenant sees none of them, and making one is recorded', async () => {
    const { body } = await make({ key: 'secret' })
    expect((await read('secret', globex.api_key)).status).toBe(404)
    expect((await read(body.id, globex.api_key)).status).toBe(404)
    expect(await keys('', globex.api_key)).toEqual([])
    expect((await make({ key: 'secret' }, { as: globex.api_key })).status).toBe(201)
    const logs = await asSuperuser<{ action: string }>(
      'select action from audit_logs where tenant_id = $1 and target_id = $2',
      [acme.id, body.id],
    )
    expect(logs.map(({ action }) => action)).toEqual(['feature.created'])
  })

  test('one that is listed brings its meter to an entitlement', async () => {
    const send = (body: unknown) =>
      call(entitle, 'POST', `/api/v1/customers/${acme.customer.id}/entitlements`, {
        as: acme.api_key,
        params: { id: acme.customer.id },
        body,
      })
    const { status, body } = await send({ kind: 'metered', feature_key: 'exports', limit: 5 })
    expect([status, body.meter.slug, body.limit]).toEqual([201, 'exports', 5])
    expect((await send({ kind: 'metered', feature_key: 'sso' })).body.errors[0].pointer).toBe('/meter')
  })

  test('a member may look, not make', async () => {
    const member = { as: acme.users.member, tenant: acme }
    expect((await call(list, 'GET', '/api/v1/features', member)).status).toBe(200)
    expect((await make({ key: 'mine' }, member)).status).toBe(403)
  })
})
