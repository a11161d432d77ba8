// The usage explorer: everything chosen stands in the address, the figures are exact, and a meter is made with all it can have.
import { readFile } from 'node:fs/promises'
import AxeBuilder from '@axe-core/playwright'
import { callApi, dashboard, expect, loginOf, signIn, tenantOf, test } from './fixtures'

const owner = loginOf('acme', 'owner')
const key = tenantOf('acme').api_key
const slug = `explored_${Date.now().toString(36)}`
const web = dashboard.replace('app.localhost', 'localhost')

test.beforeAll(async () => {
  const made = await callApi('/api/v1/meters', {
    key,
    base: web,
    body: { slug, name: 'Explored', unit: 'tokens', group_by: ['region', 'model'], allows_negative: true },
  })
  expect(made.status).toBe(201)
  const event = (user_id: string, event_value: string, region: string, hours: number) => ({
    meter_id: slug,
    user_id,
    event_value,
    timestamp: new Date(Date.now() - hours * 3_600_000).toISOString(),
    properties: { region, model: 'small' },
  })
  const { body } = await callApi('/api/v1/usage/track', {
    key,
    body: [
      event('cedar', '12345678901234567890.5', 'eu', 2),
      event('cedar', '4', 'us', 2),
      event('birch', '8', 'us', 50),
    ],
  })
  expect(body.inserted).toBe(3)
})

test.beforeEach(async ({ page }) => {
  await signIn(page, owner)
})

test('groups, windows, zone and filters are in the address, and the link shows the same', async ({ page }) => {
  await page.goto(`${dashboard}/acme/usage?meter=${slug}`)
  const figures = page.getByRole('table', { name: 'Exact figures' })
  await expect(figures).toBeVisible()
  await page.getByRole('button', { name: 'Split by: nothing' }).click()
  await page.getByRole('menuitemcheckbox', { name: 'region' }).click()
  await page.keyboard.press('Escape')
  await expect(page).toHaveURL(/group=region/)
  await expect(figures.getByRole('columnheader', { name: 'region' })).toBeVisible()
  await expect(figures.getByRole('cell', { name: '12345678901234567890.5' })).toBeVisible()

  await page.getByRole('combobox', { name: 'Windows' }).click()
  await page.getByRole('option', { name: 'Hours', exact: true }).click()
  await expect(page).toHaveURL(/window=hour/)
  await page.getByRole('combobox', { name: 'Time zone' }).fill('Asia/Kolkata')
  await expect(page).toHaveURL(/zone=Asia/)

  await page.getByRole('button', { name: 'Filter', exact: true }).click()
  await page.getByRole('textbox', { name: 'Customers' }).fill('cedar')
  await page.getByRole('textbox', { name: 'region' }).fill('us')
  await page.getByRole('button', { name: 'Apply' }).click()
  await expect(page).toHaveURL(/customer=cedar/)
  await expect(figures.getByRole('row')).toHaveCount(2)
  await expect(figures.getByRole('cell', { name: '4', exact: true })).toBeVisible()

  const address = page.url()
  await page.goto('about:blank')
  await page.goto(address)
  await expect(page.getByRole('button', { name: 'Split by: region' })).toBeVisible()
  await expect(figures.getByRole('row')).toHaveCount(2)
  await page.getByRole('button', { name: 'Remove filter region: us' }).click()
  await expect(figures.getByRole('row')).toHaveCount(3)
})

test('the last 24 hours are hours; the CSV has every digit', async ({ page }) => {
  await page.goto(`${dashboard}/acme/usage?meter=${slug}&range=24h&group=region&view=table`)
  await expect(page.getByRole('combobox', { name: 'Windows' })).toContainText('Hours')
  const chart = page.getByRole('region', { name: 'Explored, as a table' }).getByRole('table')
  await expect(chart.getByRole('row')).toHaveCount(25)
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'CSV' }).click()])
  const text = await readFile(await download.path(), 'utf8')
  expect(text.split('\r\n')[0]).toBe('window_start,window_end,group.region,value,events')
  expect(text).toContain(',eu,12345678901234567890.5,1')
})

test.describe('a customer that is not there', () => {
  test.use({ refusals: [422] })
  test('is said to be unknown', async ({ page }) => {
    await page.goto(`${dashboard}/acme/usage?meter=${slug}&customer=nobody-of-this-name`)
    await expect(page.getByText('no such customer: nobody-of-this-name')).toBeVisible()
  })
})

test('a meter is made with a filter and groups, and shows them', async ({ page }) => {
  const name = `People ${slug}`
  await page.goto(`${dashboard}/acme/meters?new=true`)
  await page.getByRole('textbox', { name: 'Name', exact: true }).fill(name)
  await page.getByRole('radio', { name: /^Different values/ }).click()
  await page.getByRole('button', { name: 'Create meter' }).last().click()
  await expect(page.getByText('Say whose different values are counted')).toBeVisible()
  await page.getByRole('textbox', { name: 'Property that holds the value' }).fill('person')
  await page.getByRole('button', { name: 'Add a condition' }).click()
  await page.getByRole('textbox', { name: 'Property', exact: true }).fill('kind')
  await page.getByRole('combobox', { name: 'Comparison' }).click()
  await page.getByRole('option', { name: 'is one of' }).click()
  await page.getByRole('textbox', { name: 'Value', exact: true }).fill('click, view')
  await page.getByRole('textbox', { name: 'Properties to group by' }).fill('region, plan')
  await page.getByRole('button', { name: 'Create meter' }).last().click()
  await expect(page.getByText(`Meter “${name}” created`)).toBeVisible()
  await page.getByRole('link', { name: new RegExp(name) }).click()
  await expect(page.getByText('kind ∈ click, view')).toBeVisible()
  await expect(page.getByText('region, plan')).toBeVisible()
  await expect(page.getByText('No usage in this time').first()).toBeVisible()
})

for (const look of ['light', 'dark', 'phone'] as const) {
  test(`nothing for axe, and nothing over the edge: ${look}`, async ({ page }) => {
    await page.setViewportSize(look === 'phone' ? { width: 390, height: 844 } : { width: 1280, height: 900 })
    await page.emulateMedia({ colorScheme: look === 'dark' ? 'dark' : 'light', reducedMotion: 'reduce' })
    await page.goto(`${dashboard}/acme/usage?meter=${slug}&group=region,customer&filter=region:eu|us&compare=true`)
    await expect(page.getByRole('heading', { name: 'Exact figures' })).toBeVisible()
    expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([])
    expect(
      await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth),
    ).toBeLessThanOrEqual(0)
    await page.goto(`${dashboard}/acme/meters?new=true`)
    await page.getByRole('button', { name: 'Add a condition' }).click()
    expect((await new AxeBuilder({ page }).include('[role=dialog]').analyze()).violations).toEqual([])
  })
}
