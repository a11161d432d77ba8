// Where the auth server wants addresses confirmed: an auth server of this file's own, which does.
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, expect, test } from 'vitest'
import { POST as forgotPassword } from '@/app/api/auth/forgot-password/route'
import { POST as resetPassword } from '@/app/api/auth/reset-password/route'
import { POST as signIn } from '@/app/api/auth/sign-in/route'
import { POST as signUp } from '@/app/api/auth/sign-up/route'
import { GET as getMe } from '@/app/api/v1/me/route'
import { GET as confirm } from '@/app/auth/confirm/route'
import { forgetEnv } from '@/libs/env'
import { findFreePort } from '../../processes/dev-stack/ports'
import { ensureAuthDatabase } from '../../processes/dev-stack/roles'
import { startSupabaseApi } from '../../processes/dev-stack/supabase-api'
import { ensureAccount } from '../../processes/seed/accounts'
import { DEMO_PASSWORD } from '../../processes/seed/demo-tenants'
import { sendRaw } from '../support/raw-http'
import { requireVariable } from '../support/variables'
import { type Answer, call, createWorld, newUser } from '../support/world'

const mails: { to: string; subject: string; text: string }[] = []
const database = `auth_${randomBytes(6).toString('hex')}`
const superuserUrl = (name = 'postgres') => {
  const url = new URL(requireVariable('SUPERUSER_DATABASE_URL'))
  url.pathname = `/${name}`
  return url.href
}
await ensureAuthDatabase(superuserUrl, database)
const port = await findFreePort()
const api = await startSupabaseApi({
  database_url: superuserUrl(database),
  port,
  jwt_secret: requireVariable('SUPABASE_JWT_SECRET'),
  publishable_key: requireVariable('SUPABASE_PUBLISHABLE_KEY'),
  secret_key: requireVariable('SUPABASE_SECRET_KEY'),
  site_url: 'http://app.localhost:3000/auth/confirm',
  redirect_urls: ['http://*.localhost:3000/**'],
  confirm_email: true,
  sendMail: async (mail) => {
    mails.push(mail)
  },
})
process.env.SUPABASE_URL = api.url
forgetEnv()
afterAll(() => api.stop())
const { acme } = await createWorld()

const password = 'correct horse battery'
const post = (handler: typeof signIn, path: string, body: unknown, options: { cookie?: string; host?: string } = {}) =>
  call(handler, 'POST', path, {
    body,
    host: options.host ?? 'app.localhost:3000',
    headers: { 'sec-fetch-site': 'same-origin', ...(options.cookie ? { cookie: options.cookie } : {}) },
  })
const join = (email: string, more: { next?: string; host?: string } = {}) =>
  post(signUp, '/api/auth/sign-up', { email, password, ...(more.next ? { next: more.next } : {}) }, more)
const cookiesOf = (answer: Answer): string =>
  answer.headers
    .getSetCookie()
    .filter((cookie) => !/max-age=0/i.test(cookie))
    .map((cookie) => cookie.split(';')[0])
    .join('; ')

async function readMail(email: string, count = 1): Promise<{ subject: string; link: URL }> {
  for (let waited = 0; waited < 30_000; waited += 50) {
    const own = mails.filter(({ to }) => to === email)
    const mail = own[count - 1]
    const link = /https?:\/\/\S+token_hash=\S+/.exec(mail?.text ?? '')?.[0]
    if (mail && link) return { subject: mail.subject, link: new URL(link) }
    await sleep(50)
  }
  throw new Error(`No mail ${count} to ${email}`)
}
const follow = (link: URL, cookie = '') =>
  call(confirm, 'GET', `${link.pathname}${link.search}`, {
    host: link.host,
    ...(cookie ? { headers: { cookie } } : {}),
  })

test('nobody is signed in before the link of the mail is followed, and it leads to where one wanted to go', async () => {
  const { email } = newUser('confirming')
  const host = `${acme.slug}.localhost:3000`
  const answer = await join(email, { next: '/join?token=from-an-invitation', host })
  expect(answer.body).toEqual({ status: 'check_mail' })
  expect(cookiesOf(answer)).toMatch(/^hf-next=/)
  const { subject, link } = await readMail(email)
  expect(subject).toBe('Confirm your e-mail address')
  expect(link.host).toBe(host)
  const confirmed = await follow(link, cookiesOf(answer))
  expect(confirmed.status).toBe(303)
  expect(confirmed.headers.get('location')).toBe('/join?token=from-an-invitation')
  expect(cookiesOf(confirmed)).toMatch(/hf-session=/)
  expect(cookiesOf(confirmed)).not.toMatch(/hf-next=/)
  expect((await follow(link)).headers.get('location')).toBe('/sign-in?reason=link')
})

test('on another browser it leads to the start, and never elsewhere', async () => {
  const first = newUser('other-browser').email
  await join(first, { next: '/join?token=x' })
  expect((await follow((await readMail(first)).link)).headers.get('location')).toBe('/create-tenant')
  const second = newUser('evil-next').email
  const answer = await join(second, { next: 'https://evil.example/' })
  const confirmed = await follow((await readMail(second)).link, cookiesOf(answer))
  expect(confirmed.headers.get('location')).toBe('/create-tenant')
})

test('a link that others sent changes nobody’s session', async () => {
  const [own, foreign] = [newUser('at-home').email, newUser('luring').email]
  await join(own)
  const cookie = cookiesOf(await follow((await readMail(own)).link))
  await join(foreign)
  const { link } = await readMail(foreign)
  const followed = await follow(link, cookie)
  expect([followed.headers.get('location'), followed.headers.getSetCookie()]).toEqual(['/sign-in?reason=confirmed', []])
  expect((await call(getMe, 'GET', '/api/v1/me', { headers: { cookie } })).body.user.email).toBe(own)
  // The address is confirmed all the same.
  expect((await post(signIn, '/api/auth/sign-in', { email: foreign, password })).status).toBe(200)
})

test('whoever waits for a mail keeps no cookie but where they wanted to go', async () => {
  const { email } = newUser('waiting-for-mail')
  const names = (answer: Answer) => answer.headers.getSetCookie().map((cookie) => cookie.split('=')[0])
  expect(names(await join(email, { next: '/join' }))).toEqual(['hf-next'])
  expect(names(await post(forgotPassword, '/api/auth/forgot-password', { email }))).toEqual([])
})

test('signing in says the same of an address that waits, a wrong password and an unknown address', async () => {
  const { email } = newUser('waiting')
  await join(email)
  const tries = [
    { email, password },
    { email, password: 'something else' },
    { email: newUser('nobody').email, password },
  ]
  const answers = []
  for (const body of tries) {
    const { status, body: problem } = await post(signIn, '/api/auth/sign-in', body)
    answers.push([status, problem.detail])
  }
  expect(new Set(answers.map((one) => JSON.stringify(one))).size).toBe(1)
  expect(answers[0]).toEqual([401, expect.stringContaining('waits to be confirmed')])
  await follow((await readMail(email)).link)
  expect((await post(signIn, '/api/auth/sign-in', { email, password })).status).toBe(200)
})

test('signing up again brings a mail that leads back in, whether or not the first one was followed', async () => {
  for (const confirmed of [true, false]) {
    const { email } = newUser(confirmed ? 'forgot-it' : 'lost-mail')
    await join(email)
    if (confirmed) await follow((await readMail(email)).link)
    expect((await join(email)).body).toEqual({ status: 'check_mail' })
    const { subject, link } = await readMail(email, 2)
    expect(subject).toBe('Reset your password')
    const cookie = cookiesOf(await follow(link))
    const changed = await post(resetPassword, '/api/auth/reset-password', { password: 'a new password' }, { cookie })
    expect(changed.status).toBe(200)
    const back = await post(signIn, '/api/auth/sign-in', { email, password: 'a new password' })
    expect([confirmed, back.status]).toEqual([confirmed, 200])
  }
})

test('nothing but the Auth API is served, whatever the address', async () => {
  const { email } = newUser('looker')
  await join(email)
  await follow((await readMail(email)).link)
  const apikey = requireVariable('SUPABASE_PUBLISHABLE_KEY')
  const session = await fetch(`${api.url}/auth/v1/token?grant_type=password`, {
    method: 'POST',
    headers: { apikey, 'content-type': 'application/json' },
    body: JSON.stringify({ email, password }),
  })
  const { access_token } = (await session.json()) as { access_token: string }
  const head = `apikey: ${apikey}\r\nauthorization: Bearer ${access_token}\r\nconnection: close\r\n`
  const told = async (path: string, host = 'localhost') => {
    const { statuses, body } = await sendRaw(port, `GET ${path} HTTP/1.1\r\nhost: ${host}\r\n${head}\r\n`)
    return [path, ...statuses, /"message":"([^"]*)/.exec(body)?.[1]]
  }
  const refused = 'Only /auth/v1 is served here.'
  for (const path of [
    ...['/', '/rest/v1/tenants', '/auth/v1/../../rest/v1/', '//auth/v1/settings', '/auth/v1/..%2f..%2frest/v1/'],
    ...['/auth/v1/nothing', '/storage/v1/bucket', '/graphql/v1', 'http://elsewhere/rest/v1/'],
  ])
    expect(await told(path)).toEqual([path, 404, refused])
  for (const host of ['[::1', 'a b', 'x:y:z'])
    expect(await told('/auth/v1/settings', host)).toEqual(['/auth/v1/settings', 404, refused])
  expect((await sendRaw(port, `GET /auth/v1/settings HTTP/1.1\r\nhost: localhost\r\n${head}\r\n`)).statuses).toEqual([
    200,
  ])
})

test('accounts of the demo can sign in at once, also when its making was broken off', async () => {
  process.env.SUPABASE_DATABASE_URL = superuserUrl(database)
  const [fresh, begun] = [newUser('demo-fresh').email, newUser('demo-begun').email]
  await post(signUp, '/api/auth/sign-up', { email: begun, password: DEMO_PASSWORD })
  for (const email of [fresh, begun]) {
    await ensureAccount(email)
    expect((await post(signIn, '/api/auth/sign-in', { email, password: DEMO_PASSWORD })).status).toBe(200)
  }
})
