// An owner has every cap watched with one click, sees what fired, reads the report of the month and the metrics of the tenant.
import { readFile } from 'node:fs/promises'
import { bringNearCap, callApi, dashboard, demo, expect, loginOf, signIn, tenantOf, test } from './fixtures'

const owner = loginOf('acme', 'owner')
const { api_key } = tenantOf('acme')
const unique = `alerted-${Date.now().toString(36)}`
const web = (path: string) => callApi(path, { key: api_key, base: dashboard.replace('//app.', '//') })

test('every cap is watched with one click, and one of them fires', async ({ page }) => {
  await signIn(page, owner)
  await page.goto(`${dashboard}/acme/alerts`)
  await page.getByRole('button', { name: 'Watch 80 % and 100 % of every cap' }).first().click()
  await expect(page.getByText(/alerts? created|Every cap is watched already/)).toBeVisible()
  const table = page.getByRole('table', { name: 'Alerts' })
  await expect(table.getByRole('row').filter({ hasText: '80 % of the cap' }).first()).toBeVisible()

  const use = async (event_value: number) => {
    const body = { meter_id: 'api_calls', user_id: unique, event_value }
    expect(await callApi('/api/v1/usage/track', { key: api_key, body })).toMatchObject({
      status: 200,
      body: { inserted: 1 },
    })
  }
  await use(5)
  await page.getByRole('button', { name: 'Create alert' }).first().click()
  const dialog = page.getByRole('dialog', { name: 'New alert' })
  await dialog.getByRole('button', { name: 'Create alert' }).click()
  await expect(dialog.getByText('An alert needs a name')).toBeVisible()
  await expect(dialog.getByText('Choose the meter to watch')).toBeVisible()
  await dialog.getByRole('textbox', { name: 'Name' }).fill(`Much for ${unique}`)
  await dialog.getByRole('combobox', { name: 'Meter' }).click()
  await page.getByRole('option', { name: 'API calls' }).click()
  await dialog.getByRole('textbox', { name: /^Customer/ }).fill(unique)
  await dialog.getByRole('combobox', { name: 'What is watched' }).click()
  await page.getByRole('option', { name: 'Used', exact: true }).click()
  await dialog.getByRole('textbox', { name: 'Threshold' }).fill('30')
  await dialog.getByRole('textbox', { name: /^Again every/ }).fill('10')
  await dialog.getByRole('button', { name: 'Create alert' }).click()
  await expect(page.getByText(`Alert “Much for ${unique}” created`)).toBeVisible()
  await expect(table.getByRole('row').filter({ hasText: unique })).toContainText('and every 10')

  await use(40)
  await page.getByRole('radio', { name: 'Fired' }).click()
  await expect(page).toHaveURL(/view=firings/)
  const fired = page
    .getByRole('table', { name: 'Fired' })
    .getByRole('row')
    .filter({ hasText: `Much for ${unique}` })
  await expect(fired.filter({ hasText: unique }).filter({ hasText: '40' }).first()).toBeVisible()

  await page.getByRole('radio', { name: 'Rules' }).click()
  const row = table.getByRole('row').filter({ hasText: unique })
  await row.getByRole('button').last().click()
  await page.getByRole('menuitem', { name: 'Switch off' }).click()
  await expect(row).toContainText('Off')
  await row.getByRole('button').last().click()
  await page.getByRole('menuitem', { name: 'Archive' }).click()
  await page.getByRole('alertdialog').getByRole('button', { name: 'Archive' }).click()
  await expect(table.getByRole('row').filter({ hasText: unique })).toHaveCount(0)
})

test('the report of the month says what the API says, of all and of one customer, and is a file', async ({ page }) => {
  await signIn(page, owner)
  await bringNearCap()
  await page.goto(`${dashboard}/acme/reports`)
  const { body } = await web('/api/v1/usage/reports')
  const [calls] = body.meters.filter(({ meter }: { meter: { slug: string } }) => meter.slug === 'api_calls')
  expect(Number(calls.used)).toBeGreaterThan(0)
  const row = page.getByRole('table', { name: 'By meter' }).getByRole('row').filter({ hasText: calls.meter.name })
  await expect(row).toContainText(new Intl.NumberFormat('en', { maximumFractionDigits: 2 }).format(Number(calls.used)))
  await expect(page.getByRole('table', { name: 'Largest customers' })).toBeVisible()

  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: 'Download CSV' }).click(),
  ])
  expect(download.suggestedFilename()).toBe(`usage-${body.month}.csv`)
  expect(await readFile(await download.path(), 'utf8')).toMatch(/^row,month,meter/)

  await page.getByRole('textbox', { name: 'Customer' }).fill('cedar')
  await page.getByRole('button', { name: 'Show' }).click()
  await expect(page).toHaveURL(/customer=cedar/)
  await expect(page.getByRole('heading', { level: 2, name: /^Usage of / })).toBeVisible()
  await expect(page.getByRole('columnheader', { name: 'Cap', exact: true })).toBeVisible()

  // On paper there is the report and nothing around it.
  await page.emulateMedia({ media: 'print' })
  await expect(page.getByRole('link', { name: 'Download CSV' })).toBeHidden()
  await expect(page.getByRole('navigation').first()).toBeHidden()
  await expect(page.getByRole('heading', { level: 2, name: /^Usage of / })).toBeVisible()
})

test.describe('a customer nobody knows', () => {
  test.use({ refusals: [404] })
  test('is said to be none', async ({ page }) => {
    await signIn(page, owner)
    await page.goto(`${dashboard}/acme/reports?customer=${unique}-nobody`)
    await expect(page.getByText('There is no such customer')).toBeVisible()
  })
})

test('metrics count what the product does, and what is sent', async ({ page }) => {
  const sent = await callApi('/api/v1/metrics', {
    key: api_key,
    base: dashboard.replace('//app.', '//'),
    body: { metric: 'workflow_executions', value: 3, event_id: unique },
  })
  expect([sent.status, sent.body.inserted]).toEqual([201, true])
  await signIn(page, owner)
  await page.goto(`${dashboard}/acme/metrics`)
  const calls = page.getByRole('button', { name: /^API calls/ })
  await expect(calls).toHaveAttribute('aria-pressed', 'true')
  await expect(calls).not.toContainText(/calls\s*0\s*This month/)
  await page.getByRole('button', { name: /^Workflow runs/ }).click()
  await expect(page).toHaveURL(/metric=workflow_executions/)
  await expect(page.getByRole('heading', { level: 2, name: 'Workflow runs by day' })).toBeVisible()
  const users = page.getByRole('button', { name: /^Users/ })
  await expect(users).toContainText(/[1-9]/)
  expect(demo.urls.dashboard).toBe(dashboard)
})
