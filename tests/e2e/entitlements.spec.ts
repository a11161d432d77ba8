// What customers may use, and how it changes: versions of tiers with their preview, entitlements and grants of one customer, and a
// customer who asks for another tier.
import type { Page } from '@playwright/test'
import { callApi, dashboard, expect, loginOf, portalOf, signIn, tenantOf, test, waitForSteadyAcme } from './fixtures'

const acme = tenantOf('acme')
const key = acme.api_key ?? ''
const base = dashboard.replace('app.localhost', 'localhost')
const unique = Date.now().toString(36)
const cedar = acme.logins.find(({ email }) => email.startsWith('cedar@')) ?? loginOf('acme', 'customer')

const api = (path: string, body?: unknown, method?: string) =>
  callApi(`/api/v1${path}`, { key, base, ...(body === undefined ? {} : { body }), ...(method ? { method } : {}) })

async function numberField(page: Page, label: string, value: string): Promise<void> {
  const field = page.getByRole('textbox', { name: label, exact: true }).first()
  await field.fill(value)
  await field.blur()
}

test('a change of a tier says who would be over before it is saved, and moves them when asked to', async ({ page }) => {
  await waitForSteadyAcme()
  const slug = `sold-${unique}`
  const made = await api('/tiers', { name: `Sold ${unique}`, slug, price: 10, usage_caps: { api_calls: 1000 } })
  expect(made.status).toBe(201)
  for (const [user_id, event_value] of [
    [`heavy-${unique}`, 60],
    [`light-${unique}`, 5],
  ] as const) {
    expect((await api('/usage/track', { meter_id: 'api_calls', user_id, event_value })).body.inserted).toBe(1)
    expect((await api(`/customers/${user_id}/subscription`, { tier: slug }, 'PUT')).status).toBe(200)
  }
  await signIn(page, loginOf('acme', 'owner'))
  await page.goto(`${dashboard}/acme/tiers/${made.body.id}`)
  await numberField(page, 'Limit', '50')
  const meaning = page
    .getByRole('region', { name: 'What this change means' })
    .or(page.locator('section', { hasText: 'What this change means' }))
    .last()
  await expect(meaning.getByText('1 of 2 customers would be over a cap.')).toBeVisible()
  await expect(meaning.getByRole('row', { name: new RegExp(`heavy-${unique}`) })).toContainText('50 calls')
  await page.getByRole('radio', { name: 'Move everybody now' }).click()
  await page.getByRole('button', { name: 'Save tier' }).click()
  await expect(page.getByText(`Tier “Sold ${unique}” saved`)).toBeVisible()
  expect((await api(`/customers/heavy-${unique}/subscription`)).body).toMatchObject({
    tier_version: 2,
    newer_version: null,
  })

  await page.goto(`${dashboard}/acme/tiers/${made.body.id}`)
  const versions = page.getByRole('table', { name: 'Versions' })
  await expect(versions.getByRole('row')).toHaveCount(3)
  await expect(versions.getByRole('row', { name: /Version 2/ })).toContainText('Newest')

  // Left with the old version, customers are moved later.
  await numberField(page, 'Limit', '500')
  await expect(page.getByText('Saving makes version 3.')).toBeVisible()
  await page.getByRole('button', { name: 'Save tier' }).click()
  await expect(page).toHaveURL(`${dashboard}/acme/tiers`)
  await page.goto(`${dashboard}/acme/tiers/${made.body.id}`)
  await page.getByRole('button', { name: 'Move all to version 3' }).click()
  await page.getByRole('alertdialog').getByRole('button', { name: 'Move customers' }).click()
  await expect(page.getByText('2 customers moved')).toBeVisible()
})

test('a customer gets an allowance of its own and a grant, and its balance says how it came to be', async ({
  page,
}) => {
  await waitForSteadyAcme()
  const user = `granted-${unique}`
  expect((await api('/customers', { external_id: user, name: `Granted ${unique}` })).status).toBe(201)
  await signIn(page, loginOf('acme', 'owner'))
  await page.clock.install()
  await page.goto(`${dashboard}/acme/customers/${user}`)

  await page.getByRole('button', { name: 'Add entitlement' }).click()
  const drawer = page.getByRole('dialog', { name: 'Add an entitlement' })
  await drawer.getByRole('radio', { name: 'Allowance of a meter' }).click()
  await drawer.getByRole('combobox', { name: 'Meter' }).click()
  await page.getByRole('option', { name: /API calls/ }).click()
  await numberField(page, 'Allowance', '100')
  await drawer.getByRole('button', { name: 'Add entitlement' }).click()
  await expect(page.getByText('100 calls a month')).toBeVisible()

  await page.getByRole('button', { name: 'Add grant' }).click()
  const grant = page.getByRole('dialog', { name: 'Add a grant' })
  await numberField(page, 'Amount', '40')
  await grant.getByRole('button', { name: 'Add grant' }).click()
  await expect(page.getByText('40 calls granted', { exact: true })).toBeVisible()
  await expect(page.getByRole('table', { name: 'Grants' }).getByRole('row', { name: /API calls/ })).toContainText(
    'Active',
  )

  expect((await api('/usage/track', { meter_id: 'api_calls', user_id: user, event_value: 120 })).body.inserted).toBe(1)
  await page.clock.fastForward(5_000)
  await expect(page.getByText('20 calls left of 140 calls granted')).toBeVisible()
  await page.getByRole('button', { name: 'History of API calls' }).click()
  const history = page.getByRole('dialog', { name: 'History of API calls' })
  await expect(history.getByRole('table', { name: 'Entries' })).toContainText('Grant issued')
  await page.keyboard.press('Escape')

  await page
    .getByRole('table', { name: 'Grants' })
    .getByRole('button', { name: /Actions/ })
    .click()
  await page.getByRole('menuitem', { name: 'Void' }).click()
  await page.getByRole('alertdialog').getByRole('button', { name: 'Void grant' }).click()
  await expect(page.getByText('The grant is void', { exact: true })).toBeVisible()

  await page.getByRole('button', { name: 'Cancel the entitlement API calls' }).click()
  await page.getByRole('alertdialog').getByRole('button', { name: 'Cancel entitlement' }).click()
  await expect(page.getByText('API calls is cancelled')).toBeVisible()
})

test('a customer looks back and ahead, asks for a tier and withdraws; the tenant declines what is asked again', async ({
  page,
  browser,
}) => {
  await signIn(page, cedar, portalOf('acme'))
  await page.goto(`${portalOf('acme')}/usage`)
  await expect(page.getByRole('heading', { level: 1, name: 'Usage history' })).toBeVisible()
  await expect(page.getByRole('table', { name: 'By period' }).getByRole('row')).not.toHaveCount(1)
  await expect(page.getByRole('region', { name: 'Outlook' })).toContainText('Estimated from')

  await page.getByRole('link', { name: 'Tiers' }).click()
  await page.getByRole('button', { name: 'Ask for Scale' }).click()
  await expect(page.getByText('Acme has been told that you want Scale')).toBeVisible()
  await page.getByRole('button', { name: 'Withdraw' }).click()
  await expect(page.getByText('Your request is withdrawn')).toBeVisible()
  await page.getByRole('button', { name: 'Ask for Scale' }).click()
  await expect(page.getByRole('button', { name: 'Withdraw' })).toBeVisible()

  const office = await browser.newPage()
  await signIn(office, loginOf('acme', 'owner'))
  await office.goto(`${dashboard}/acme/customers`)
  await expect(office.getByText('Cedar Labs asks for Scale')).toBeVisible()
  await office.getByRole('button', { name: 'Decline' }).click()
  await expect(office.getByText('Declined: Cedar Labs keeps its tier')).toBeVisible()
  await office.close()
})

test('a tier that customers may take holds at once', async ({ page }) => {
  const back = () => api('/customers/cedar/subscription', { tier: 'starter', version: 1 }, 'PUT')
  expect((await back()).status).toBe(200)
  await signIn(page, cedar, portalOf('acme'))
  await page.goto(`${portalOf('acme')}/tiers`)
  await page.getByRole('button', { name: 'Change to Growth' }).click()
  await page.getByRole('alertdialog').getByRole('button', { name: 'Change tier' }).click()
  await expect(page.getByText('You are now on Growth')).toBeVisible()
  expect((await api('/customers/cedar/subscription')).body.tier.slug).toBe('growth')
  expect((await back()).status).toBe(200)
})
