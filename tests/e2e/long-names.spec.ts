// What people really call things: names without a space, right-to-left text, numbers of thirty digits and of ten decimals; and tables
// with little room.
import type { Page } from '@playwright/test'
import { callApi, dashboard, expect, findViolations, loginOf, signIn, tenantOf, test } from './fixtures'

const unique = Date.now().toString(36)
const slug = `long-names-${unique}`
const LONG = 'Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft'
const ARABIC = 'شركة الاختبار العربية (بيتا) 2026'
const DIGITS = '123456789012345678901234567890'
const WRITTEN = '123,456,789,012,345,678,901,234,567,890'

/** A call of the API by whoever is signed in; anything but success is an error. */
async function ask(page: Page, path: string, body?: unknown): Promise<ReturnType<typeof JSON.parse>> {
  const { status, answer } = await page.evaluate(
    async ([address, text]) => {
      const init = text === null ? {} : { method: 'POST', headers: { 'content-type': 'application/json' }, body: text }
      const response = await fetch(address, init)
      return { status: response.status, answer: await response.json() }
    },
    [path, body === undefined ? null : JSON.stringify(body)] as const,
  )
  expect([path, status, answer]).toEqual([path, status < 300 ? status : 200, answer])
  return answer
}

test('long names, other scripts and long numbers fit on every page and read as they are', async ({ page }) => {
  const login = { email: `${slug}@newcomer.test`, password: 'a long enough password' }
  await page.goto(`${dashboard}/sign-up`)
  await ask(page, '/api/auth/sign-up', login)
  await ask(page, '/api/auth/sign-in', login)
  await ask(page, '/api/v1/tenants', { name: LONG, slug, description: LONG.repeat(4) })
  const base = `/api/v1/tenants/${slug}`
  const { key } = await ask(page, `${base}/api-keys`, { name: LONG, permissions: ['usage:write'] })
  const meterSlug = 'm'.repeat(64)
  await ask(page, `${base}/meters`, { name: LONG, slug: meterSlug, unit: 'u'.repeat(32), description: LONG.repeat(4) })
  await ask(page, `${base}/meters`, { name: ARABIC, slug: 'small', unit: 'وحدة' })
  await ask(page, `${base}/features`, { key: 'f'.repeat(64), name: LONG, meter: meterSlug })
  const tier = await ask(page, `${base}/tiers`, {
    name: LONG,
    is_default: true,
    usage_caps: { [meterSlug]: DIGITS, small: { limit: '0.0000001', behaviour: 'overflow' } },
    feature_entitlements: ['f'.repeat(64)],
  })
  const customer = await ask(page, `${base}/customers`, { external_id: 'x'.repeat(255), name: LONG + LONG })
  await ask(page, `${base}/customers/${customer.id}/grants`, { meter: meterSlug, amount: DIGITS })
  await ask(page, `${base}/alerts`, { name: LONG, meter: 'small', kind: 'usage', threshold: '0.00000005' })
  await ask(page, `${base}/rate-limits/overrides`, {
    namespace: 'n'.repeat(200),
    identifier: 'i'.repeat(255),
    limit: 1_000_000_000,
    duration: 60_000,
  })
  const sent = await callApi('/api/v1/usage/track', {
    key,
    body: [
      { meter_id: meterSlug, user_id: 'x'.repeat(255), event_value: DIGITS, event_id: 'e'.repeat(255) },
      { meter_id: 'small', user_id: 'x'.repeat(255), event_value: '0.000000012345', source: 's'.repeat(100) },
    ],
  })
  expect([sent.status, sent.body.inserted]).toEqual([200, 2])

  const one = `/customers/${customer.id}`
  const paths = [
    ...['', '/usage', '/meters', `/meters/${meterSlug}`, '/events', '/reports', '/customers', one, '/tiers'],
    ...[`/tiers/${tier.id}`, '/features', '/alerts', '/rate-limits', '/api-keys', '/audit-logs', '/settings'],
    '/settings/branding',
  ]
  for (const path of paths) {
    await page.goto(`${dashboard}/${slug}${path}`)
    await expect(page.locator('h1')).toHaveCount(1)
    await expect(page.getByRole('status').filter({ hasText: 'Loading' })).toHaveCount(0)
    for (const width of [1280, 390, 320]) {
      await page.setViewportSize({ width, height: 900 })
      const over = () =>
        page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
      await expect.poll(over, { message: `${path} at ${width} px runs over the edge` }).toBe(0)
    }
  }

  await page.setViewportSize({ width: 1280, height: 900 })
  await page.goto(`${dashboard}/${slug}${one}`)
  const main = page.getByRole('main')
  await expect(main.getByText('0.000000012', { exact: true }).first()).toBeVisible()
  await expect(main.getByText('/ 0.0000001 وحدة')).toBeVisible()
  await expect(main.getByText(WRITTEN, { exact: true }).first()).toBeVisible()
  expect(await findViolations(page)).toEqual([])

  await page.goto(`${dashboard}/${slug}/tiers/${tier.id}`)
  await expect(page.getByRole('textbox', { name: 'Limit' }).nth(1)).toHaveValue('0.0000001')
  await page.goto(`${dashboard}/${slug}/events`)
  await expect(main.getByText('0.000000012345', { exact: true })).toBeVisible()
  await expect(main.getByText(WRITTEN, { exact: true })).toBeVisible()
})

test('beside the navigation a table folds what matters less, and need not scroll', async ({ page }) => {
  // An event that takes much room, in the lists of events: by somebody of a longer id, with a property, and taken back.
  const { api_key: key } = tenantOf('acme')
  const event = { meter_id: 'compute_minutes', user_id: `folded-${unique}`, event_id: `folded-${unique}` }
  const sent = await callApi('/api/v1/usage/track', { key, body: { ...event, properties: { journey: unique } } })
  expect([sent.status, sent.body.inserted]).toEqual([200, 1])
  const base = dashboard.replace('//app.localhost', '//localhost')
  const body = { action: 'cancel', event_id: event.event_id }
  expect((await callApi('/api/v1/usage/correct', { key, base, body })).body.corrected).toBe(1)
  await signIn(page, loginOf('acme', 'owner'))
  for (const width of [1024, 768]) {
    await page.setViewportSize({ width, height: 900 })
    for (const noun of ['customers', 'tiers', 'events', 'api-keys', 'audit-logs', 'usage']) {
      await page.goto(`${dashboard}/acme/${noun}`)
      const table = page.locator('main [data-rows]').first()
      await expect(table.getByRole('row').nth(1)).toBeVisible()
      const over = () => table.evaluate(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)
      await expect.poll(over, { message: `${noun} at ${width} px` }).toBe(0)
    }
  }
  await page.goto(`${dashboard}/acme/customers`)
  const folded = page.getByRole('rowheader', { name: /Bluebird Coffee/ }).locator('dl')
  await expect(folded).toHaveText(/^E-mailbluebird@.*Added/)
  expect(await findViolations(page)).toEqual([])
  await page.setViewportSize({ width: 1280, height: 900 })
  await expect(page.getByRole('columnheader', { name: 'Added' })).toBeVisible()
  await expect(folded).toHaveCount(0)
})
