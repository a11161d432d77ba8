// Every page there is, in light, in dark and on a phone: axe finds nothing, nothing runs over the edge, the title is right.
import { globSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from '@playwright/test'
import { dashboard, expect, findViolations, loginOf, portalOf, signIn, test } from './fixtures'

type Visit = {
  path: string | ((page: Page) => Promise<string>)
  as?: [slug: string, role: string]
  origin?: string
  status?: number
}

const acme = portalOf('acme')

/** Path of the first link on a list whose address begins with a prefix. */
const firstLink = (list: string, prefix: string) => async (page: Page) => {
  await page.goto(`${dashboard}${list}`)
  const link = page.locator(`main a[href^="${prefix}"]:not([href$="/new"])`).first()
  return (await link.getAttribute('href')) ?? ''
}

/** How each page of app/ is reached; a page file without a line here is red. */
const VISITS: Record<string, Visit> = {
  '(platform)/page.tsx': { path: '/' },
  '(platform)/sign-in/page.tsx': { path: '/sign-in' },
  '(platform)/sign-up/page.tsx': { path: '/sign-up' },
  '(platform)/forgot-password/page.tsx': { path: '/forgot-password' },
  '(platform)/reset-password/page.tsx': { path: '/reset-password' },
  '(platform)/tenants/page.tsx': { path: '/tenants', as: ['acme', 'owner'] },
  '(platform)/create-tenant/page.tsx': { path: '/create-tenant', as: ['acme', 'owner'] },
  '(platform)/docs/api/page.tsx': { path: '/docs/api' },
  '(platform)/docs/api/[group]/page.tsx': { path: '/docs/api/usage' },
  '(platform)/docs/errors/page.tsx': { path: '/docs/errors' },
  '(platform)/dev/mail/page.tsx': { path: '/dev/mail' },
  '(platform)/dev/mail/[id]/page.tsx': { path: firstMail },
  '[tenant]/page.tsx': { path: '/acme', as: ['acme', 'owner'] },
  '[tenant]/customers/page.tsx': { path: '/acme/customers', as: ['acme', 'owner'] },
  '[tenant]/customers/[id]/page.tsx': { path: firstLink('/acme/customers', '/acme/customers/'), as: ['acme', 'owner'] },
  '[tenant]/usage/page.tsx': { path: '/acme/usage', as: ['acme', 'owner'] },
  '[tenant]/tiers/page.tsx': { path: '/acme/tiers', as: ['acme', 'owner'] },
  '[tenant]/tiers/new/page.tsx': { path: '/acme/tiers/new', as: ['acme', 'owner'] },
  '[tenant]/tiers/[id]/page.tsx': { path: firstLink('/acme/tiers', '/acme/tiers/'), as: ['acme', 'owner'] },
  '[tenant]/features/page.tsx': { path: '/acme/features', as: ['acme', 'owner'] },
  '[tenant]/meters/page.tsx': { path: '/acme/meters', as: ['acme', 'owner'] },
  '[tenant]/meters/[slug]/page.tsx': { path: '/acme/meters/api_calls', as: ['acme', 'owner'] },
  '[tenant]/api-keys/page.tsx': { path: '/acme/api-keys', as: ['acme', 'owner'] },
  '[tenant]/customer-keys/page.tsx': { path: '/acme/customer-keys', as: ['acme', 'owner'] },
  '[tenant]/rate-limits/page.tsx': { path: '/acme/rate-limits', as: ['acme', 'owner'] },
  '[tenant]/stripe-exports/page.tsx': { path: '/acme/stripe-exports', as: ['acme', 'owner'] },
  '[tenant]/audit-logs/page.tsx': { path: '/acme/audit-logs', as: ['acme', 'compliance'] },
  '[tenant]/events/page.tsx': { path: '/acme/events', as: ['acme', 'owner'] },
  '[tenant]/billing-periods/page.tsx': { path: '/acme/billing-periods', as: ['acme', 'owner'] },
  '[tenant]/billing-periods/[id]/page.tsx': { path: closedPeriod, as: ['acme', 'owner'] },
  '[tenant]/reconciliations/page.tsx': { path: '/acme/reconciliations', as: ['acme', 'owner'] },
  '[tenant]/reconciliations/[id]/page.tsx': { path: finishedRun, as: ['acme', 'owner'] },
  '[tenant]/alerts/page.tsx': { path: '/acme/alerts', as: ['acme', 'owner'] },
  '[tenant]/reports/page.tsx': { path: '/acme/reports', as: ['acme', 'owner'] },
  '[tenant]/metrics/page.tsx': { path: '/acme/metrics', as: ['acme', 'owner'] },
  '[tenant]/connector-events/page.tsx': { path: '/acme/connector-events', as: ['acme', 'owner'] },
  '[tenant]/analytics-events/page.tsx': { path: '/acme/analytics-events', as: ['acme', 'owner'] },
  '[tenant]/settings/page.tsx': { path: '/acme/settings', as: ['acme', 'owner'] },
  '[tenant]/settings/branding/page.tsx': { path: '/acme/settings/branding', as: ['acme', 'owner'] },
  '[tenant]/settings/usage/page.tsx': { path: '/acme/settings/usage', as: ['acme', 'owner'] },
  '[tenant]/settings/members/page.tsx': { path: '/acme/settings/members', as: ['acme', 'owner'] },
  'operator/page.tsx': { path: '/operator', as: ['operators', 'super_admin'] },
  'operator/tenants/[id]/page.tsx': {
    path: firstLink('/operator', '/operator/tenants/'),
    as: ['operators', 'super_admin'],
  },
  'portal/[tenant]/page.tsx': { path: '/', as: ['acme', 'customer'], origin: acme },
  'portal/[tenant]/usage/page.tsx': { path: '/usage', as: ['acme', 'customer'], origin: acme },
  'portal/[tenant]/tiers/page.tsx': { path: '/tiers', as: ['acme', 'customer'], origin: acme },
  'portal/[tenant]/sign-in/page.tsx': { path: '/sign-in', origin: acme },
  'portal/[tenant]/sign-up/page.tsx': { path: '/sign-up', origin: acme },
  'portal/[tenant]/forgot-password/page.tsx': { path: '/forgot-password', origin: acme },
  'portal/[tenant]/reset-password/page.tsx': { path: '/reset-password', origin: acme },
  'portal/[tenant]/join/page.tsx': { path: '/join?token=unknown-token-of-a-test', origin: acme },
  'portal/[tenant]/[...rest]/page.tsx': { path: '/nothing/is/here', origin: acme, status: 404 },
  'not-found.tsx': { path: '/nothing/is/here', status: 404 },
}

async function firstMail(page: Page): Promise<string> {
  await page.goto(`${dashboard}/forgot-password`)
  await page.getByRole('textbox', { name: 'E-mail' }).fill(loginOf('globex', 'member').email)
  await page.getByRole('button', { name: 'Send the link' }).click()
  await expect(page.getByText('Check your e-mail')).toBeVisible()
  return firstLink('/dev/mail', '/dev/mail/')(page)
}

/** A call of the API by the person who is signed in. */
async function ask(page: Page, path: string, body?: unknown): Promise<ReturnType<typeof JSON.parse>> {
  if (!page.url().startsWith(dashboard)) await page.goto(`${dashboard}/acme`)
  return page.evaluate(
    async ([address, text]) => {
      const init = text === null ? {} : { method: 'POST', headers: { 'content-type': 'application/json' }, body: text }
      return (await fetch(`/api/v1/tenants/acme${address}`, init)).json()
    },
    [path, body === undefined ? null : JSON.stringify(body)] as const,
  )
}

async function closedPeriod(page: Page): Promise<string> {
  await ask(page, '/billing-periods', { ends_at: new Date(Date.now() - 1_000).toISOString() })
  const { data } = await ask(page, '/billing-periods?limit=1')
  return `/acme/billing-periods/${data[0].id}`
}

async function finishedRun(page: Page): Promise<string> {
  const { id } = await ask(page, '/reconciliations', {})
  await expect.poll(async () => (await ask(page, `/reconciliations/${id}`)).status).toBe('finished')
  return `/acme/reconciliations/${id}`
}

const LOOKS = [
  { name: 'light', colorScheme: 'light', viewport: { width: 1280, height: 900 } },
  { name: 'dark', colorScheme: 'dark', viewport: { width: 1280, height: 900 } },
  { name: 'phone', colorScheme: 'light', viewport: { width: 390, height: 844 } },
] as const

test('every page file is visited', () => {
  const root = join(import.meta.dirname, '..', '..', 'app')
  const files = globSync('**/page.tsx', { cwd: root }).map((file) => file.replaceAll('\\', '/'))
  expect(
    Object.keys(VISITS)
      .filter((file) => file !== 'not-found.tsx')
      .sort(),
  ).toEqual(files.sort())
})

/** The page has what it shows: nothing says that it is still loading, and movements have ended. */
async function settle(page: Page): Promise<void> {
  await expect(page.locator('h1').first()).toBeVisible()
  await expect(page.getByRole('status').filter({ hasText: 'Loading' })).toHaveCount(0)
  await page.evaluate(() =>
    Promise.all(
      document
        .getAnimations()
        .filter((each) => each.effect?.getComputedTiming().iterations !== Number.POSITIVE_INFINITY)
        .map((each) => each.finished.catch(() => undefined)),
    ),
  )
}

for (const [file, visit] of Object.entries(VISITS)) {
  test.describe(file, () => {
    test.use({ refusals: visit.status ? [visit.status] : [], reducedMotion: 'reduce' })

    test('is accessible in light, in dark and on a phone', async ({ page }) => {
      const origin = visit.origin ?? dashboard
      if (visit.as) await signIn(page, loginOf(...visit.as), origin)
      const path = typeof visit.path === 'string' ? visit.path : await visit.path(page)
      expect(path).not.toBe('')
      for (const { name, colorScheme, viewport } of LOOKS) {
        await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
        await page.setViewportSize(viewport)
        // An open page turns dark with its system.
        if (name !== 'dark') {
          const response = await page.goto(`${origin}${path}`)
          expect(response?.status()).toBe(visit.status ?? 200)
        }
        await settle(page)
        expect(await page.title(), name).not.toBe('')
        await expect(page.locator('h1')).toHaveCount(1)
        const overflow = await page.evaluate(
          () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
        )
        expect(overflow, `${name}: runs over the edge`).toBeLessThanOrEqual(0)
        expect(await findViolations(page), name).toEqual([])
      }
    })
  })
}
