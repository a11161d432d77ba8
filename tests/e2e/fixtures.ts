import AxeBuilder from '@axe-core/playwright'
import { test as base, type Cookie, expect, type Page } from '@playwright/test'
import { type DemoLogin, type DemoTenant, readDemo } from '../support/demo'
import { waitForSteadyDay } from '../support/steady-day'

export { expect } from '@playwright/test'

/** The demo of the stack under test. */
export const demo = readDemo()
export const dashboard = demo.urls.dashboard

/** A tenant of the demo. @throws Error when there is none of that name. */
export function tenantOf(slug: string): DemoTenant {
  const tenant = demo.tenants.find((each) => each.slug === slug)
  if (!tenant) throw new Error(`The demo has no tenant ${slug}.`)
  return tenant
}

/** The login of a role in a tenant of the demo, or of an operator. */
export function loginOf(slug: string, role: string): DemoLogin {
  const logins = slug === 'operators' ? demo.operators : tenantOf(slug).logins
  const login = logins.find((each) => each.role === role)
  if (!login) throw new Error(`The demo has no ${role} in ${slug}.`)
  return login
}

/** Address of a tenant's portal. */
export function portalOf(slug: string): string {
  const url = demo.urls.portals[slug]
  if (!url) throw new Error(`The demo has no portal ${slug}.`)
  return url
}

/** Address of acme's verified custom domain. */
export const customDomain = dashboard.replace(/^http:\/\/app\.localhost/, 'http://portal.acme.test')

/** Matches an address by host and path, whatever stands in its query. */
export function at(origin: string, path: string): (url: URL) => boolean {
  return (url) => url.origin === origin && url.pathname === path
}

const sessions = new Map<string, Cookie[]>()

/**
 * Signs in without the form, once per person and host; later calls reuse the session, as a browser would.
 * The journeys about signing in use the form.
 */
export async function signIn(
  page: Page,
  login: { email: string; password: string },
  origin = dashboard,
): Promise<void> {
  const key = `${origin} ${login.email}`
  const known = sessions.get(key)
  if (known) return page.context().addCookies(known)
  await page.goto(`${origin}/sign-in`)
  const status = await page.evaluate(async ({ email, password }) => {
    const response = await fetch('/api/auth/sign-in', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email, password }),
    })
    return response.status
  }, login)
  expect(status).toBe(200)
  sessions.set(key, await page.context().cookies(origin))
}

/** Fills the sign-in form of the page that is open and sends it. */
export async function fillSignIn(page: Page, login: { email: string; password: string }): Promise<void> {
  await page.getByRole('textbox', { name: 'E-mail', exact: true }).fill(login.email)
  await page.getByLabel('Password', { exact: true }).fill(login.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
}

/** What axe finds wrong with a page, or with a part of it. Looked for in the page itself: there are no frames to look into. */
export async function findViolations(page: Page, part?: string): Promise<string[]> {
  expect(page.frames()).toHaveLength(1)
  const axe = new AxeBuilder({ page }).setLegacyMode().options({ resultTypes: ['violations'] })
  const { violations } = await (part ? axe.include(part) : axe).analyze()
  return violations.map(
    ({ id, help, nodes }) =>
      `${id}: ${help}: ${nodes.map(({ html, target }) => `${target} ${html.slice(0, 160)}`).join(' | ')}`,
  )
}

/** A call of the API as a server of the tenant would make it, on the ingest port or through Next. */
export async function callApi(
  path: string,
  {
    key,
    body,
    method = body === undefined ? 'GET' : 'POST',
    base = demo.urls.ingest,
  }: {
    key: string
    body?: unknown
    method?: string
    base?: string
  },
): Promise<{ status: number; body: ReturnType<typeof JSON.parse> }> {
  const response = await fetch(`${base}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, body: text ? JSON.parse(text) : null }
}

/** Waits out the last minute of a day of acme, which may be that of a month: for journeys that use something and see it used. */
export const waitForSteadyAcme = () => waitForSteadyDay('Europe/Berlin')

/** Has acme's Bluebird Coffee at 85 % of its cap in the month that runs; the demo had it there in the month it was made. */
export async function bringNearCap(): Promise<void> {
  await waitForSteadyAcme()
  const { api_key: key } = tenantOf('acme')
  const event = { meter_id: 'api_calls', user_id: 'bluebird' }
  const { body } = await callApi('/api/v1/usage/check', { key, body: { ...event, amount: 0 } })
  const event_value = 0.85 * body.limit - body.used
  if (event_value <= 0) return
  const used = { ...event, event_value, event_id: `near the cap until ${body.reset_at}` }
  expect(await callApi('/api/v1/usage/track', { key, body: used })).toMatchObject({
    status: 200,
    body: { rejected: [] },
  })
}

/** The call a curl command makes, read from its text as a shell would read it. */
export function readCurl(text: string): { url: string; method: string; headers: Record<string, string>; body: string } {
  const words = [...text.replaceAll('\\\n', ' ').matchAll(/'((?:[^']|'\\'')*)'|"([^"]*)"|(\S+)/g)].map(
    (match) => match[1]?.replaceAll("'\\''", "'") ?? match[2] ?? match[3] ?? '',
  )
  const after = (flag: string) => words.flatMap((word, index) => (words[index - 1] === flag ? [word] : []))
  const headers = Object.fromEntries(after('-H').map((header) => header.split(/:\s*/, 2) as [string, string]))
  return {
    url: words.find((word) => /^https?:\/\//.test(word)) ?? '',
    method: after('-X')[0] ?? 'GET',
    headers,
    body: after('-d')[0] ?? '',
  }
}

/** What a browser says on its console although all is well: an answer of 4xx we asked for; http on a name that is not localhost. */
const EXPECTED =
  /Failed to load resource: the server responded with a status of 4\d\d|Cross-Origin-Opener-Policy header has been ignored/

/**
 * Every page of a journey is watched: an error on the console, an exception, or an answer that refuses fails the test, but for
 * what it asks for on purpose with `test.use({ refusals: [404], blocked: /form-action/ })`.
 */
export const test = base.extend<{ refusals: number[]; blocked: RegExp | null; watched: undefined }>({
  refusals: [[], { option: true }],
  blocked: [null, { option: true }],
  watched: [
    async ({ context, refusals, blocked }, use) => {
      const noise: string[] = []
      context.on('console', (message) => {
        if (message.type() === 'error' && !EXPECTED.test(message.text()) && !blocked?.test(message.text()))
          noise.push(`${message.page()?.url()}: ${message.text()}`)
      })
      context.on('weberror', (error) => noise.push(`${error.page()?.url()}: ${error.error().message}`))
      context.on('response', (response) => {
        const status = response.status()
        if (status >= 400 && !refusals.includes(status)) noise.push(`${status} ${response.url()}`)
      })
      await use(undefined)
      expect(noise).toEqual([])
    },
    { auto: true },
  ],
})
