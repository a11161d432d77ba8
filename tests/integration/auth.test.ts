import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, inject, test } from 'vitest'
import { POST as forgotPassword } from '@/app/api/auth/forgot-password/route'
import { POST as resetPassword } from '@/app/api/auth/reset-password/route'
import { POST as signIn } from '@/app/api/auth/sign-in/route'
import { POST as signOut } from '@/app/api/auth/sign-out/route'
import { POST as signUp } from '@/app/api/auth/sign-up/route'
import { GET as me } from '@/app/api/v1/me/route'
import { GET as getTenant } from '@/app/api/v1/tenants/[id]/route'
import { GET as listTenants, POST as makeTenant } from '@/app/api/v1/tenants/route'
import { GET as tenantStats } from '@/app/api/v1/tenants/stats/route'
import { GET as confirm } from '@/app/auth/confirm/route'
import { toRelativePath } from '@/libs/auth/relative-path'
import { refreshSession } from '@/libs/supabase/refresh-session'
import { forgetTenantRouting } from '@/libs/tenancy/resolve-tenant'
import {
  type Answer,
  asSuperuser,
  call,
  createTenant,
  createWorld,
  newUser,
  setStatus,
  tokenFor,
} from '../support/world'

const { acme } = await createWorld()
const PAGE = { 'sec-fetch-site': 'same-origin' }
const password = 'correct horse battery'

const post = (handler: typeof signIn, path: string, body: unknown, options: Parameters<typeof call>[3] = {}) =>
  call(handler, 'POST', path, { body, ...options, headers: { ...PAGE, ...options.headers } })

/** The cookies an answer sets, as a browser would send them back; removed ones are left out. */
function cookiesOf(answer: Answer): string {
  return answer.headers
    .getSetCookie()
    .filter((cookie) => !/max-age=0/i.test(cookie))
    .map((cookie) => cookie.split(';')[0])
    .join('; ')
}

async function newAccount(name: string): Promise<{ id: string; email: string; cookie: string }> {
  const { email } = newUser(name)
  const answer = await post(signUp, '/api/auth/sign-up', { email, password })
  expect(answer.status).toBe(200)
  return { id: answer.body.user.id, email, cookie: cookiesOf(answer) }
}

/** The link of the newest mail to an address. */
async function readMailLink(email: string): Promise<URL> {
  const directory = join(inject('cluster').directory, 'mail')
  for (let waited = 0; waited < 30_000; waited += 50) {
    for (const file of readdirSync(directory).sort().reverse()) {
      const text = readFileSync(join(directory, file), 'utf8')
        .replaceAll(/=\r?\n/g, '')
        .replaceAll('=3D', '=')
      const link = text.includes(email) ? /https?:\/\/\S+?token_hash=[^\s"'<]+/.exec(text)?.[0] : undefined
      if (link) return new URL(link.replaceAll('&amp;', '&'))
    }
    await sleep(50)
  }
  throw new Error(`No mail to ${email}`)
}

describe('sign-in', () => {
  test('a page of another site, and a sibling tenant, cannot sign anybody in', async () => {
    const body = { email: 'somebody@example.test', password }
    for (const headers of [
      {},
      { 'sec-fetch-site': 'same-site' },
      { 'sec-fetch-site': 'cross-site' },
      { origin: 'http://globex.localhost:3000' },
      { origin: 'null' },
    ] as Record<string, string>[]) {
      const answer = await call(signIn, 'POST', '/api/auth/sign-in', { body, headers, host: 'acme.localhost:3000' })
      expect(answer.status).toBe(403)
    }
  })

  test('an unknown address and a wrong password get the same words after the same time', {
    timeout: 60_000,
  }, async () => {
    const { email } = await newAccount('known')
    // The slow answer of an account that is there sets the pace of this machine.
    await post(signIn, '/api/auth/sign-in', { email, password: 'wrong password' })
    const times: number[][] = [[], []]
    const answers: string[] = []
    for (let round = 0; round < 4; round += 1) {
      for (const [index, who] of [newUser('nobody').email, email].entries()) {
        const started = performance.now()
        const answer = await post(signIn, '/api/auth/sign-in', { email: who, password: 'wrong password' })
        times[index]?.push(performance.now() - started)
        expect(answer.status).toBe(401)
        expect(answer.headers.getSetCookie()).toEqual([])
        answers.push(JSON.stringify({ ...answer.body, request_id: '' }))
      }
    }
    expect(new Set(answers).size).toBe(1)
    // The one in the middle: answers wait for full steps of time, and the pace may change once as the machine grows busy.
    const [unknown = 0, wrong = 0] = times.map((list) => list.sort((a, b) => a - b)[2] ?? 0)
    expect(Math.abs(unknown - wrong), JSON.stringify(times)).toBeLessThan(150)
  })

  test('what is not an e-mail address, or not a known field, is named', async () => {
    const answer = await post(signIn, '/api/auth/sign-in', { email: 'nope', password: '', remember: true })
    expect(answer.status).toBe(422)
    expect(answer.body.errors.map((error: { pointer: string }) => error.pointer).sort()).toEqual([
      '/email',
      '/password',
      '/remember',
    ])
  })

  test('a host that is nobody’s has no sign-in, a suspended portal is closed', async () => {
    const body = { email: 'a@example.test', password }
    expect((await post(signIn, '/api/auth/sign-in', body, { host: 'nobody.localhost:3000' })).status).toBe(404)
    expect((await post(signIn, '/api/auth/sign-in', body, { host: 'a.b.localhost:3000' })).status).toBe(404)
    const closed = await createTenant('closed')
    await setStatus(closed, 'suspended')
    expect((await post(signIn, '/api/auth/sign-in', body, { host: 'closed.localhost:3000' })).status).toBe(423)
  })

  test('success sets one host-only cookie out of reach of scripts, and it is the session', async () => {
    const { id, email } = await newAccount('fine')
    const answer = await post(signIn, '/api/auth/sign-in', { email: email.toUpperCase(), password, next: '/acme?a=1' })
    expect(answer.status).toBe(200)
    expect(answer.body).toEqual({ status: 'signed_in', user: { id, email }, redirect_to: '/acme?a=1' })
    const session = answer.headers.getSetCookie().find((cookie) => cookie.startsWith('hf-session='))
    expect(session).toMatch(/; HttpOnly/i)
    expect(session).toMatch(/; SameSite=Lax/i)
    expect(session).toMatch(/; Path=\//i)
    expect(session).not.toMatch(/domain=/i)
    expect(answer.headers.get('cache-control')).toMatch(/no-store/)
    const known = await call(me, 'GET', '/api/v1/me', { headers: { cookie: cookiesOf(answer) } })
    expect(known.body).toEqual({ user: { id, email }, operator: null, tenants: [] })
  })

  test('over https the cookie is Secure and has the __Host- prefix', async () => {
    const { email } = await newAccount('secure')
    const answer = await post(
      signIn,
      '/api/auth/sign-in',
      { email, password },
      { headers: { 'x-forwarded-proto': 'https' } },
    )
    const session = answer.headers.getSetCookie().find((cookie) => cookie.startsWith('__Host-hf-session='))
    expect(session).toMatch(/; Secure/i)
  })

  test('where to go afterwards is a path on this host', async () => {
    const { email } = await newAccount('paths')
    const answer = await post(signIn, '/api/auth/sign-in', { email, password, next: 'https://evil.example/' })
    expect(answer.body.redirect_to).toBe('/create-tenant')
    for (const target of [
      '//evil.example',
      '/\\evil.example',
      '\\\\evil.example',
      'javascript:alert(1)',
      'evil',
      '/\t/evil.example',
      '/..//evil.example',
      '/api/v1/me',
      '/auth/confirm?token_hash=x',
      '',
    ]) {
      expect(toRelativePath(target, '/home')).toBe('/home')
    }
    expect(toRelativePath('/acme/usage?range=30d#top')).toBe('/acme/usage?range=30d#top')
  })

  /** So many were let through to the auth server, which refused them or had too much to do; the others were held back. */
  function expectTried(tries: readonly { status: number }[], { most }: { most: number }): void {
    const statuses = tries.map(({ status }) => status)
    expect(statuses.filter((status) => status === 429)).toHaveLength(tries.length - most)
    expect(statuses.filter((status) => ![401, 429, 503].includes(status))).toEqual([])
    expect(statuses).toContain(401)
  }

  test('the eleventh wrong try for an account waits, also with the right password and from elsewhere', async () => {
    const { email } = await newAccount('guessed')
    const attempt = (secret: string, ip: string) =>
      post(signIn, '/api/auth/sign-in', { email, password: secret }, { headers: { 'x-forwarded-for': ip } })
    const tries = await Promise.all(Array.from({ length: 12 }, (_, n) => attempt('wrong password', `198.51.100.${n}`)))
    expectTried(tries, { most: 10 })
    const late = await attempt(password, '203.0.113.9')
    expect(late.status).toBe(429)
    expect(Number(late.headers.get('retry-after'))).toBeGreaterThan(60)
    expect(Number(late.headers.get('retry-after'))).toBeLessThanOrEqual(900)
    expect(late.body.code).toBe('rate_limited')
  })

  test('one address cannot try account after account', async () => {
    const attempt = (n: number) =>
      post(
        signIn,
        '/api/auth/sign-in',
        { email: `victim-${n}@example.test`, password: 'wrong password' },
        {
          headers: { 'x-forwarded-for': '192.0.2.77' },
        },
      )
    const tries = await Promise.all(Array.from({ length: 105 }, (_, n) => attempt(n)))
    expectTried(tries, { most: 100 })
  })
})

describe('records', () => {
  const rowsOf = (tenantId: string, action: string) =>
    asSuperuser<{ outcome: string; actor_id: string; actor_label: string; ip: string; target_id: string | null }>(
      `select l.outcome, l.actor_id, d.actor_label, host(d.ip) as ip, l.target_id from audit_logs l
       join audit_details d using (tenant_id, id) where l.tenant_id = $1 and l.action = $2 order by l.id`,
      [tenantId, action],
    )

  test('sign-ins are in the audit log of the tenants they concern, and of no other', async () => {
    const account = await newAccount('recorded')
    const [home, other] = [await createTenant('home'), await createTenant('elsewhere')]
    await asSuperuser('insert into memberships (tenant_id, id, user_id, email, role) values ($1, $2, $2, $3, $4)', [
      home.id,
      account.id,
      account.email,
      'member',
    ])
    const headers = { 'x-forwarded-for': '198.51.100.200' }
    await post(signIn, '/api/auth/sign-in', { email: account.email, password: 'wrong password' }, { headers })
    const answer = await post(signIn, '/api/auth/sign-in', { email: account.email, password }, { headers })
    expect(answer.body.redirect_to).toBe('/home')
    expect(await rowsOf(home.id, 'user.sign_in_failed')).toEqual([
      { outcome: 'failure', actor_id: 'visitor', actor_label: account.email, ip: '198.51.100.200', target_id: null },
    ])
    expect(await rowsOf(home.id, 'user.signed_in')).toEqual([
      {
        outcome: 'success',
        actor_id: account.id,
        actor_label: account.email,
        ip: '198.51.100.200',
        target_id: account.id,
      },
    ])
    expect(await rowsOf(other.id, 'user.signed_in')).toEqual([])
    // A stranger to a portal leaves no trace of success there, a wrong password does.
    await post(signIn, '/api/auth/sign-in', { email: account.email, password }, { host: 'elsewhere.localhost:3000' })
    expect(await rowsOf(other.id, 'user.signed_in')).toEqual([])
    await post(
      signIn,
      '/api/auth/sign-in',
      { email: account.email, password: 'wrong again' },
      { host: 'elsewhere.localhost:3000' },
    )
    expect(await rowsOf(other.id, 'user.sign_in_failed')).toHaveLength(1)
    expect(await rowsOf(home.id, 'user.sign_in_failed')).toHaveLength(1)
  })

  test('signing out ends the session here and at the auth server', async () => {
    const account = await newAccount('leaving')
    const answer = await post(signOut, '/api/auth/sign-out', undefined, { headers: { cookie: account.cookie } })
    expect(answer.body).toEqual({ status: 'signed_out' })
    const cleared = answer.headers.getSetCookie().filter((cookie) => cookie.startsWith('hf-session'))
    expect(cleared.length).toBeGreaterThan(0)
    expect(cleared.every((cookie) => /max-age=0/i.test(cookie))).toBe(true)
    expect(cookiesOf(answer)).toBe('')
    expect((await call(me, 'GET', '/api/v1/me', { headers: { cookie: cookiesOf(answer) } })).status).toBe(401)
    // A copy of the cookie is worth nothing either, though its access token has not run out.
    const copy = { headers: { cookie: account.cookie } }
    expect((await call(me, 'GET', '/api/v1/me', copy)).status).toBe(401)
    const { access_token } = readCookie(account.cookie)
    expect((await call(me, 'GET', '/api/v1/me', { headers: { authorization: `Bearer ${access_token}` } })).status).toBe(
      401,
    )
    // The refresh token is dead as well: a copy of the cookie cannot be renewed.
    const renewed = await refreshSession(expiring(account.cookie))
    expect(renewed?.cookie ?? '').not.toContain('hf-session=')
  })

  test('a page that was open until its token ran out ends the session all the same, and once', async () => {
    const account = await newAccount('long-open')
    const home = await createTenant('long-open')
    await asSuperuser('insert into memberships (tenant_id, id, user_id, email, role) values ($1, $2, $2, $3, $4)', [
      home.id,
      account.id,
      account.email,
      'member',
    ])
    const session = readCookie(account.cookie)
    const { session_id } = JSON.parse(Buffer.from(session.access_token.split('.')[1] ?? '', 'base64url').toString())
    const access_token = await tokenFor(account, { claims: { session_id }, seconds: -7_200 })
    const old = { ...session, access_token, expires_at: Math.floor(Date.now() / 1_000) - 7_200 }
    const cookie = `hf-session=base64-${Buffer.from(JSON.stringify(old)).toString('base64url')}`
    const statusOfCopy = async () =>
      (await call(me, 'GET', '/api/v1/me', { headers: { cookie: account.cookie } })).status
    expect(await statusOfCopy()).toBe(200)
    // The token itself opens nothing any more.
    expect((await call(me, 'GET', '/api/v1/me', { headers: { authorization: `Bearer ${access_token}` } })).status).toBe(
      401,
    )
    for (let time = 1; time <= 2; time += 1)
      expect((await post(signOut, '/api/auth/sign-out', undefined, { headers: { cookie } })).status).toBe(200)
    expect(await statusOfCopy()).toBe(401)
    expect(await rowsOf(home.id, 'user.signed_out')).toHaveLength(1)
  })

  test('whoever has the portal of a suspended tenant open can sign out of it: it may open again', async () => {
    const { email } = await newAccount('closed-out')
    const tenant = await createTenant('closing')
    const host = 'closing.localhost:3000'
    const cookie = cookiesOf(await post(signIn, '/api/auth/sign-in', { email, password }, { host }))
    const status = async () => (await call(me, 'GET', '/api/v1/me', { headers: { cookie }, host })).status
    expect(await status()).toBe(200)
    await setStatus(tenant, 'suspended')
    forgetTenantRouting()
    expect((await post(signIn, '/api/auth/sign-in', { email, password }, { host })).status).toBe(423)
    const answer = await post(signOut, '/api/auth/sign-out', undefined, { headers: { cookie }, host })
    expect([answer.status, cookiesOf(answer)]).toEqual([200, ''])
    expect(answer.headers.getSetCookie().join()).toContain('hf-session=;')
    await setStatus(tenant, 'active')
    expect(await status()).toBe(401)
  })
})

/** What is in a session cookie. */
function readCookie(cookie: string): { access_token: string } {
  const value = cookie
    .split('; ')
    .find((part) => part.startsWith('hf-session='))
    ?.slice('hf-session='.length)
  return JSON.parse(Buffer.from((value ?? '').replace('base64-', ''), 'base64url').toString())
}

/** The request of a browser whose access token is about to run out. */
function expiring(cookie: string): Request {
  const old = { ...readCookie(cookie), expires_at: Math.floor(Date.now() / 1_000) + 30 }
  const encoded = `base64-${Buffer.from(JSON.stringify(old)).toString('base64url')}`
  return new Request('http://app.localhost:3000/', { headers: { cookie: `hf-session=${encoded}; theme=dark` } })
}

describe('sessions', () => {
  test('one that runs out within a minute is renewed, once for all requests of a page', async () => {
    const { cookie, id, email } = await newAccount('renewed')
    expect(await refreshSession(new Request('http://app.localhost:3000/', { headers: { cookie } }))).toBeNull()
    expect(await refreshSession(new Request('http://app.localhost:3000/'))).toBeNull()
    const [first, second] = await Promise.all([refreshSession(expiring(cookie)), refreshSession(expiring(cookie))])
    expect(first, cookie).not.toBeNull()
    expect(second).toEqual(first)
    expect(first?.setCookies.join()).toMatch(/hf-session=base64-[^;]+;.*HttpOnly/i)
    expect(first?.cookie).toContain('theme=dark')
    const known = await call(me, 'GET', '/api/v1/me', { headers: { cookie: first?.cookie ?? '' } })
    expect(known.body.user).toEqual({ id, email })
  })

  test('one that was opened on a portal is good on the hosts of that tenant alone, by cookie and by bearer', async () => {
    const { email, id } = await newAccount('portal-only')
    const [own, foreign] = [await createTenant('harbour'), await createTenant('airport')]
    await asSuperuser(
      "insert into domains (tenant_id, id, hostname, status) values ($1, $1, 'portal.harbour.test', 'verified')",
      [own.id],
    )
    for (const tenant of [own, foreign])
      await asSuperuser('insert into memberships (tenant_id, id, user_id, email, role) values ($1, $2, $2, $3, $4)', [
        tenant.id,
        id,
        email,
        'owner',
      ])
    const host = 'harbour.localhost:3000'
    const cookie = cookiesOf(await post(signIn, '/api/auth/sign-in', { email, password }, { host }))
    const renewed = (await refreshSession(expiring(cookie)))?.cookie ?? ''
    for (const session of [cookie, renewed]) {
      const bearer = { authorization: `Bearer ${readCookie(session).access_token}` }
      for (const headers of [{ cookie: session }, bearer]) {
        const statusOn = async (where: string) =>
          (await call(me, 'GET', '/api/v1/me', { headers: headers as Record<string, string>, host: where })).status
        for (const there of [host, 'www.harbour.localhost', 'portal.harbour.test'])
          expect([there, await statusOn(there)]).toEqual([there, 200])
        for (const elsewhere of ['app.localhost:3000', 'airport.localhost:3000', 'localhost:3001', '127.0.0.1'])
          expect([elsewhere, await statusOn(elsewhere)]).toEqual([elsewhere, 401])
      }
    }
    // There it knows of nothing beyond the tenant, whoever else its user is.
    await asSuperuser("insert into operators (user_id, email, role) values ($1, $2, 'super_admin')", [id, email])
    const asked = { headers: { cookie, ...PAGE }, host }
    const { body: known } = await call(me, 'GET', '/api/v1/me', asked)
    expect([known.operator, known.tenants.map(({ slug }: { slug: string }) => slug)]).toEqual([null, ['harbour']])
    expect((await call(listTenants, 'GET', '/api/v1/tenants', asked)).status).toBe(404)
    expect((await call(makeTenant, 'POST', '/api/v1/tenants', { ...asked, body: { name: 'Another' } })).status).toBe(
      404,
    )
    expect((await call(tenantStats, 'GET', '/api/v1/tenants/stats', asked)).status).toBe(404)
    const askedOf = (tenant: { id: string }) =>
      call(getTenant, 'GET', `/api/v1/tenants/${tenant.id}`, { ...asked, params: { id: tenant.id } })
    expect([(await askedOf(own)).status, (await askedOf(foreign)).status]).toEqual([200, 403])
    // Once it has ended nothing is kept of where it was good.
    const kept = () => asSuperuser('select 1 from portal_sessions where user_id = $1', [id])
    expect(await kept()).toHaveLength(1)
    expect((await post(signOut, '/api/auth/sign-out', undefined, { headers: { cookie }, host })).status).toBe(200)
    expect(await kept()).toEqual([])
    expect((await call(me, 'GET', '/api/v1/me', { headers: { cookie }, host })).status).toBe(401)
  })

  test('a broken cookie is no session, and no error', async () => {
    for (const cookie of ['hf-session=', 'hf-session=base64-%%%', 'hf-session=base64-e30', 'hf-session=null']) {
      expect(await refreshSession(new Request('http://app.localhost:3000/', { headers: { cookie } }))).toBeNull()
      expect((await call(me, 'GET', '/api/v1/me', { headers: { cookie } })).status).toBe(401)
    }
  })
})

describe('sign-up', () => {
  test('a short password is refused', async () => {
    const answer = await post(signUp, '/api/auth/sign-up', { email: newUser('short').email, password: 'seven77' })
    expect(answer.status).toBe(422)
    expect(answer.body.errors[0].pointer).toBe('/password')
  })

  test('an address that has an account is told to look into its mail, where a way back in is', async () => {
    const { email } = await newAccount('twice')
    const answer = await post(signUp, '/api/auth/sign-up', { email, password: 'another password' })
    expect(answer.status).toBe(200)
    expect(answer.body).toEqual({ status: 'check_mail' })
    expect(cookiesOf(answer)).not.toContain('hf-session=')
    expect((await readMailLink(email)).searchParams.get('type')).toBe('recovery')
    expect((await post(signIn, '/api/auth/sign-in', { email, password: 'another password' })).status).toBe(401)
  })

  test('somebody new is signed in and goes on to make a tenant', async () => {
    const { email } = newUser('new')
    const answer = await post(signUp, '/api/auth/sign-up', { email, password })
    expect(answer.body).toMatchObject({ status: 'signed_in', user: { email }, redirect_to: '/create-tenant' })
  })
})

describe('a forgotten password', () => {
  test('an unknown address gets the same answer as a known one', async () => {
    const known = await newAccount('forgetful')
    const answers = []
    for (const email of [known.email, newUser('unknown').email])
      answers.push(await post(forgotPassword, '/api/auth/forgot-password', { email }))
    expect(answers.map(({ status, text }) => ({ status, text }))).toEqual([
      { status: 200, text: '{"status":"check_mail"}' },
      { status: 200, text: '{"status":"check_mail"}' },
    ])
  })

  test('nobody sets a password without the token of a mail', async () => {
    const { cookie } = await newAccount('hijacked')
    const answer = await post(
      resetPassword,
      '/api/auth/reset-password',
      { password: 'taken over 1' },
      { headers: { cookie } },
    )
    expect(answer.status).toBe(401)
    const forged = { cookie: `${cookie}; hf-recovery=0123456789abcdef0123456789abcdef` }
    expect(
      (await post(resetPassword, '/api/auth/reset-password', { password: 'taken over 1' }, { headers: forged })).status,
    ).toBe(401)
  })

  test('the mailed link leads to the host that asked, once; opening it alone uses nothing up', async () => {
    const { email } = await newAccount('reset')
    await post(forgotPassword, '/api/auth/forgot-password', { email }, { host: `${acme.slug}.localhost:3000` })
    const link = await readMailLink(email)
    expect(link.host).toBe('acme.localhost:3000')
    expect(link.pathname).toBe('/auth/confirm')
    const open = () => call(confirm, 'GET', `${link.pathname}${link.search}`, { host: link.host })
    await open()
    const opened = await open()
    expect(opened.status).toBe(303)
    expect(opened.headers.get('location')).toBe('/reset-password')
    expect(cookiesOf(opened)).toMatch(/^hf-recovery=/)
    const headers = { cookie: cookiesOf(opened) }
    const changed = await post(
      resetPassword,
      '/api/auth/reset-password',
      { password: 'a new password' },
      { host: link.host, headers },
    )
    expect(changed.status).toBe(200)
    expect(cookiesOf(changed)).toMatch(/hf-session=/)
    expect(cookiesOf(changed)).not.toMatch(/hf-recovery=/)
    expect((await post(signIn, '/api/auth/sign-in', { email, password: 'a new password' })).status).toBe(200)
    expect((await post(signIn, '/api/auth/sign-in', { email, password })).status).toBe(401)
    const again = await post(
      resetPassword,
      '/api/auth/reset-password',
      { password: 'yet another one' },
      { host: link.host, headers },
    )
    expect(again.status).toBe(401)
  })

  test('a new password ends the sessions there were; the one it opened goes on', async () => {
    const { email, cookie } = await newAccount('stolen')
    const elsewhere = cookiesOf(await post(signIn, '/api/auth/sign-in', { email, password }))
    await post(forgotPassword, '/api/auth/forgot-password', { email })
    const link = await readMailLink(email)
    const opened = await call(confirm, 'GET', `${link.pathname}${link.search}`)
    const headers = { cookie: cookiesOf(opened) }
    const changed = await post(resetPassword, '/api/auth/reset-password', { password: 'a new password' }, { headers })
    expect(changed.status).toBe(200)
    const statusOf = async (session: string) =>
      (await call(me, 'GET', '/api/v1/me', { headers: { cookie: session } })).status
    expect([await statusOf(cookie), await statusOf(elsewhere), await statusOf(cookiesOf(changed))]).toEqual([
      401, 401, 200,
    ])
    for (const old of [cookie, elsewhere])
      expect((await refreshSession(expiring(old)))?.cookie ?? '').not.toContain('hf-session=')
    expect((await refreshSession(expiring(cookiesOf(changed))))?.cookie).toContain('hf-session=')
  })

  test('a made-up link leads to sign-in', async () => {
    for (const query of [
      '',
      '?token_hash=0123456789abcdef&type=signup',
      '?token_hash=%00&type=recovery',
      '?type=email',
    ]) {
      const answer = await call(confirm, 'GET', `/auth/confirm${query}`)
      expect(answer.status).toBe(303)
      expect(answer.headers.get('location')).toBe('/sign-in?reason=link')
      expect(cookiesOf(answer)).toBe('')
    }
  })
})
