import { describe, expect, test } from 'vitest'
import { GET as getMeters } from '@/app/api/v1/meters/route'
import { GET as info } from '@/app/api/v1/tenant/info/route'
import { POST as activate } from '@/app/api/v1/tenants/[id]/activate/route'
import { POST as restore } from '@/app/api/v1/tenants/[id]/restore/route'
import { DELETE, GET, PATCH } from '@/app/api/v1/tenants/[id]/route'
import { POST as suspend } from '@/app/api/v1/tenants/[id]/suspend/route'
import { POST as create, GET as list } from '@/app/api/v1/tenants/route'
import { GET as stats } from '@/app/api/v1/tenants/stats/route'
import { asSuperuser, call, createTenant, createWorld, newUser, type TestUser } from '../support/world'

const { acme, globex, operators, stranger } = await createWorld()
const { super_admin, support } = operators
const ACTS = { activate, suspend, restore }

const act = (name: keyof typeof ACTS, id: string, as: TestUser | string | undefined, body?: unknown) =>
  call(ACTS[name], 'POST', `/api/v1/tenants/${id}/${name}`, {
    ...(as ? { as } : {}),
    params: { id },
    ...(body === undefined ? {} : { body }),
  })

const ON_ONE = { DELETE, GET, PATCH }
const tenantCall = (method: 'GET' | 'PATCH' | 'DELETE', id: string, as: TestUser, body?: unknown) =>
  call(ON_ONE[method], method, `/api/v1/tenants/${id}`, { as, params: { id }, ...(body === undefined ? {} : { body }) })

const auditOf = (tenant: { id: string }, action: string) =>
  asSuperuser<{ actor_kind: string; actor_id: string }>(
    'select actor_kind, actor_id from audit_logs where tenant_id = $1 and action = $2 order by id',
    [tenant.id, action],
  )

describe('the console', () => {
  test('is not there for anybody else', async () => {
    const reason = { reason: 'because' }
    for (const as of [stranger, acme.users.owner, acme.users.customer]) {
      for (const name of ['activate', 'suspend', 'restore'] as const)
        expect((await act(name, acme.id, as, reason)).status).toBe(404)
      expect((await call(stats, 'GET', '/api/v1/tenants/stats', { as })).status).toBe(404)
    }
    expect((await act('suspend', acme.id, undefined, reason)).status).toBe(401)
    expect((await act('suspend', acme.id, acme.api_key, reason)).status).toBe(401)
    expect((await call(stats, 'GET', '/api/v1/tenants/stats')).status).toBe(401)
  })

  test('support reads everything and changes nothing', async () => {
    expect((await tenantCall('GET', acme.id, support)).status).toBe(200)
    expect((await call(list, 'GET', '/api/v1/tenants', { as: support })).status).toBe(200)
    expect((await call(stats, 'GET', '/api/v1/tenants/stats', { as: support })).status).toBe(200)
    const refused = [
      await act('suspend', acme.id, support, { reason: 'because' }),
      await act('activate', acme.id, support),
      await tenantCall('PATCH', acme.id, support, { name: 'Changed' }),
      await tenantCall('DELETE', acme.id, support),
      await call(create, 'POST', '/api/v1/tenants', { as: support, body: { name: 'By support' } }),
      await call(create, 'POST', '/api/v1/tenants', { as: support, body: { nome: 1 } }),
      await act('restore', acme.id, support),
      await act('suspend', 'nobody', support),
    ]
    expect(refused.map(({ status }) => status)).toEqual(refused.map(() => 403))
    expect((await tenantCall('GET', acme.id, support)).body).toMatchObject({ name: acme.name, status: 'active' })
  })

  test('wrong input is named', async () => {
    expect((await act('suspend', acme.id, super_admin, { why: 'x' })).status).toBe(422)
    expect((await act('suspend', acme.id, super_admin, { reason: ' ' })).status).toBe(422)
    expect((await act('suspend', '01934d5c-0000-7000-8000-00000000dead', super_admin, { reason: 'x' })).status).toBe(
      404,
    )
    expect((await act('activate', "x' or true--", super_admin)).status).toBe(404)
    expect((await call(list, 'GET', '/api/v1/tenants?sort=upwards', { as: super_admin })).status).toBe(422)
    expect((await call(list, 'GET', '/api/v1/tenants?cursor=WyJ4IiwieSJd', { as: super_admin })).status).toBe(400)
    expect((await tenantCall('PATCH', acme.id, super_admin, { plan: 'gold' })).status).toBe(422)
    expect((await tenantCall('PATCH', acme.id, super_admin, { status: 'deleted' })).status).toBe(422)
    const half = await call(create, 'POST', '/api/v1/tenants', {
      as: super_admin,
      body: { name: 'Half an owner', owner_user_id: stranger.id },
    })
    expect(half.status).toBe(422)
  })
})

describe('suspension', () => {
  test('stops portal, sessions and keys at once, and activation brings them back at once', async () => {
    const tenant = await createTenant('halted')
    const doors = async () => [
      (await call(getMeters, 'GET', '/api/v1/meters', { as: tenant.users.owner, tenant })).status,
      (await call(getMeters, 'GET', '/api/v1/meters', { as: tenant.api_key })).status,
      (await call(info, 'GET', '/api/v1/tenant/info', { as: tenant.users.customer, host: 'halted.localhost:3000' }))
        .status,
    ]
    expect(await doors()).toEqual([200, 200, 200])
    const suspended = await act('suspend', tenant.id, super_admin, { reason: 'Invoice unpaid' })
    expect(suspended.body).toMatchObject({ status: 'suspended', suspended_reason: 'Invoice unpaid' })
    expect(await doors()).toEqual([423, 423, 423])
    expect((await act('suspend', tenant.id, super_admin, { reason: 'Again' })).body.suspended_reason).toBe(
      'Invoice unpaid',
    )
    const opened = await act('activate', 'halted', super_admin)
    expect(opened.body).toMatchObject({ status: 'active', suspended_at: null, suspended_reason: null })
    expect(await doors()).toEqual([200, 200, 200])
    expect((await act('activate', tenant.id, super_admin)).status).toBe(200)
    const unexplained = await act('suspend', tenant.id, super_admin)
    expect(unexplained).toMatchObject({ status: 200, body: { status: 'suspended', suspended_reason: null } })
    await act('activate', tenant.id, super_admin)
    for (const action of ['tenant.suspended', 'tenant.activated'])
      expect((await auditOf(tenant, action)).at(-1)).toEqual({ actor_kind: 'operator', actor_id: super_admin.id })
    expect(await auditOf(tenant, 'tenant.suspended')).toHaveLength(2)
  })
})

describe('deletion', () => {
  test('is soft, and a restored tenant is where it was', async () => {
    const tenant = await createTenant('buried')
    await act('suspend', tenant.id, super_admin, { reason: 'Fraud' })
    expect((await tenantCall('DELETE', tenant.id, super_admin)).body.status).toBe('deleted')
    expect((await act('activate', tenant.id, super_admin)).status).toBe(409)
    expect((await act('suspend', tenant.id, super_admin, { reason: 'x' })).status).toBe(409)
    expect((await tenantCall('PATCH', tenant.id, super_admin, { name: 'Ghost' })).status).toBe(409)
    expect((await tenantCall('GET', tenant.id, super_admin)).body.status).toBe('deleted')
    const back = await act('restore', tenant.id, super_admin)
    expect(back.body).toMatchObject({
      status: 'suspended',
      suspended_reason: 'Fraud',
      deleted_at: null,
      purge_after: null,
    })
    await act('activate', tenant.id, super_admin)
    await tenantCall('DELETE', tenant.id, super_admin)
    expect((await act('restore', tenant.id, super_admin)).body.status).toBe('active')
    expect((await act('restore', tenant.id, super_admin)).status).toBe(200)
    for (const status of ['past_due', 'read_only', 'pending']) {
      await asSuperuser('update tenants set status = $2::tenant_status where id = $1', [tenant.id, status])
      await tenantCall('DELETE', tenant.id, super_admin)
      expect((await act('restore', tenant.id, super_admin)).body.status).toBe(status)
    }
    await act('activate', tenant.id, super_admin)
    expect((await call(getMeters, 'GET', '/api/v1/meters', { as: tenant.api_key })).status).toBe(200)
  })

  test('after thirty days there is no way back', async () => {
    const tenant = await createTenant('too-late')
    await tenantCall('DELETE', tenant.id, super_admin)
    await asSuperuser("update tenants set purge_after = now() - interval '1 second' where id = $1", [tenant.id])
    expect((await act('restore', tenant.id, super_admin)).status).toBe(409)
  })
})

describe('tenants', () => {
  test('are made on any plan, with an owner or without, once for one key', async () => {
    const owner = newUser('handed')
    const body = {
      name: 'Handed Over',
      slug: 'handed-over',
      plan: 'enterprise',
      domain: 'portal.handed.example',
      ownerUserId: owner.id,
      ownerEmail: owner.email,
    }
    const headers = { 'idempotency-key': 'handed-over-1' }
    const made = await call(create, 'POST', '/api/v1/tenants', { as: super_admin, body, headers })
    expect(made.status).toBe(201)
    expect(made.body).toMatchObject({
      status: 'pending',
      plan_id: 'enterprise',
      owner_email: owner.email,
      members: 1,
      domains: [{ hostname: 'portal.handed.example', status: 'pending' }],
      placement: { database: 'main', kind: 'shared', state: 'placed' },
    })
    const again = await call(create, 'POST', '/api/v1/tenants', { as: super_admin, body, headers })
    expect([again.status, again.body.id]).toEqual([201, made.body.id])
    expect((await tenantCall('GET', 'handed-over', owner)).body.plan_id).toBe('enterprise')
    const wrong = await call(create, 'POST', '/api/v1/tenants', {
      as: super_admin,
      body: { name: 'On What', billing_plan: 'no-such-plan' },
    })
    expect([wrong.status, wrong.body.errors]).toEqual([422, [{ pointer: '/billing_plan', detail: 'is not a plan' }]])
    const pro = await call(create, 'POST', '/api/v1/tenants', {
      as: super_admin,
      body: { name: 'On Pro', billing_plan: 'pro' },
    })
    expect([pro.status, pro.body.plan_id]).toEqual([201, 'premium'])
    const change = async (body: unknown) => (await tenantCall('PATCH', pro.body.id, super_admin, body)).body
    expect(await change({ billingPlan: 'starter' })).toMatchObject({ plan_id: 'basic' })
    expect(await change({ plan: 'pro', billing_plan: 'pro', name: 'On Pro Again' })).toMatchObject({
      plan_id: 'premium',
    })
    expect(await change({ billing_plan: 'gold' })).toMatchObject({ errors: [{ pointer: '/billing_plan' }] })
    expect(await change({ plan: 'pro', billing_plan: 'free' })).toMatchObject({
      errors: [{ pointer: '/billing_plan' }],
    })
    expect(await change({ plan: 'pro', billingPlan: 'free' })).toMatchObject({ errors: [{ pointer: '/billingPlan' }] })
    const alone = await call(create, 'POST', '/api/v1/tenants', {
      as: super_admin,
      body: { name: 'Nobody’s Yet', plan: 'pro' },
    })
    expect(alone.body).toMatchObject({ plan_id: 'premium', owner_email: null, members: 0 })
  })

  test('are found by name, slug, id and a member’s address, filtered, and paged without gaps', async () => {
    for (let index = 0; index < 7; index += 1)
      await createTenant(`paged-${index + 2}`, { name: `Paged ${index}`, plan: 'free' })
    const read = async (query: string) =>
      (await call(list, 'GET', `/api/v1/tenants?${query}`, { as: support })).body as {
        data: { id: string; slug: string }[]
        next_cursor: string | null
      }
    for (const q of ['globex', globex.id, globex.users.compliance.email])
      expect((await read(`q=${encodeURIComponent(q)}`)).data.map(({ id }) => id)).toContain(globex.id)
    expect((await read('q=%25')).data).toEqual([])
    expect((await read('status=suspended')).data).toEqual([])
    expect((await read('status=deleted')).data.map(({ slug }) => slug)).toEqual(['too-late'])
    expect((await read('plan=starter')).data.map(({ slug }) => slug)).toEqual(['globex'])
    for (const sort of ['newest', 'oldest', 'name']) {
      const all = (await read(`sort=${sort}&limit=200`)).data.map(({ id }) => id)
      const walked: string[] = []
      let cursor: string | null = null
      do {
        const page = await read(`sort=${sort}&limit=3${cursor ? `&cursor=${cursor}` : ''}`)
        walked.push(...page.data.map(({ id }) => id))
        cursor = page.next_cursor
      } while (cursor)
      expect(walked).toEqual(all)
    }
    const newest = (await read('sort=newest&limit=200')).data.map(({ slug }) => slug)
    expect(newest.indexOf('paged-8')).toBeLessThan(newest.indexOf('paged-2'))
  })

  test('are counted as they are', async () => {
    const before = (await call(stats, 'GET', '/api/v1/tenants/stats', { as: support })).body
    const tenant = await createTenant('counted', { plan: 'custom', active: false })
    const after = (await call(stats, 'GET', '/api/v1/tenants/stats', { as: support })).body
    expect(after.total).toBe(before.total + 1)
    expect(after.by_status.pending).toBe(before.by_status.pending + 1)
    expect(after.by_plan.custom).toBe(before.by_plan.custom + 1)
    expect(after.created_per_day).toHaveLength(30)
    expect(after.created_per_day.at(-1).count).toBe(before.created_per_day.at(-1).count + 1)
    expect(after.onboarding).toMatchObject({
      started: before.onboarding.started + 1,
      completed: before.onboarding.completed,
    })
    await act('suspend', tenant.id, super_admin, { reason: 'Counting' })
    const suspended = (await call(stats, 'GET', '/api/v1/tenants/stats', { as: support })).body
    expect(suspended.suspensions.present).toBe(after.suspensions.present + 1)
    expect(suspended.suspensions.last_30_days).toBe(after.suspensions.last_30_days + 1)
    await act('activate', tenant.id, super_admin)
    const open = (await call(stats, 'GET', '/api/v1/tenants/stats', { as: support })).body
    expect(open.suspensions).toEqual({
      present: after.suspensions.present,
      last_30_days: suspended.suspensions.last_30_days,
    })
  })

  test('change their plan at once, on record', async () => {
    expect(
      (await tenantCall('PATCH', globex.id, super_admin, { plan: 'enterprise', name: 'Globex AG' })).body,
    ).toMatchObject({
      plan_id: 'enterprise',
      name: 'Globex AG',
    })
    const read = await call(info, 'GET', '/api/v1/tenant/info', { as: globex.users.member, tenant: globex })
    expect(read.body.plan.id).toBe('enterprise')
    expect((await auditOf(globex, 'tenant.updated')).at(-1)).toEqual({
      actor_kind: 'operator',
      actor_id: super_admin.id,
    })
  })
})
