import { describe, expect, test } from 'vitest'
import { POST as DISABLE } from '@/app/api/v1/api-keys/[id]/disable/route'
import { POST as ENABLE } from '@/app/api/v1/api-keys/[id]/enable/route'
import { POST as ROTATE } from '@/app/api/v1/api-keys/[id]/rotate/route'
import { DELETE, GET as GET_ONE } from '@/app/api/v1/api-keys/[id]/route'
import { GET, POST } from '@/app/api/v1/api-keys/route'
import { GET as GET_BRANDING } from '@/app/api/v1/branding/route'
import { findApiKey, hashKey, isKey } from '@/libs/auth/api-key'
import { tenantQuery } from '@/libs/db/tenant-db'
import { whenHeard } from '@/tests/support/heard'
import { asSuperuser, asSystem, call, createApiKey, createWorld } from '@/tests/support/world'

const { acme, globex, stranger } = await createWorld()
const path = '/api/v1/api-keys'
const create = (body: unknown, as = acme.users.owner) => call(POST, 'POST', path, { as, tenant: acme, body })

describe('API keys', () => {
  test('nobody without a credential, a stranger or another tenant’s owner gets in', async () => {
    expect((await call(GET, 'GET', path, { tenant: acme })).status).toBe(401)
    for (const as of [stranger, globex.users.owner]) {
      expect((await call(GET, 'GET', path, { as, tenant: acme })).status).toBe(404)
      expect((await call(POST, 'POST', path, { as, tenant: acme, body: { name: 'x' } })).status).toBe(404)
    }
  })

  test('a member may neither see nor make keys, and a key makes no keys', async () => {
    expect((await call(GET, 'GET', path, { as: acme.users.member, tenant: acme })).status).toBe(403)
    expect((await create({ name: 'x' }, acme.users.compliance)).status).toBe(403)
    expect((await call(POST, 'POST', path, { as: acme.api_key, body: { name: 'x' } })).status).toBe(403)
  })

  test('wrong input is named field by field', async () => {
    const { status, body } = await create({ name: '', permissions: ['everything'], color: 'red', expires_in_days: 0 })
    expect(status).toBe(422)
    expect(body.errors.map((error: { pointer: string }) => error.pointer).sort()).toEqual([
      '/color',
      '/expires_in_days',
      '/name',
      '/permissions/0',
    ])
  })

  test('when a key ends is said in days or as a moment that lies ahead, as it is answered', async () => {
    const expires_at = new Date(Date.now() + 3_600_000).toISOString()
    expect(await create({ name: 'An hour', expires_at })).toMatchObject({ status: 201, body: { expires_at } })
    for (const wrong of [
      { expires_at: new Date(Date.now() - 1_000).toISOString() },
      { expires_at: '9999-12-31T23:59:59Z' },
      { expires_at, expires_in_days: 1 },
    ])
      expect(await create({ name: 'Wrong', ...wrong })).toMatchObject({
        status: 422,
        body: { errors: [{ pointer: '/expires_at' }] },
      })
  })

  test('a key is shown once, stored as a hash, and works with what it was given', async () => {
    const { status, body } = await create({ name: 'Reader', permissions: ['branding:read'] })
    expect(status).toBe(201)
    expect(isKey(body.key)).toBe(true)
    expect(body.key.startsWith(body.prefix) && body.key.endsWith(body.last_four)).toBe(true)
    const again = await call(GET_ONE, 'GET', `${path}/${body.id}`, {
      as: acme.users.owner,
      tenant: acme,
      params: { id: body.id },
    })
    expect(again.body.key).toBeUndefined()
    expect(again.text).not.toContain(hashKey(body.key).toString('hex'))
    const stored = await asSuperuser<{ n: number }>('select count(*)::int as n from api_keys where key_hash = $1', [
      hashKey(body.key),
    ])
    expect(stored[0]?.n).toBe(1)
    expect((await call(GET_BRANDING, 'GET', '/api/v1/branding', { as: body.key })).status).toBe(200)
    expect((await call(GET, 'GET', path, { as: body.key })).status).toBe(403)
  })

  test('repeating a request with its Idempotency-Key makes one key, and answers the same', async () => {
    const headers = { 'idempotency-key': 'make-one' }
    const send = (name: string) =>
      call(POST, 'POST', path, { as: acme.users.owner, tenant: acme, headers, body: { name } })
    const [first, second] = await Promise.all([send('Once'), send('Once')])
    expect([first.status, second.status]).toEqual([201, 201])
    expect(second.body.id).toBe(first.body.id)
    const other = await send('Twice')
    expect([other.status, other.body.code]).toEqual([422, 'idempotency_mismatch'])
  })

  test('a key never does more than its creator may at this moment', async () => {
    const { key } = await createApiKey(acme, ['branding:read', 'api-keys:read'], acme.users.admin)
    expect((await call(GET, 'GET', path, { as: key })).status).toBe(200)
    await asSystem(acme, () =>
      tenantQuery("update memberships set role = 'member' where user_id = $1", [acme.users.admin.id]),
    )
    expect((await call(GET, 'GET', path, { as: key })).status).toBe(403)
    expect((await call(GET_BRANDING, 'GET', '/api/v1/branding', { as: key })).status).toBe(200)
    await asSystem(acme, () => tenantQuery('delete from memberships where user_id = $1', [acme.users.admin.id]))
    expect((await call(GET_BRANDING, 'GET', '/api/v1/branding', { as: key })).status).toBe(401)
  })

  test('an expired key is dead', async () => {
    const { id, key } = await createApiKey(acme, ['branding:read'])
    await asSuperuser("update api_keys set expires_at = now() - interval '1 second' where id = $1", [id])
    expect((await call(GET_BRANDING, 'GET', '/api/v1/branding', { as: key })).status).toBe(401)
  })

  test('a revocation holds at once, for remembered keys too, and is safe to repeat', async () => {
    const { body } = await create({ name: 'Short-lived', permissions: ['branding:read'] })
    expect(await findApiKey(body.key, { cached: true })).not.toBeNull()
    const revoke = () =>
      call(DELETE, 'DELETE', `${path}/${body.id}`, { as: acme.users.owner, tenant: acme, params: { id: body.id } })
    const first = await revoke()
    expect(first.status).toBe(200)
    expect((await call(GET_BRANDING, 'GET', '/api/v1/branding', { as: body.key })).status).toBe(401)
    await expect.poll(() => findApiKey(body.key, { cached: true }), whenHeard).toBeNull()
    expect((await revoke()).body.revoked_at).toBe(first.body.revoked_at)
  })

  test('a disabled key is refused at once, with a code of its own, and works again when it is enabled', async () => {
    const turn = (verb: 'disable' | 'enable', id: string, as = acme.users.owner) =>
      call(verb === 'enable' ? ENABLE : DISABLE, 'POST', `${path}/${id}/${verb}`, { as, tenant: acme, params: { id } })
    const use = async (key: string) => {
      const { status, body } = await call(GET_BRANDING, 'GET', '/api/v1/branding', { as: key })
      return [status, body.code]
    }
    const { body: made } = await create({ name: 'Switched', permissions: ['branding:read'] })
    const { id, key } = made
    const since = async () => (await findApiKey(key, { cached: true }))?.disabled_at?.toISOString()
    expect([made.disabled_at, await since(), await use(key)]).toEqual([null, undefined, [200, undefined]])

    const off = await turn('disable', id)
    expect(off).toMatchObject({ status: 200, body: { id, disabled_at: expect.any(String) } })
    expect(await use(key)).toEqual([403, 'key_disabled'])
    await expect.poll(since, whenHeard).toBe(off.body.disabled_at)
    // Who does not hold the whole key learns nothing of it.
    expect(await use(`${key.slice(0, -1)}${key.endsWith('A') ? 'B' : 'A'}`)).toEqual([401, 'unauthenticated'])
    expect((await turn('disable', id)).body).toEqual(off.body)
    const named = async (status: string) => {
      const query = `?q=Switched&status=${status}`
      return (await call(GET, 'GET', path + query, { as: acme.users.owner, tenant: acme })).body.data.length
    }
    expect([await named('active'), await named('disabled')]).toEqual([0, 1])

    expect((await turn('enable', id, acme.users.member)).status).toBe(403)
    expect(await use(key)).toEqual([403, 'key_disabled'])
    const on = await turn('enable', id)
    expect(on).toMatchObject({ status: 200, body: { id, disabled_at: null } })
    expect(await use(key)).toEqual([200, undefined])
    await expect.poll(since, whenHeard).toBeUndefined()
    expect((await turn('enable', id)).body.disabled_at).toBeNull()
    expect([await named('active'), await named('disabled')]).toEqual([1, 0])

    // A successor is as it was; what was revoked stays so.
    await turn('disable', id)
    const { body: next } = await call(ROTATE, 'POST', `${path}/${id}/rotate`, {
      as: acme.users.owner,
      tenant: acme,
      params: { id },
    })
    expect([await use(key), await use(next.key)]).toEqual([
      [401, 'unauthenticated'],
      [403, 'key_disabled'],
    ])
    for (const verb of ['disable', 'enable'] as const) {
      expect(await turn(verb, id)).toMatchObject({ status: 409, body: { code: 'conflict' } })
      expect((await turn(verb, globex.api_key_id)).status).toBe(404)
      expect((await turn(verb, 'none')).status).toBe(404)
    }
    expect((await call(GET_BRANDING, 'GET', '/api/v1/branding', { as: globex.api_key })).status).toBe(200)
    const noted = await asSuperuser<{ action: string; actor_id: string }>(
      "select action, actor_id from audit_logs where target_id = $1 and action ~ 'abled' order by id",
      [id],
    )
    expect(noted.map(({ action }) => action)).toEqual(['api_key.disabled', 'api_key.enabled', 'api_key.disabled'])
    expect(new Set(noted.map(({ actor_id }) => actor_id))).toEqual(new Set([acme.users.owner.id]))
  })

  test('a rotated key lives for the grace, never past its own end, and has one successor with the same rights', async () => {
    const rotate = (id: string, body?: unknown, as: typeof acme.users.owner | string = acme.users.owner) =>
      call(ROTATE, 'POST', `${path}/${id}/rotate`, { as, tenant: acme, body, params: { id } })
    const works = async (key: string) => (await call(GET_BRANDING, 'GET', '/api/v1/branding', { as: key })).status
    const { body: old } = await create({ name: 'Rotates', permissions: ['branding:read'], mode: 'test' })
    expect(await findApiKey(old.key, { cached: true })).not.toBeNull()
    const first = await rotate(old.id, { grace: '1m' })
    expect(first).toMatchObject({
      status: 201,
      body: { name: 'Rotates', permissions: ['branding:read'], expires_at: null },
    })
    expect(first.body.key).toMatch(/^hf_test_/)
    expect([await works(old.key), await works(first.body.key)]).toEqual([200, 200])
    const { body: ending } = await call(GET_ONE, 'GET', `${path}/${old.id}`, {
      as: acme.users.owner,
      tenant: acme,
      params: { id: old.id },
    })
    const left = Date.parse(ending.expires_at) - Date.now()
    expect(left).toBeGreaterThan(50_000)
    expect(left).toBeLessThanOrEqual(60_000)
    // It has a successor: another rotation would make one more live key.
    const again = await rotate(old.id, { grace: '24h' })
    expect(again).toMatchObject({ status: 409, body: { detail: expect.stringContaining('rotate its successor') } })
    const { body: same } = await call(GET_ONE, 'GET', `${path}/${old.id}`, {
      as: acme.users.owner,
      tenant: acme,
      params: { id: old.id },
    })
    expect(same.expires_at).toBe(ending.expires_at)
    const last = await rotate(first.body.id)
    expect([await works(first.body.key), await works(last.body.key)]).toEqual([401, 200])
    expect((await rotate(first.body.id)).status).toBe(409)
    expect((await rotate(last.body.id, { grace: '2h' })).body.errors[0].pointer).toBe('/grace')
    expect((await rotate(last.body.id, {}, acme.users.member)).status).toBe(403)
    expect((await rotate(globex.api_key_id)).status).toBe(404)
    const { body: short } = await create({ name: 'Thirty days', permissions: ['branding:read'], expires_in_days: 30 })
    const longer = await rotate(short.id)
    const life = Date.parse(longer.body.expires_at) - Date.parse(longer.body.created_at)
    expect(Math.abs(life - 30 * 86_400_000)).toBeLessThan(5_000)
    for (const id of [longer.body.id, last.body.id, again.body.id, old.id])
      await call(DELETE, 'DELETE', `${path}/${id}`, { as: acme.users.owner, tenant: acme, params: { id } })
  })

  test('another tenant’s key cannot be seen or ended, and looks like one that is not there', async () => {
    const options = { as: acme.users.owner, tenant: acme, params: { id: globex.api_key_id } }
    const foreign = await call(DELETE, 'DELETE', `${path}/${globex.api_key_id}`, options)
    const missing = await call(DELETE, 'DELETE', `${path}/none`, {
      ...options,
      params: { id: '01934d5c-0000-7000-8000-00000000dead' },
    })
    const strip = (answer: typeof foreign) => ({ ...answer.body, request_id: '' })
    expect(foreign.status).toBe(404)
    expect(strip(foreign)).toEqual(strip(missing))
    expect((await call(GET_BRANDING, 'GET', '/api/v1/branding', { as: globex.api_key })).status).toBe(200)
  })

  test('a key used against another tenant is a mismatch, noted in its own audit log', async () => {
    const { status, body } = await call(GET_BRANDING, 'GET', '/api/v1/branding', { as: acme.api_key, tenant: globex })
    expect([status, body.code]).toEqual([403, 'tenant_mismatch'])
    const rows = await asSuperuser<{ tenant_id: string }>(
      "select tenant_id from audit_logs where action = 'access.mismatch'",
    )
    expect(rows.map((row) => row.tenant_id)).toEqual([acme.id])
  })

  test('lists page by cursor, filter by state and search by name', async () => {
    const seen: string[] = []
    let cursor: string | null = null
    do {
      const query: string = `?limit=2${cursor ? `&cursor=${cursor}` : ''}`
      const { body } = await call(GET, 'GET', path + query, { as: acme.users.owner, tenant: acme })
      seen.push(...body.data.map((row: { id: string }) => row.id))
      cursor = body.next_cursor
    } while (cursor)
    expect(new Set(seen).size).toBe(seen.length)
    expect(seen).toEqual([...seen].sort().reverse())
    const revoked = await call(GET, 'GET', `${path}?status=revoked`, { as: acme.users.owner, tenant: acme })
    expect(revoked.body.data.map((row: { name: string }) => row.name)).toContain('Short-lived')
    const found = await call(GET, 'GET', `${path}?q=read`, { as: acme.users.owner, tenant: acme })
    expect(found.body.data.map((row: { name: string }) => row.name)).toEqual(['Reader'])
    expect((await call(GET, 'GET', `${path}?cursor=nonsense`, { as: acme.users.owner, tenant: acme })).status).toBe(400)
  })

  test('making and ending keys is in the audit log, without the hash', async () => {
    const rows = await asSuperuser<{ action: string; after: Record<string, unknown> | null }>(
      "select action, after from audit_logs join audit_details using (tenant_id, id) where tenant_id = $1 and target_type = 'api_key'",
      [acme.id],
    )
    expect(new Set(rows.map((row) => row.action))).toEqual(
      new Set(['api_key.created', 'api_key.updated', 'api_key.disabled', 'api_key.enabled', 'api_key.revoked']),
    )
    for (const row of rows) expect(Object.keys(row.after ?? {})).not.toContain('key_hash')
  })
})
