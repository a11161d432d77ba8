// What a role may not see is not offered, and says so when it is opened all the same; nothing on a page is asked for in vain.
import { dashboard, expect, loginOf, signIn, test } from './fixtures'

const PAGES = [
  '/acme',
  '/acme/customers',
  '/acme/customers/bluebird',
  '/acme/usage',
  '/acme/tiers',
  '/acme/tiers/new',
  '/acme/meters',
  '/acme/meters/api_calls',
  '/acme/features',
  '/acme/events',
  '/acme/metrics',
  '/acme/reports',
  '/acme/alerts',
  '/acme/customer-keys',
  '/acme/rate-limits',
  '/acme/billing-periods',
  '/acme/stripe-exports',
  '/acme/reconciliations',
  '/acme/api-keys',
  '/acme/audit-logs',
  '/acme/connector-events',
  '/acme/analytics-events',
  '/acme/settings',
  '/acme/settings/branding',
  '/acme/settings/usage',
  '/acme/settings/members',
]

const CLOSED: Record<string, readonly string[]> = {
  owner: [],
  member: [
    '/acme/tiers/new',
    '/acme/customer-keys',
    '/acme/rate-limits',
    '/acme/billing-periods',
    '/acme/stripe-exports',
    '/acme/api-keys',
    '/acme/audit-logs',
  ],
  compliance: [
    '/acme/customers',
    '/acme/customers/bluebird',
    '/acme/tiers',
    '/acme/tiers/new',
    '/acme/meters',
    '/acme/meters/api_calls',
    '/acme/features',
    '/acme/metrics',
    '/acme/alerts',
    '/acme/customer-keys',
    '/acme/rate-limits',
    '/acme/stripe-exports',
    '/acme/api-keys',
    '/acme/analytics-events',
  ],
}

for (const [role, closed] of Object.entries(CLOSED)) {
  test(`${role}: every page that is offered opens, the others say why not`, async ({ page }) => {
    await signIn(page, loginOf('acme', role))
    const notAllowed = page.getByRole('heading', { name: 'Your role does not include this page' })
    // That all of them open to an owner is seen where each is looked at.
    for (const path of closed.length > 0 ? PAGES : ['/acme']) {
      await page.goto(`${dashboard}${path}`)
      await expect(page.locator('h1')).toHaveCount(1)
      await expect(page.getByRole('status').filter({ hasText: 'Loading' })).toHaveCount(0)
      await expect(notAllowed, path).toHaveCount(closed.includes(path) ? 1 : 0)
      await expect(page.getByRole('alert').filter({ hasText: /may not|could not/ }), path).toHaveCount(0)
    }
    const offered = await page
      .getByRole('navigation', { name: 'Dashboard' })
      .getByRole('link')
      .evaluateAll((links) => links.map((link) => link.getAttribute('href') ?? ''))
    expect(offered.length).toBeGreaterThan(3)
    expect(offered.filter((href) => closed.includes(href))).toEqual([])
    const open = PAGES.filter((path) => path.split('/').length === 3 && !closed.includes(path))
    expect(open.filter((path) => !offered.includes(path))).toEqual([])
  })
}

test('settings that one may only read have no button to save', async ({ page }) => {
  await signIn(page, loginOf('acme', 'member'))
  for (const path of ['/acme/settings', '/acme/settings/branding', '/acme/settings/usage']) {
    await page.goto(`${dashboard}${path}`)
    await expect(page.getByText('Only owners and admins can change this.').first()).toBeVisible()
    await expect(page.getByRole('main').getByRole('button', { name: 'Save' })).toHaveCount(0)
  }
})

test.describe(() => {
  test.use({ refusals: [404] })

  test('a tenant of others is a page that is not there, by its title as well', async ({ page }) => {
    await signIn(page, loginOf('globex', 'member'))
    for (const path of ['/acme', '/no-such-tenant']) {
      expect((await page.goto(`${dashboard}${path}`))?.status()).toBe(404)
      await expect(page).toHaveTitle('Page not found · Holdfast')
    }
  })
})
