// What the product itself tracks: the steps of the people of a tenant, in the transaction of the step.
import { expect, test } from 'vitest'
import { GET } from '@/app/api/v1/analytics-events/route'
import { POST as createKey } from '@/app/api/v1/api-keys/route'
import { POST as accept } from '@/app/api/v1/customer-logins/accept/route'
import { POST as invite } from '@/app/api/v1/customer-logins/route'
import { POST as createTenant } from '@/app/api/v1/tenants/route'
import { recordAuthAct } from '@/features/auth/services/auth-records'
import { findTenantRouting } from '@/libs/tenancy/resolve-tenant'
import { asSuperuser, call, createWorld, newUser, setStatus, type TestTenant } from '../support/world'

const { acme, globex, stranger } = await createWorld()

async function readEvents(tenant: TestTenant, event: string): Promise<Record<string, unknown>[]> {
  const { status, body } = await call(GET, 'GET', `/api/v1/analytics-events?event=${event}`, {
    as: tenant.users.owner,
    tenant,
  })
  expect(status).toBe(200)
  return (body as { data: Record<string, unknown>[] }).data
}

const facts = { requestId: 'request-1', ip: null, userAgent: null }

test('a sign-in is tracked where the person belongs, and nowhere else', async () => {
  const { member } = acme.users
  await recordAuthAct('signed_in', member, null, facts)
  expect(await readEvents(acme, 'signed_in')).toEqual([
    expect.objectContaining({ distinct_id: member.id, properties: { place: 'dashboard' }, source: 'server' }),
  ])
  expect(await readEvents(globex, 'signed_in')).toEqual([])
})

test('a stranger who signs in on a portal is not tracked there, its customer is', async () => {
  const portal = await findTenantRouting({ id: globex.id })
  await recordAuthAct('signed_in', stranger, portal, facts)
  expect(await readEvents(globex, 'signed_in')).toEqual([])
  await recordAuthAct('signed_in', globex.users.customer, portal, facts)
  expect(await readEvents(globex, 'signed_in')).toEqual([
    expect.objectContaining({ distinct_id: globex.users.customer.id, properties: { place: 'portal' } }),
  ])
})

test('a sign-in to a read-only tenant is tracked, and stays in the audit log', async () => {
  await setStatus(globex, 'read_only')
  await recordAuthAct('signed_in', globex.users.admin, null, facts)
  await setStatus(globex, 'active')
  const mine = (await readEvents(globex, 'signed_in')).filter(
    ({ distinct_id }) => distinct_id === globex.users.admin.id,
  )
  expect(mine).toHaveLength(1)
  const entries = await asSuperuser('select 1 from audit_logs where tenant_id = $1 and action = $2 and actor_id = $3', [
    globex.id,
    'user.signed_in',
    globex.users.admin.id,
  ])
  expect(entries).toHaveLength(1)
})

test('a new key is tracked without anything of the key', async () => {
  const body = { name: 'Server', permissions: ['usage:write'] }
  const created = await call(createKey, 'POST', '/api/v1/api-keys', { as: acme.users.owner, tenant: acme, body })
  expect(created.status).toBe(201)
  const [event, ...more] = await readEvents(acme, 'api_key_created')
  expect(more).toEqual([])
  expect(event).toMatchObject({ distinct_id: acme.users.owner.id, properties: { mode: 'live', permissions: 1 } })
  expect(JSON.stringify(event)).not.toContain(created.body.key.slice(0, 8))
  // Refused: nothing was made, so nothing is tracked.
  const refused = await call(createKey, 'POST', '/api/v1/api-keys', { as: acme.users.member, tenant: acme, body })
  expect(refused.status).toBe(403)
  expect(await readEvents(acme, 'api_key_created')).toHaveLength(1)
})

test('a new tenant begins with its own event, once however often it is asked for', async () => {
  const owner = newUser('founder')
  const options = { as: owner, body: { name: 'Fresh Start' }, headers: { 'idempotency-key': 'fresh-start-1' } }
  for (const expected of [201, 201]) {
    const { status } = await call(createTenant, 'POST', '/api/v1/tenants', options)
    expect([expected, 200]).toContain(status)
  }
  const events = await asSuperuser(
    'select event, distinct_id, properties from analytics_events where distinct_id = $1',
    [owner.id],
  )
  expect(events).toEqual([{ event: 'tenant_created', distinct_id: owner.id, properties: { plan: 'free' } }])
})

test('an accepted invitation is a sign-up of the tenant’s portal', async () => {
  const person = newUser('guest')
  const body = { customer_id: acme.customer.id, email: person.email }
  expect(
    (await call(invite, 'POST', '/api/v1/customer-logins', { as: acme.users.owner, tenant: acme, body })).status,
  ).toBe(201)
  const [mail] = await asSuperuser<{ url: string }>(
    "select payload -> 'data' ->> 'url' as url from outbox where topic = 'email' and payload ->> 'to' = $1",
    [person.email],
  )
  const token = new URL(mail?.url ?? '').searchParams.get('token')
  const host = `acme.${process.env.ROOT_DOMAIN ?? 'localhost:3000'}`
  const send = () => call(accept, 'POST', '/api/v1/customer-logins/accept', { as: person, host, body: { token } })
  expect((await send()).status).toBe(200)
  expect((await send()).status).toBe(404)
  expect(await readEvents(acme, 'signed_up')).toEqual([
    expect.objectContaining({ distinct_id: person.id, properties: { method: 'invitation' } }),
  ])
})
