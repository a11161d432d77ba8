// Somebody new: an account, a tenant, the first steps, and the first event by the very command that is shown.
import { at, dashboard, expect, readCurl, test } from './fixtures'

const unique = Date.now().toString(36)

test('from nothing to the first event', async ({ page }) => {
  await page.goto(dashboard)
  await page.getByRole('link', { name: 'Create an account' }).first().click()
  await page.getByRole('textbox', { name: 'E-mail', exact: true }).fill(`new-${unique}@newcomer.test`)
  await page.getByLabel('Password', { exact: true }).fill('a long enough password')
  await page.getByRole('button', { name: 'Create account' }).click()
  await expect(page).toHaveURL((url) => ['/tenants', '/create-tenant'].includes(url.pathname))
  if (new URL(page.url()).pathname === '/tenants')
    await page.getByRole('link', { name: 'Create a tenant' }).first().click()

  // Sent too early: what is said of the address goes when it follows from the name.
  await page.getByRole('button', { name: 'Create tenant' }).click()
  await expect(page.getByText(/^Use 2 to 48 of/)).toBeVisible()
  await page.getByRole('textbox', { name: 'Name', exact: true }).fill(`Newcomer ${unique}`)
  await expect(page.getByRole('textbox', { name: 'Address' })).toHaveValue(`newcomer-${unique}`)
  await expect(page.getByText(/^Use 2 to 48 of/)).toHaveCount(0)
  await page.getByRole('button', { name: 'Create tenant' }).click()
  await expect(page).toHaveURL(at(dashboard, `/newcomer-${unique}`))

  const steps = page.getByRole('region', { name: 'First steps' }).or(page.locator('#first-steps')).first()
  await expect(steps).toContainText('Create a meter')

  await steps.getByRole('link', { name: 'Create a meter' }).click()
  const meter = page.getByRole('dialog', { name: 'New meter' })
  await meter.getByRole('textbox', { name: 'Name', exact: true }).fill('API calls')
  await meter.getByRole('button', { name: 'Create meter' }).click()
  await expect(page.getByRole('row', { name: /API calls/ })).toBeVisible()

  await page.getByRole('link', { name: 'Tiers', exact: true }).click()
  await page.getByRole('link', { name: 'Create tier' }).first().click()
  await page.getByRole('textbox', { name: 'Name', exact: true }).fill('Basic')
  await page.getByRole('checkbox', { name: 'Default tier' }).check()
  await page.getByRole('button', { name: 'Create tier' }).click()
  await expect(page.getByRole('row', { name: /Basic/ })).toBeVisible()

  await page.getByRole('link', { name: 'Overview', exact: true }).click()
  await steps.getByRole('button', { name: 'Create a key now' }).click()
  const secret = page.getByRole('dialog', { name: 'Your first API key' })
  await secret
    .getByRole('checkbox', { name: 'I have stored it' })
    .or(secret.getByRole('button', { name: 'I have stored it' }))
    .first()
    .click()
  if (await secret.isVisible()) await secret.getByRole('button', { name: 'Done' }).click()

  await expect(steps).toContainText('Waiting for your first event')
  const command = readCurl(
    await steps
      .getByText(/^curl /)
      .first()
      .innerText(),
  )
  expect(command.headers.Authorization).toMatch(/^Bearer hf_live_/)
  // Names below localhost are resolved by browsers alone.
  const url = new URL(command.url)
  if (url.hostname.endsWith('.localhost')) url.hostname = 'localhost'
  const response = await fetch(url, { method: command.method, headers: command.headers, body: command.body })
  expect([response.status, await response.json()]).toMatchObject([200, { inserted: 1 }])

  // It is there without a reload, and the tenant is open by itself.
  await expect(steps).not.toContainText('Waiting for your first event')
  for (const figure of ['Events today', 'Active customers'])
    await expect(page.getByText(figure, { exact: true }).locator('..')).toContainText('1')
  await page.getByRole('link', { name: 'Customers', exact: true }).click()
  await expect(page.getByRole('row', { name: /customer-1/ })).toBeVisible()
  await page.getByRole('link', { name: 'Usage', exact: true }).click()
  await expect(
    page.getByRole('table', { name: 'Latest events' }).getByRole('row', { name: /customer-1/ }),
  ).toBeVisible()
  await expect(page.getByText('This tenant is being set up')).toHaveCount(0)
})
