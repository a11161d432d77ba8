import { describe, expect, test } from 'vitest'
import { DELETE } from '@/app/api/v1/customer-logins/[id]/route'
import { POST as ACCEPT } from '@/app/api/v1/customer-logins/accept/route'
import { GET, POST } from '@/app/api/v1/customer-logins/route'
import { tenantQuery } from '@/libs/db/tenant-db'
import { forgetEnv } from '@/libs/env'
import { newId } from '@/libs/ids'
import { whileLocked } from '@/tests/support/while-locked'
import {
  asSuperuser,
  asSystem,
  call,
  createApiKey,
  createWorld,
  newUser,
  setStatus,
  type TestUser,
} from '@/tests/support/world'

const { acme, globex, stranger } = await createWorld()
const path = '/api/v1/customer-logins'
const portal = 'acme.localhost:3000'
const invite = (email: string, as: TestUser = acme.users.member) =>
  call(POST, 'POST', path, { as, tenant: acme, body: { customer_id: acme.customer.id, email } })
const accept = (token: string, as: TestUser, host = portal) =>
  call(ACCEPT, 'POST', `${path}/accept`, { as, host, body: { token } })

/** The link in the newest invitation that waits in the outbox. */
async function newestLink(): Promise<URL> {
  const [mail] = await asSuperuser<{ url: string }>(
    "select payload -> 'data' ->> 'url' as url from outbox where topic = 'email' order by id desc limit 1",
  )
  return new URL(mail?.url ?? '')
}

const newestToken = async (): Promise<string> => (await newestLink()).searchParams.get('token') ?? ''

describe('portal logins', () => {
  test('only members of the tenant invite and look', async () => {
    expect((await call(POST, 'POST', path, { tenant: acme, body: {} })).status).toBe(401)
    for (const as of [stranger, globex.users.owner]) expect((await invite('x@example.test', as)).status).toBe(404)
    for (const as of [acme.users.customer, acme.users.compliance])
      expect((await invite('x@example.test', as)).status).toBe(403)
  })

  test('wrong input is named, another tenant’s customer is not found', async () => {
    const { status, body } = await invite('not an address')
    expect([status, body.errors[0].pointer]).toEqual([422, '/email'])
    const foreign = { customer_id: globex.customer.id, email: 'x@example.test' }
    expect(await call(POST, 'POST', path, { as: acme.users.owner, tenant: acme, body: foreign })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/customer_id', detail: 'there is no such customer' }] },
    })
    const filtered = `${path}?customer_id=${globex.customer.id}`
    expect(await call(GET, 'GET', filtered, { as: acme.users.owner, tenant: acme })).toMatchObject({
      status: 404,
      body: { errors: [{ pointer: '/customer_id', detail: 'there is no such customer' }] },
    })
  })

  test('nobody is invited as a customer who is archived', async () => {
    const archived = (to: string | null) =>
      asSuperuser('update customers set archived_at = $2 where id = $1', [acme.customer.id, to])
    await archived('2026-01-01')
    expect(await invite('late@example.test')).toMatchObject({
      status: 409,
      body: { detail: 'This customer is archived; bring it back before you invite anybody.' },
    })
    await archived(null)
  })

  test('where tenants have no subdomains, the link leads to a domain of their own; without one nobody is invited', async () => {
    process.env.TENANT_SUBDOMAIN_ENABLED = 'false'
    forgetEnv()
    try {
      expect(await invite('no-address@example.test')).toMatchObject({ status: 409, body: { code: 'conflict' } })
      await asSuperuser(
        `insert into domains (tenant_id, id, hostname, status, verified_at) values
           ($1, gen_random_uuid(), 'younger.acme.test', 'verified', now()), ($1, gen_random_uuid(), 'pending.acme.test', 'pending', null),
           ($1, gen_random_uuid(), 'elder.acme.test', 'verified', now() - interval '1 day'),
           ($2, gen_random_uuid(), 'portal.globex.test', 'verified', now() - interval '2 days')`,
        [acme.id, globex.id],
      )
      expect((await invite('domain@example.test')).status).toBe(201)
      expect((await newestLink()).origin).toBe('http://elder.acme.test:3000')
    } finally {
      delete process.env.TENANT_SUBDOMAIN_ENABLED
      forgetEnv()
    }
    expect((await invite('subdomain@example.test')).status).toBe(201)
    expect((await newestLink()).origin).toBe('http://acme.localhost:3000')
  })

  test('whoever holds the token and the address gets in, once', async () => {
    const guest = newUser('guest')
    const { status, body } = await invite(guest.email.toUpperCase())
    expect([status, body.status, body.token_hash]).toEqual([201, 'invited', undefined])
    const token = await newestToken()
    const stored = await asSuperuser('select 1 from customer_logins where encode(token_hash, $1) = $2', [
      'escape',
      token,
    ])
    expect(stored).toEqual([])
    expect((await accept(token, stranger)).status).toBe(404)
    expect((await accept(token, guest, 'globex.localhost:3000')).status).toBe(404)
    const answers = await Promise.all([accept(token, guest), accept(token, guest)])
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 404])
    expect((await accept(token, guest)).status).toBe(404)
    const list = await call(GET, 'GET', `${path}?customer_id=${acme.customer.id}`, {
      as: acme.users.member,
      tenant: acme,
    })
    expect(list.body.data[0]).toMatchObject({ email: guest.email, status: 'accepted' })
    expect((await invite(guest.email)).status).toBe(409)
  })

  test('an invitation runs out, and inviting again replaces it', async () => {
    const guest = newUser('late')
    await invite(guest.email)
    const first = await newestToken()
    await invite(guest.email)
    expect((await accept(first, guest)).status).toBe(404)
    await asSuperuser("update customer_logins set expires_at = now() - interval '1 second' where email = $1", [
      guest.email,
    ])
    expect((await accept(await newestToken(), guest)).status).toBe(404)
    const { body } = await call(GET, 'GET', path, { as: acme.users.member, tenant: acme })
    const mine = body.data.filter((row: { email: string }) => row.email === guest.email)
    expect(mine.map((row: { status: string }) => row.status)).toEqual(['expired'])
  })

  test('strangers are not written to in masses: a tenant sends five hundred invitations a day', async () => {
    const ask = (tenant: typeof acme, email: string) =>
      call(POST, 'POST', path, {
        as: tenant.users.admin,
        tenant,
        body: { customer_id: tenant.customer.id, email },
      })
    await asSuperuser(
      "select app.count_auth_attempt('portal_invitations', $1, 500, 86400) from generate_series(1, 499)",
      [globex.id],
    )
    expect((await ask(globex, 'last@example.test')).status).toBe(201)
    const { status, body, headers } = await ask(globex, 'one-more@example.test')
    expect([status, body.code, Number(headers.get('retry-after')) > 86_000]).toEqual([429, 'rate_limited', true])
    expect((await ask(acme, 'one-more@example.test')).status).toBe(201)
    await asSuperuser("select app.return_auth_attempts('portal_invitations', $1, null)", [globex.id])
  })

  test('a mailbox is not filled from here: an address is invited five times an hour, and each tenant counts alone', async () => {
    const ask = (tenant: typeof acme) =>
      call(POST, 'POST', path, {
        as: tenant.users.admin,
        tenant,
        body: { customer_id: tenant.customer.id, email: 'often@example.test' },
      })
    for (let time = 1; time <= 5; time += 1) expect((await ask(acme)).status).toBe(201)
    const { status, body, headers } = await ask(acme)
    expect([status, body.code, Number(headers.get('retry-after')) > 3_500]).toEqual([429, 'rate_limited', true])
    expect((await ask(globex)).status).toBe(201)
    const [mails] = await asSuperuser(
      "select count(*)::int as sent from outbox where topic = 'email' and payload ->> 'to' = 'often@example.test'",
    )
    expect(mails).toEqual({ sent: 6 })
  })

  test('who is invited by two at once has one invitation', async () => {
    const twice = newUser('twice')
    // Both have looked before either can write.
    const both = await whileLocked(
      'lock table customer_logins in share mode',
      () => Promise.all([invite(twice.email), invite(twice.email)]),
      { waiting: 2 },
    )
    expect(both.map(({ status }) => status)).toEqual([201, 201])
    expect(await asSuperuser('select 1 from customer_logins where email = $1', [twice.email])).toHaveLength(1)
  })

  test('nobody gets in while the tenant takes nothing, and the invitation waits', async () => {
    const guest = newUser('patient')
    await invite(guest.email)
    const token = await newestToken()
    const states: [string, number][] = [
      ['suspended', 423],
      ['read_only', 423],
      ['pending', 404],
      ['active', 200],
    ]
    for (const [status, expected] of states) {
      await setStatus(acme, status)
      expect([status, (await accept(token, guest)).status]).toEqual([status, expected])
    }
  })

  test('an invitation ends with the right of who gave it, by hand or by key; what was accepted stays', async () => {
    const helper = newUser('helper')
    const membership = newId()
    await asSystem(acme, () =>
      tenantQuery('insert into memberships (id, user_id, email, role) values ($1, $2, $3, $4)', [
        membership,
        helper.id,
        helper.email,
        'admin',
      ]),
    )
    const { key } = await createApiKey(acme, ['customers:read', 'customers:write'], helper)
    const guests = ['by-hand', 'by-key', 'by-other', 'came'].map((name) => newUser(name))
    const [byHand, byKey, byOther, came] = guests as [TestUser, TestUser, TestUser, TestUser]
    const tokens = new Map<TestUser, string>()
    const note = async (guest: TestUser, answer: { status: number }) => {
      expect(answer.status).toBe(201)
      tokens.set(guest, await newestToken())
    }
    await note(byHand, await invite(byHand.email, helper))
    const body = { customer_id: acme.customer.id, email: byKey.email }
    await note(byKey, await call(POST, 'POST', path, { headers: { authorization: `Bearer ${key}` }, body }))
    await note(byOther, await invite(byOther.email))
    await note(came, await invite(came.email, helper))
    const enter = async (guest: TestUser) => (await accept(tokens.get(guest) ?? '', guest)).status
    expect(await enter(came)).toBe(200)
    await asSystem(acme, () => tenantQuery("update memberships set role = 'compliance' where id = $1", [membership]))
    expect([await enter(byHand), await enter(byKey), await enter(byOther)]).toEqual([404, 404, 200])
    const { body: list } = await call(GET, 'GET', path, { as: acme.users.member, tenant: acme })
    const shown = list.data.map((row: { email: string }) => row.email)
    expect(guests.filter(({ email }) => shown.includes(email))).toEqual([byOther, came])
  })

  test('a login that is ended stops at once; another tenant’s cannot be', async () => {
    const remove = (id: string, as: TestUser) =>
      call(DELETE, 'DELETE', `${path}/${id}`, { as, tenant: globex, params: { id } })
    const { body } = await call(GET, 'GET', path, { as: acme.users.member, tenant: acme })
    const id: string = body.data[0].id
    expect((await remove(id, globex.users.owner)).status).toBe(404)
    const own = { as: acme.users.member, tenant: acme, params: { id } }
    expect((await call(DELETE, 'DELETE', `${path}/${id}`, own)).status).toBe(204)
    expect((await call(DELETE, 'DELETE', `${path}/${id}`, own)).status).toBe(404)
  })

  test('inviting and accepting are in the audit log, without the token', async () => {
    const rows = await asSuperuser<{ action: string; text: string }>(
      "select action, coalesce(before, '{}')::text || coalesce(after, '{}')::text as text from audit_logs join audit_details using (tenant_id, id) where target_type = 'customer_login' and tenant_id = $1",
      [acme.id],
    )
    expect(new Set(rows.map((row) => row.action))).toEqual(
      new Set(['customer_login.created', 'customer_login.updated', 'customer_login.deleted']),
    )
    for (const { text } of rows) expect(text).not.toContain('token_hash')
  })
})
