import { describe, expect, test } from 'vitest'
import * as one from '@/app/api/v1/members/[id]/route'
import { GET as list } from '@/app/api/v1/members/route'
import { GET as getTenant } from '@/app/api/v1/tenants/[id]/route'
import { asSuperuser, call, createTenant, createWorld, type TestTenant, type TestUser } from '../support/world'

const { acme, globex, stranger } = await createWorld()

async function membershipOf(tenant: TestTenant, user: TestUser): Promise<string> {
  const [row] = await asSuperuser<{ id: string }>('select id from memberships where tenant_id = $1 and user_id = $2', [
    tenant.id,
    user.id,
  ])
  return row?.id ?? 'no such membership'
}

const roleOf = async (tenant: TestTenant, user: TestUser) =>
  (
    await asSuperuser<{ role: string }>('select role from memberships where tenant_id = $1 and user_id = $2', [
      tenant.id,
      user.id,
    ])
  )[0]?.role

async function change(tenant: TestTenant, whom: TestUser, role: string, as: TestUser | string) {
  const id = await membershipOf(tenant, whom)
  return call(one.PATCH, 'PATCH', `/api/v1/members/${id}`, { as, tenant, params: { id }, body: { role } })
}

async function remove(tenant: TestTenant, whom: TestUser, as: TestUser | string) {
  const id = await membershipOf(tenant, whom)
  return call(one.DELETE, 'DELETE', `/api/v1/members/${id}`, { as, tenant, params: { id } })
}

describe('list', () => {
  test('is for the people of the tenant', async () => {
    expect((await call(list, 'GET', '/api/v1/members', { tenant: acme })).status).toBe(401)
    expect((await call(list, 'GET', '/api/v1/members', { as: stranger, tenant: acme })).status).toBe(404)
    expect((await call(list, 'GET', '/api/v1/members', { as: globex.users.owner, tenant: acme })).status).toBe(404)
    expect((await call(list, 'GET', '/api/v1/members', { as: acme.users.customer, tenant: acme })).status).toBe(403)
    expect((await call(list, 'GET', '/api/v1/members?role=king', { as: acme.users.owner, tenant: acme })).status).toBe(
      422,
    )
    expect(
      (await call(list, 'GET', '/api/v1/members?cursor=made-up', { as: acme.users.owner, tenant: acme })).status,
    ).toBe(400)
  })

  test('shows them in pages, searched and by role', async () => {
    const read = async (query: string) =>
      (await call(list, 'GET', `/api/v1/members${query}`, { as: acme.users.member, tenant: acme })).body
    const all = await read('')
    expect(all.data.map((row: { role: string }) => row.role).sort()).toEqual(['admin', 'compliance', 'member', 'owner'])
    expect(Object.keys(all.data[0]).sort()).toEqual([
      'created_at',
      'email',
      'id',
      'name',
      'role',
      'updated_at',
      'user_id',
    ])
    const first = await read('?limit=3')
    const second = await read(`?limit=3&cursor=${first.next_cursor}`)
    expect([...first.data, ...second.data].map((row: { id: string }) => row.id)).toEqual(
      all.data.map((row: { id: string }) => row.id),
    )
    expect(second.next_cursor).toBeNull()
    expect((await read(`?q=${acme.users.admin.email}`)).data).toHaveLength(1)
    expect((await read('?q=100%25')).data).toHaveLength(0)
    expect((await read('?role=owner')).data).toHaveLength(1)
  })
})

describe('roles', () => {
  test('nobody outside, and nobody without the right, changes one', async () => {
    expect((await change(acme, acme.users.member, 'owner', stranger)).status).toBe(404)
    for (const role of ['member', 'compliance'] as const)
      expect((await change(acme, acme.users[role], 'owner', acme.users[role])).status).toBe(403)
    expect((await change(acme, acme.users.member, 'owner', acme.api_key)).status).toBe(403)
    expect((await change(acme, acme.users.member, 'king', acme.users.owner)).status).toBe(422)
    const id = await membershipOf(globex, globex.users.member)
    const foreign = await call(one.PATCH, 'PATCH', `/api/v1/members/${id}`, {
      as: acme.users.owner,
      tenant: acme,
      params: { id },
      body: { role: 'admin' },
    })
    expect(foreign.status).toBe(404)
    expect(await roleOf(globex, globex.users.member)).toBe('member')
  })

  test('nobody grants above their own role, or touches who is above them', async () => {
    expect((await change(acme, acme.users.member, 'owner', acme.users.admin)).status).toBe(403)
    expect((await change(acme, acme.users.admin, 'owner', acme.users.admin)).status).toBe(403)
    expect((await change(acme, acme.users.owner, 'member', acme.users.admin)).status).toBe(403)
    expect((await remove(acme, acme.users.owner, acme.users.admin)).status).toBe(403)
    expect(await roleOf(acme, acme.users.owner)).toBe('owner')
  })

  test('a change holds from the next request and is on record', async () => {
    const tenant = await createTenant('roles')
    const changed = await change(tenant, tenant.users.member, 'compliance', tenant.users.admin)
    expect(changed.status).toBe(200)
    expect(changed.body.role).toBe('compliance')
    const read = await call(list, 'GET', '/api/v1/members', { as: tenant.users.member, tenant })
    expect(read.status).toBe(200)
    const [entry] = await asSuperuser<{ actor_id: string; before: unknown; after: unknown }>(
      `select l.actor_id, d.before, d.after from audit_logs l join audit_details d using (tenant_id, id)
       where l.tenant_id = $1 and l.action = 'membership.updated'`,
      [tenant.id],
    )
    expect(entry).toMatchObject({
      actor_id: tenant.users.admin.id,
      before: { role: 'member' },
      after: { role: 'compliance' },
    })
    expect((await change(tenant, tenant.users.member, 'compliance', tenant.users.admin)).status).toBe(200)
  })

  test('the last owner stays one, also when two give it up at the same moment', async () => {
    const tenant = await createTenant('owners')
    const alone = await change(tenant, tenant.users.owner, 'admin', tenant.users.owner)
    expect(alone.status).toBe(409)
    expect(alone.body.reason).toBe('last_owner')
    expect((await remove(tenant, tenant.users.owner, tenant.users.owner)).status).toBe(409)
    expect((await change(tenant, tenant.users.admin, 'owner', tenant.users.owner)).status).toBe(200)
    const both = await Promise.all([
      change(tenant, tenant.users.owner, 'member', tenant.users.owner),
      remove(tenant, tenant.users.admin, tenant.users.admin),
    ])
    expect(both.map(({ status }) => (status < 300 ? 'done' : status)).sort()).toEqual([409, 'done'])
    const owners = await asSuperuser("select 1 from memberships where tenant_id = $1 and role = 'owner'", [tenant.id])
    expect(owners).toHaveLength(1)
  })
})

describe('removal', () => {
  test('everybody may leave, nobody may throw out others without the right', async () => {
    const tenant = await createTenant('leaving')
    expect((await remove(tenant, tenant.users.compliance, tenant.users.member)).status).toBe(403)
    expect((await remove(tenant, tenant.users.compliance, tenant.api_key)).status).toBe(403)
    expect((await remove(tenant, tenant.users.member, tenant.users.member)).status).toBe(204)
    expect(await roleOf(tenant, tenant.users.member)).toBeUndefined()
    expect((await remove(tenant, tenant.users.compliance, tenant.users.admin)).status).toBe(204)
    expect((await remove(tenant, tenant.users.compliance, tenant.users.admin)).status).toBe(404)
  })

  test('who was removed is a stranger at the next request, and so are their keys', async () => {
    const tenant = await createTenant('removed')
    expect((await change(tenant, tenant.users.admin, 'owner', tenant.users.owner)).status).toBe(200)
    const read = (as: TestUser | string) =>
      call(getTenant, 'GET', `/api/v1/tenants/${tenant.id}`, { as, params: { id: tenant.id } })
    expect((await read(tenant.api_key)).status).toBe(200)
    expect((await remove(tenant, tenant.users.owner, tenant.users.admin)).status).toBe(204)
    expect((await read(tenant.users.owner)).status).toBe(404)
    expect((await read(tenant.api_key)).status).toBe(401)
  })
})
