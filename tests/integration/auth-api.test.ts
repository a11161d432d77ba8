import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createClient } from '@supabase/supabase-js'
import { expect, inject, test } from 'vitest'
import { requireVariable } from '../support/variables'

const url = requireVariable('SUPABASE_URL')
const key = requireVariable('SUPABASE_PUBLISHABLE_KEY')
const newClient = () => createClient(url, key, { auth: { persistSession: false, autoRefreshToken: false } })

/** The link of the newest mail to an address, as a reader's program would show it. */
function linkMailedTo(email: string): URL {
  const mails = join(inject('cluster').directory, 'mail')
  const mail = readdirSync(mails)
    .toSorted()
    .map((name) => readFileSync(join(mails, name), 'utf8'))
    .findLast((text) => text.includes(`To: ${email}`))
  const text = (mail ?? '')
    .replace(/=\r?\n/g, '')
    .replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
  return new URL(/https?:\/\/\S+token_hash=\S+/.exec(text)?.[0] ?? 'about:blank')
}

test('a forgotten password is set anew by the link of a mail, once, on the host that asked', async () => {
  const email = `forgetful-${Date.now()}@example.test`
  await newClient().auth.signUp({ email, password: 'first-password' })
  await newClient().auth.resetPasswordForEmail(email, { redirectTo: 'http://acme.localhost:3000/auth/confirm' })
  const link = linkMailedTo(email)
  expect(link.origin + link.pathname).toBe('http://acme.localhost:3000/auth/confirm')

  const token = { token_hash: link.searchParams.get('token_hash') ?? '', type: 'recovery' as const }
  const client = newClient()
  expect((await client.auth.verifyOtp(token)).error).toBeNull()
  expect((await client.auth.updateUser({ password: 'second-password' })).error).toBeNull()
  expect((await newClient().auth.verifyOtp(token)).error).not.toBeNull()
  expect((await newClient().auth.signInWithPassword({ email, password: 'first-password' })).error?.code).toBe(
    'invalid_credentials',
  )
  expect((await newClient().auth.signInWithPassword({ email, password: 'second-password' })).error).toBeNull()
})

test('a mail never leads to a host of somebody else’s choosing', async () => {
  const email = `victim-${Date.now()}@example.test`
  await newClient().auth.signUp({ email, password: 'first-password' })
  await newClient().auth.resetPasswordForEmail(email, { redirectTo: 'https://evil.example/auth/confirm' })
  expect(linkMailedTo(email).origin).toBe('http://app.localhost:3000')
})

test('nothing but the Auth API is served', async () => {
  for (const path of ['/rest/v1/', '/rest/v1/users', '/storage/v1/bucket', '/_system/config', '/']) {
    const response = await fetch(url + path, { headers: { apikey: requireVariable('SUPABASE_SECRET_KEY') } })
    expect([path, response.status]).toEqual([path, 404])
  }
  expect((await fetch(`${url}/auth/v1/health`)).status).toBe(401)
})

test('a request body without end is not read to its end', async () => {
  const response = await fetch(`${url}/auth/v1/signup`, {
    method: 'POST',
    headers: { apikey: key, 'content-type': 'application/json' },
    body: JSON.stringify({ email: 'a@example.test', password: 'x'.repeat(2_000_000) }),
  })
  expect(response.status).toBe(413)
})

test.each([
  ['null', 'null'],
  ['a list', '[]'],
  ['no JSON', '{'],
  ['a password that is a list', '{"email":"a@example.test","password":[]}'],
  ['an address that is an object', '{"email":{},"password":"x"}'],
  ['a password that is null', '{"email":"a@example.test","password":null}'],
  ['NUL', '{"email":"a\\u0000b@example.test","password":"x"}'],
  ['too deep', `{"email":"a@example.test","password":"long-enough","data":${'['.repeat(99)}${']'.repeat(99)}}`],
])('%s in a body is an error of who sends it', async (_, body) => {
  for (const path of ['signup', 'token?grant_type=password', 'recover']) {
    const headers = { apikey: key, 'content-type': 'application/json' }
    const response = await fetch(`${url}/auth/v1/${path}`, { method: 'POST', headers, body })
    expect([path, response.status, (await response.json()).code]).toEqual([path, 400, 400])
  }
})
