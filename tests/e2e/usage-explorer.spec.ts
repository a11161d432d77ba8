// The usage explorer: everything chosen stands in the address, the figures are exact, and a meter is made with all it can have.
import { readFile } from 'node:fs/promises'
import { waitForSteadyDay } from '../support/steady-day'
import { callApi, dashboard, expect, findViolations, loginOf, signIn, tenantOf, test } from './fixtures'

const owner = loginOf('acme', 'owner')
const key = tenantOf('acme').api_key
const slug = `explored_${Date.now().toString(36)}`
const web = dashboard.replace('app.localhost', 'localhost')
const HOUR_MS = 3_600_000
const begun = Date.now()

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
    timestamp: new Date(begun - hours * HOUR_MS).toISOString(),
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
  await expect(figures.getByRole('cell', { name: '12,345,678,901,234,567,890.5' })).toBeVisible()

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

test('an answer that takes longer than the page waits to ask again is still shown', async ({ page }) => {
  const asked: string[] = []
  const givenUp: string[] = []
  const { promise: late, resolve: send } = Promise.withResolvers<void>()
  await page.route(/\/query\?/, async (route) => {
    asked.push(route.request().url())
    await late
    await route.continue()
  })
  await page.clock.install()
  await page.goto(`${dashboard}/acme/usage?meter=${slug}`)
  await expect.poll(() => asked.length).toBeGreaterThan(0)
  page.on('requestfailed', (request) => givenUp.push(request.url()))
  for (let round = 0; round < 3; round += 1) await page.clock.fastForward(5_000)
  send()
  await expect(page.getByRole('table', { name: 'Exact figures' })).toBeVisible()
  expect(givenUp.filter((url) => asked.includes(url))).toEqual([])
})

test.describe('a customer that is not there', () => {
  test.use({ refusals: [404, 422] })
  test('is said to be unknown, and the way back is one click', async ({ page }) => {
    await page.goto(`${dashboard}/acme/usage?meter=${slug}&customer=nobody-of-this-name`)
    await expect(page.getByText('no such customer: nobody-of-this-name')).toBeVisible()
    await page.getByRole('button', { name: 'Clear split, filters and range' }).click()
    await expect(page.getByRole('heading', { name: 'Exact figures' })).toBeVisible()
    await expect(page).toHaveURL(`${dashboard}/acme/usage?meter=${slug}`)
  })
})

test.describe('a range that cannot be shown', () => {
  test.use({ refusals: [422] })
  test('is said in words, beside what changes it', async ({ page }) => {
    await page.goto(`${dashboard}/acme/usage?from=1990-01-01&to=2026-11-01`)
    await expect(page.getByText('five years at most')).toBeVisible()
    await expect(page.getByRole('button', { name: /^Time range/ })).toBeVisible()
    expect(await findViolations(page)).toEqual([])
    await page.getByRole('button', { name: 'Show the last 30 days' }).click()
    await expect(page.getByRole('region', { name: 'All meters' })).toBeVisible()
  })

  test('more groups than an answer holds with their empty windows are shown all the same', async ({ page }) => {
    const wide = `${slug}_wide`
    const base = web
    const made = await callApi('/api/v1/meters', {
      key,
      base,
      body: { slug: wide, name: 'Wide', group_by: ['region'] },
    })
    expect(made.status).toBe(201)
    const groups = Array.from({ length: 1_700 }, (_, index) => ({
      meter_id: wide,
      user_id: 'cedar',
      event_value: index + 1,
      timestamp: new Date(begun - 49 * HOUR_MS).toISOString(),
      properties: { region: `r${index}` },
    }))
    for (const body of [groups.slice(0, 850), groups.slice(850)])
      expect((await callApi('/api/v1/usage/track', { key, body })).body.inserted).toBe(body.length)
    await page.goto(`${dashboard}/acme/usage?meter=${wide}&group=region&view=table`)
    const chart = page.getByRole('region', { name: 'Wide, as a table' }).getByRole('table')
    await expect(chart.getByRole('columnheader', { name: 'r1699', exact: true })).toBeVisible()
    // Days without any usage keep their place.
    await expect(chart.getByRole('row')).toHaveCount(31)
    await expect(page.getByRole('table', { name: 'Exact figures' })).toBeVisible()
  })
})

test.describe('a meter that is not there', () => {
  test.use({ refusals: [404] })
  test('is named, and another can be chosen', async ({ page }) => {
    await page.goto(`${dashboard}/acme/usage?meter=no_such_meter`)
    await expect(page.getByRole('heading', { name: 'There is no meter “no_such_meter”' })).toBeVisible()
    await expect(page.getByRole('heading', { name: 'Latest events' })).toHaveCount(0)
    expect(await findViolations(page)).toEqual([])
    await page.getByRole('combobox', { name: 'Meter' }).click()
    await page.getByRole('option', { name: 'API calls', exact: true }).click()
    await expect(page.getByRole('heading', { name: 'Exact figures' })).toBeVisible()
    await page.goto(`${dashboard}/acme/usage?meter=no_such_meter`)
    await page.getByRole('button', { name: 'Show all meters' }).click()
    await expect(page).toHaveURL(`${dashboard}/acme/usage`)
    await expect(page.getByRole('heading', { name: 'Latest events' })).toBeVisible()
  })
})

test('a chart is read bucket by bucket by keyboard, and Enter or a click shows one closer', async ({ page }) => {
  await waitForSteadyDay()
  await page.goto(`${dashboard}/acme/usage?meter=${slug}&customer=birch&zone=UTC`)
  const chart = page.getByRole('slider', { name: /^Explored, bucket by bucket/ })
  await expect(chart).toHaveAttribute('aria-valuetext', /still filling: Explored 0 tokens/)
  await page
    .getByRole('radio', { name: 'Lines' })
    .or(page.getByRole('button', { name: 'Lines' }))
    .first()
    .focus()
  for (let step = 0; step < 6 && !(await chart.evaluate((it) => it === document.activeElement)); step += 1)
    await page.keyboard.press('Tab')
  await expect(chart).toBeFocused()
  const used = new Date(begun - 50 * HOUR_MS)
  const name = used.toLocaleDateString('en-GB', { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' })
  await page.keyboard.press('End')
  for (let day = 0; day < 4; day += 1) {
    if ((await chart.getAttribute('aria-valuetext'))?.startsWith(name)) break
    await page.keyboard.press('ArrowLeft')
  }
  await expect(chart).toHaveAttribute('aria-valuetext', `${name}: Explored 8 tokens`)
  await expect(page.getByText('8 tokens', { exact: true }).first()).toBeVisible()
  await page.keyboard.press('Enter')
  const day = used.toISOString().slice(0, 10)
  await expect(page).toHaveURL(new RegExp(`from=${day}&to=${day}`))
  await expect(chart).toHaveAttribute('aria-valuemax', '24')
  await page.goBack()
  await expect(page).not.toHaveURL(/from=/)

  // A click takes the bucket under it: the last of the year is the week that is still filling.
  await page.goto(`${dashboard}/acme/usage?meter=${slug}&zone=UTC&range=12m`)
  await expect(chart).toHaveAttribute('aria-valuetext', /^Week of/)
  const box = await chart.boundingBox()
  if (box) await chart.click({ position: { x: box.width - 8, y: box.height / 2 } })
  await expect(page).toHaveURL(new RegExp(`to=${new Date().toISOString().slice(0, 10)}`))
  await expect(chart).not.toHaveAttribute('aria-valuetext', /^Week of/)
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
  await expect(page.getByRole('textbox', { name: 'Property', exact: true })).toBeFocused()
  await page.keyboard.type('kind')
  await page.getByRole('combobox', { name: 'Comparison' }).click()
  await page.getByRole('option', { name: 'is one of' }).click()
  await page.getByRole('textbox', { name: 'Value', exact: true }).fill('click, view')
  await page.getByRole('textbox', { name: 'Properties to group by' }).fill('region, plan')
  await page.getByRole('button', { name: 'Create meter' }).last().click()
  await expect(page.getByText(`Meter “${name}” created`)).toBeVisible()
  await page.getByRole('link', { name: new RegExp(name) }).click()
  await expect(page.getByText('kind ∈ click, view')).toBeVisible()
  await expect(page.getByText('region, plan')).toBeVisible()
  await expect(page.getByText('No usage in this period').first()).toBeVisible()
})

test('every field of a meter is made on the screen and shown on its page', async ({ page }) => {
  const name = `Nested ${slug}`
  const dialog = page.getByRole('dialog', { name: 'New meter' })
  const create = () => dialog.getByRole('button', { name: 'Create meter' }).click()
  await page.goto(`${dashboard}/acme/meters?new=true`)
  await dialog.getByRole('textbox', { name: 'Name', exact: true }).fill(name)
  await dialog.getByRole('textbox', { name: 'Property that holds the value' }).fill('bytes')
  await dialog.getByRole('button', { name: 'Add a condition' }).click()
  await dialog.getByRole('textbox', { name: 'Value', exact: true }).fill('eu')
  await create()
  await expect(dialog.getByText('Name the property, or remove the condition')).toBeVisible()
  await dialog.getByRole('textbox', { name: 'Property', exact: true }).fill('region')
  await dialog.getByRole('button', { name: 'Write it as JSON' }).click()
  const json = dialog.getByRole('textbox', { name: 'Filter as JSON' })
  await expect(json).toHaveValue(/"property": "region"/)
  await json.fill('{"and": [{"property": "region", "operator": "is", "value": "eu"}]}')
  await create()
  await expect(dialog.getByText(/\/and\/0\/operator: must be one of/)).toBeVisible()
  await json.fill(
    '{"and": [{"property": "region", "operator": "eq", "value": "eu"}, {"or": [{"property": "size", "operator": "gt", "value": 5}, {"property": "plan", "operator": "ne", "value": "free"}]}]}',
  )
  await expect(dialog.getByRole('button', { name: 'Back to conditions' })).toHaveCount(0)
  await dialog.getByRole('textbox', { name: 'Properties to group by' }).fill('region, plan')
  await dialog.getByRole('textbox', { name: 'Name of its events' }).fill(`request-${slug}`)
  await dialog.getByRole('textbox', { name: 'region', exact: true }).fill('request.region')
  await dialog.getByRole('textbox', { name: 'Unit' }).fill('bytes')
  await dialog.getByRole('checkbox', { name: 'Values may be negative' }).click()
  await create()
  await expect(page.getByText(`Meter “${name}” created`)).toBeVisible()
  await page.getByRole('link', { name: new RegExp(name) }).click()
  for (const fact of [
    'region = eu and (size > 5 or plan ≠ free)',
    'region, plan',
    `request-${slug}`,
    'region ← request.region',
    'accepted',
  ])
    await expect(page.getByRole('definition').filter({ hasText: fact }).first()).toBeVisible()
})

for (const look of ['light', 'dark', 'phone'] as const) {
  test(`nothing for axe, and nothing over the edge: ${look}`, async ({ page }) => {
    await page.setViewportSize(look === 'phone' ? { width: 390, height: 844 } : { width: 1280, height: 900 })
    await page.emulateMedia({ colorScheme: look === 'dark' ? 'dark' : 'light', reducedMotion: 'reduce' })
    await page.goto(`${dashboard}/acme/usage?meter=${slug}&group=region,customer&filter=region:eu|us&compare=true`)
    await expect(page.getByRole('heading', { name: 'Exact figures' })).toBeVisible()
    expect(await findViolations(page)).toEqual([])
    expect(
      await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth),
    ).toBeLessThanOrEqual(0)
    await page.goto(`${dashboard}/acme/meters?new=true`)
    await page.getByRole('button', { name: 'Add a condition' }).click()
    expect(await findViolations(page, '[role=dialog]')).toEqual([])
  })
}
