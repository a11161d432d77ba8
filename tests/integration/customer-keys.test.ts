// Keys a tenant hands to its customers' programs: made, changed, rotated and ended through the API, verified exactly.
import { describe, expect, test } from 'vitest'
import { POST as postCredits } from '@/app/api/v1/customer-keys/[id]/credits/route'
import { POST as rotateRoute } from '@/app/api/v1/customer-keys/[id]/rotate/route'
import { DELETE, GET as getRoute, PATCH } from '@/app/api/v1/customer-keys/[id]/route'
import { GET as listRoute, POST } from '@/app/api/v1/customer-keys/route'
import { POST as verifyRoute } from '@/app/api/v1/customer-keys/verify/route'
import { hashKey } from '@/libs/auth/api-key'
import { newId } from '@/libs/ids'
import { whenHeard } from '../support/heard'
import { asSuperuser, call, createApiKey, createWorld, type RequestOptions } from '../support/world'

const { acme, globex, stranger } = await createWorld()
const path = '/api/v1/customer-keys'
const admin: RequestOptions = { as: acme.users.admin, tenant: acme }
const create = (body: unknown = {}, options = admin) => call(POST, 'POST', path, { ...options, body })
const list = (query = '', options = admin) => call(listRoute, 'GET', path + query, options)
const one = (id: string, options = admin) => call(getRoute, 'GET', `${path}/${id}`, { ...options, params: { id } })
const change = (id: string, body: unknown, options = admin) =>
  call(PATCH, 'PATCH', `${path}/${id}`, { ...options, body, params: { id } })
const revoke = (id: string, options = admin) => call(DELETE, 'DELETE', `${path}/${id}`, { ...options, params: { id } })
const rotate = (id: string, body?: unknown, options = admin) =>
  call(rotateRoute, 'POST', `${path}/${id}/rotate`, { ...options, body, params: { id } })
const credits = (id: string, body: unknown, options = admin) =>
  call(postCredits, 'POST', `${path}/${id}/credits`, { ...options, body, params: { id } })
const verify = (key: string, body: object = {}, options: RequestOptions = { as: acme.api_key }) =>
  call(verifyRoute, 'POST', `${path}/verify`, { ...options, body: { key, ...body } })
const codeOf = async (key: string, body: object = {}) => (await verify(key, body)).body.code

describe('who may', () => {
  test.each([
    ['nobody', { tenant: acme }, 401],
    ['a stranger', { as: stranger, tenant: acme }, 404],
    ['an owner of another tenant', { as: globex.users.owner, tenant: acme }, 404],
    ['a customer', { as: acme.users.customer, tenant: acme }, 403],
    ['a member', { as: acme.users.member, tenant: acme }, 403],
    ['a compliance officer', { as: acme.users.compliance, tenant: acme }, 403],
  ] as [string, RequestOptions, number][])('%s: %s', async (_who, options, status) => {
    const id = newId()
    for (const answer of [
      await list('', options),
      await create({}, options),
      await one(id, options),
      await change(id, { name: 'x' }, options),
      await rotate(id, {}, options),
      await credits(id, { operation: 'set' }, options),
      await revoke(id, options),
      await verify('x', {}, options),
    ])
      expect(answer.status).toBe(status)
  })
  test('a key that sends usage verifies, and does nothing else with keys', async () => {
    const { key } = await createApiKey(acme, ['usage:write'])
    expect((await verify('x', {}, { as: key })).body).toEqual({ valid: false, code: 'NOT_FOUND' })
    expect((await list('', { as: key })).status).toBe(403)
    expect((await create({}, { as: key })).status).toBe(403)
    const reader = await createApiKey(acme, ['customer-keys:read'])
    expect((await verify('x', {}, { as: reader.key })).status).toBe(403)
    expect((await list('', { as: reader.key })).status).toBe(200)
  })
})

describe('create', () => {
  test.each([
    [{ prefix: 'a b' }, '/prefix'],
    [{ prefix: 'hf_live' }, '/prefix'],
    [{ prefix: 'HF' }, '/prefix'],
    [{ prefix: 'x'.repeat(17) }, '/prefix'],
    [{ permissions: ['a b'] }, '/permissions/0'],
    [{ remaining: -1 }, '/remaining'],
    [{ remaining: 1.5 }, '/remaining'],
    [{ remaining: 1e300 }, '/remaining'],
    [{ refill: { amount: 1, interval: 'daily' } }, '/refill'],
    [{ remaining: 1, refill: { amount: 1, interval: 'weekly' } }, '/refill/interval'],
    [{ remaining: 1, refill: { amount: 1, interval: 'daily', refill_day: 3 } }, '/refill/refill_day'],
    [{ ratelimits: [{ name: 'a', limit: 1, duration_ms: 0 }] }, '/ratelimits/0/duration_ms'],
    [{ ratelimits: [1, 2].map(() => ({ name: 'a', limit: 1, duration_ms: 1 })) }, '/ratelimits'],
    [{ meta: [] }, '/meta'],
    [{ meta: { long: 'x'.repeat(20_000) } }, '/meta'],
    [{ external_id: 'a\nb' }, '/external_id'],
    [{ expires_at: 'tomorrow' }, '/expires_at'],
    [{ color: 'red' }, '/color'],
  ])('%j is invalid at %s', async (body, pointer) => {
    const answer = await create(body)
    expect(answer).toMatchObject({ status: 422, body: { code: 'invalid_input' } })
    expect(answer.body.errors.map((error: { pointer: string }) => error.pointer)).toContain(pointer)
  })
  test('the key is shown once and stored as a hash', async () => {
    const { status, body } = await create({ prefix: 'acme_prod', name: 'One', meta: { camelCase: 1 } })
    expect(status).toBe(201)
    expect(body.key).toMatch(/^acme_prod_[0-9A-Za-z]{49}$/)
    expect(body.key.startsWith(body.prefix) && body.key.endsWith(body.last_four)).toBe(true)
    const shown = await one(body.id)
    expect(shown.body).toMatchObject({ name: 'One', meta: { camelCase: 1 }, remaining: null, refill: null })
    expect(shown.text).not.toContain(body.key)
    expect(await change(body.id, {})).toMatchObject({ status: 200, body: shown.body })
    const rows = await asSuperuser('select 1 from customer_keys where key_hash = $1', [hashKey(body.key)])
    expect(rows).toHaveLength(1)
  })
  test('repeating it with its Idempotency-Key makes one', async () => {
    const headers = { 'idempotency-key': 'one-key' }
    const [first, again] = await Promise.all([create({}, { ...admin, headers }), create({}, { ...admin, headers })])
    expect(again.body.id).toBe(first.body.id)
  })
})

describe('verify', () => {
  test('says whose key it is, and what it holds', async () => {
    const { body: made } = await create({
      name: 'Whose',
      external_id: acme.customer.external_id,
      permissions: ['docs.*'],
      roles: ['reader'],
      meta: { plan: 'pro' },
    })
    expect((await verify(made.key, { permissions: 'docs.read' })).body).toEqual({
      valid: true,
      code: 'VALID',
      id: made.id,
      name: 'Whose',
      external_id: acme.customer.external_id,
      customer_id: acme.customer.id,
      meta: { plan: 'pro' },
      permissions: ['docs.*'],
      roles: ['reader'],
      enabled: true,
      expires_at: null,
      remaining: null,
    })
    expect((await verify(made.key, {}, { as: globex.api_key })).body).toEqual({ valid: false, code: 'NOT_FOUND' })
  })
  test('a change holds as soon as it is heard of, for what is remembered too', async () => {
    const { body: made } = await create({ remaining: null })
    expect(await codeOf(made.key)).toBe('VALID')
    const steps: [object, string][] = [
      [{ enabled: false }, 'DISABLED'],
      [{ enabled: true, expires_at: new Date(Date.now() - 1_000).toISOString() }, 'EXPIRED'],
      [{ expires_at: null, remaining: 0 }, 'USAGE_EXCEEDED'],
      [{ remaining: null }, 'VALID'],
    ]
    for (const [patch, code] of steps) {
      expect((await change(made.id, patch)).status).toBe(200)
      await expect.poll(() => codeOf(made.key), whenHeard).toBe(code)
    }
    await revoke(made.id)
    await expect.poll(() => codeOf(made.key), whenHeard).toBe('NOT_FOUND')
    expect((await revoke(made.id)).status).toBe(200)
    expect((await change(made.id, { name: 'x' })).status).toBe(409)
    expect((await rotate(made.id)).status).toBe(409)
    expect((await credits(made.id, { operation: 'set' })).status).toBe(409)
  })
  test('fifty at once take twenty credits and no more; one that costs more than is left takes none', async () => {
    const { body: made } = await create({ remaining: 20 })
    const answers = await Promise.all(Array.from({ length: 50 }, () => verify(made.key)))
    expect(answers.filter(({ body }) => body.valid)).toHaveLength(20)
    expect((await one(made.id)).body.remaining).toBe(0)
    await credits(made.id, { operation: 'increment', value: 5 })
    expect(await codeOf(made.key, { credits: { cost: 6 } })).toBe('USAGE_EXCEEDED')
    expect((await one(made.id)).body.remaining).toBe(5)
    expect((await verify(made.key, { credits: { cost: 5 } })).body).toMatchObject({ valid: true, remaining: 0 })
  })
  test('a refill is due once a day, or once a month on its day or the last one', async () => {
    const { body: made } = await create({ remaining: 0, refill: { amount: 2, interval: 'daily' } })
    expect(await codeOf(made.key)).toBe('USAGE_EXCEEDED')
    await asSuperuser('update customer_keys set refilled_on = refilled_on - 3 where id = $1', [made.id])
    expect([await codeOf(made.key), await codeOf(made.key), await codeOf(made.key)]).toEqual([
      'VALID',
      'VALID',
      'USAGE_EXCEEDED',
    ])
    const [row] = await asSuperuser<{ ok: boolean }>(
      `select bool_and(app.refill_start('monthly', d) <= (now() at time zone 'UTC')::date
          and app.refill_start('monthly', d) > ((now() at time zone 'UTC')::date - 32)
          and (extract(day from app.refill_start('monthly', d)) = d
            or app.refill_start('monthly', d) = (date_trunc('month', app.refill_start('monthly', d)) + interval '1 month - 1 day')::date)) as ok
       from generate_series(1, 31) d`,
    )
    expect(row?.ok).toBe(true)
  })
  test('credits that are shown or changed are those with the refill that is due, which then comes no more', async () => {
    const due = async () => {
      const { body: made } = await create({ remaining: 1, refill: { amount: 5, interval: 'daily' } })
      await asSuperuser('update customer_keys set refilled_on = refilled_on - 1 where id = $1', [made.id])
      return made
    }
    const left = async ({ id, key }: { id: string; key: string }) => [
      (await one(id)).body.remaining,
      (await verify(key, { credits: { cost: 0 } })).body.remaining,
    ]
    expect(await left(await due())).toEqual([5, 5])
    const steps: [object, number][] = [
      [{ operation: 'set', value: 2 }, 2],
      [{ operation: 'set', value: 0 }, 0],
      [{ operation: 'decrement', value: 2 }, 3],
      [{ operation: 'increment', value: 2 }, 7],
    ]
    for (const [body, expected] of steps) {
      const made = await due()
      expect((await credits(made.id, body)).body.remaining).toBe(expected)
      expect(await left(made)).toEqual([expected, expected])
    }
    const [patched, other] = [await due(), await due()]
    await change(patched.id, { remaining: 3 })
    await change(other.id, { refill: { amount: 9, interval: 'monthly' } })
    expect([await left(patched), await left(other)]).toEqual([
      [3, 3],
      [5, 5],
    ])
    const rotated = await due()
    const { body: successor } = await rotate(rotated.id, { grace: '1h' })
    expect([successor.remaining, ...(await left(successor)), ...(await left(rotated))]).toEqual([5, 5, 5, 5, 5])
  })
  test('what is wrong with the question is said; the key loses nothing', async () => {
    const { body: made } = await create({ remaining: 3 })
    const pointers = async (body: object) =>
      (await verify(made.key, body)).body.errors?.map((error: { pointer: string }) => error.pointer)
    expect(await pointers({ permissions: 'a AND' })).toEqual(['/permissions'])
    expect(await pointers({ ratelimits: [{ name: 'nothing' }] })).toEqual(['/ratelimits/0'])
    expect(await pointers({ credits: { cost: -1 } })).toEqual(['/credits/cost'])
    expect((await one(made.id)).body.remaining).toBe(3)
  })
})

describe('rotate', () => {
  test('the old key lives for the grace, never past its own end, on the same credits', async () => {
    const end = new Date(Date.now() + 3_600_000).toISOString()
    const { body: old } = await create({ prefix: 'rot', remaining: 3, expires_at: end, permissions: ['a'] })
    const { status, body: fresh } = await rotate(old.id, { grace: '24h' })
    expect(status).toBe(201)
    expect(fresh).toMatchObject({ permissions: ['a'], remaining: 3, expires_at: end })
    expect(fresh.key).toMatch(/^rot_/)
    expect((await one(old.id)).body).toMatchObject({ expires_at: end, succeeded_by: fresh.id, remaining: 3 })
    const codes = []
    for (const key of [old.key, fresh.key, old.key, fresh.key]) codes.push(await codeOf(key))
    expect(codes).toEqual(['VALID', 'VALID', 'VALID', 'USAGE_EXCEEDED'])
    expect((await rotate(old.id)).status).toBe(409)
    const { body: third } = await rotate(fresh.id, { grace: '1m' })
    await credits(old.id, { operation: 'set', value: 1 })
    await expect.poll(async () => (await verify(old.key, { credits: { cost: 0 } })).body.remaining, whenHeard).toBe(1)
    expect([await codeOf(old.key), await codeOf(third.key)]).toEqual(['VALID', 'USAGE_EXCEEDED'])
  })
  test('two rotations at once make one successor', async () => {
    const { body: old } = await create({})
    const statuses = (await Promise.all([rotate(old.id), rotate(old.id), rotate(old.id)])).map(({ status }) => status)
    expect(statuses.sort()).toEqual([201, 409, 409])
  })
  test('with other graces than there are it is invalid', async () => {
    const { body: old } = await create({})
    expect((await rotate(old.id, { grace: '2h' })).body.errors[0].pointer).toBe('/grace')
  })
})

describe('list', () => {
  test('by state, customer and name, in pages; others see none of them', async () => {
    const external = `list-${newId()}`
    const ids: string[] = []
    for (const name of ['first of list', 'second of list', 'third of list'])
      ids.push((await create({ name, external_id: external })).body.id)
    await revoke(ids[0] ?? '')
    await change(ids[1] ?? '', { enabled: false })
    const seen = async (query: string) =>
      (await list(`?external_id=${external}${query}`)).body.data.map(({ id }: { id: string }) => id)
    expect(await seen('')).toEqual(ids.toReversed())
    expect(await seen('&status=revoked')).toEqual([ids[0]])
    expect(await seen('&status=disabled')).toEqual([ids[1]])
    expect(await seen('&status=active')).toEqual([ids[2]])
    expect(await seen('&q=SECOND')).toEqual([ids[1]])
    const first = await list(`?external_id=${external}&limit=2`)
    expect(first.body.data).toHaveLength(2)
    expect(await seen(`&limit=2&cursor=${first.body.next_cursor}`)).toEqual([ids[0]])
    expect((await list('', { as: globex.users.owner, tenant: globex })).body.data).toEqual([])
    expect((await one(ids[0] ?? '', { as: globex.users.owner, tenant: globex })).status).toBe(404)
  })
})

test('what happens to keys is in the record, without the hash; what verifications take is not', async () => {
  const { body: made } = await create({ name: 'Recorded', remaining: 5 })
  await verify(made.key)
  await change(made.id, { name: 'Changed' })
  await revoke(made.id)
  const rows = await asSuperuser<{ action: string; after: Record<string, unknown> | null }>(
    'select action, after from audit_logs join audit_details using (tenant_id, id) where tenant_id = $1 and target_id = $2 order by id',
    [acme.id, made.id],
  )
  expect(rows.map(({ action }) => action)).toEqual([
    'customer_key.created',
    'customer_key.updated',
    'customer_key.revoked',
  ])
  for (const { after } of rows) expect(Object.keys(after ?? {})).not.toContain('key_hash')
})
