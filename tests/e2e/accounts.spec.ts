// What is typed and pressed where something is missing: scripts, or their end, the link of a mail, a session; and an invitation that is
// taken up.
import { at, dashboard, expect, findViolations, loginOf, portalOf, signIn, test } from './fixtures'

test('without scripts the forms say what they need', async ({ browser }) => {
  const context = await browser.newContext({ javaScriptEnabled: false })
  const page = await context.newPage()
  for (const address of [`${dashboard}/sign-in`, `${dashboard}/sign-up`, `${portalOf('acme')}/sign-in`]) {
    await page.goto(address)
    // The text of a noscript is none to getByText.
    const notice = page.locator('noscript p').first()
    await expect(notice).toBeVisible()
    expect(await notice.textContent()).toBe('This page needs JavaScript')
  }
  // What was typed does not stand in the address.
  await page.goto(`${dashboard}/sign-in`)
  await page.locator('input[type=email]').fill('owner@acme.test')
  await page.locator('input[type=password]').fill('holdfast-demo')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.waitForLoadState()
  expect(page.url()).toBe(`${dashboard}/sign-in`)
  await context.close()
})

test('a new password needs the link of the mail, and the page says so before it is typed', async ({ page }) => {
  for (const origin of [dashboard, portalOf('acme')]) {
    await page.goto(`${origin}/reset-password`)
    await expect(page.getByText('This link does not work any more')).toBeVisible()
    await expect(page.getByLabel('New password')).toHaveCount(0)
    expect(await findViolations(page)).toEqual([])
    await page.getByRole('link', { name: 'Ask for a new link' }).click()
    await expect(page).toHaveURL(at(origin, '/forgot-password'))
  }
})

test('a mail that does not come is asked for again, with the address as it was typed', async ({ page }) => {
  await page.goto(`${dashboard}/forgot-password`)
  await page.getByLabel('E-mail').fill('nobody-with-a-typo@example.test')
  await page.getByRole('button', { name: 'Send the link' }).click()
  await expect(page.getByRole('heading', { name: 'Check your e-mail' })).toBeFocused()
  expect(await findViolations(page)).toEqual([])
  await page.getByRole('button', { name: 'Change the address or send again' }).click()
  await expect(page.getByLabel('E-mail')).toHaveValue('nobody-with-a-typo@example.test')
})

test('whoever is invited to a portal makes an account and sees their usage in the brand of the tenant', async ({
  page,
}) => {
  const email = `joins-${Date.now().toString(36)}@acme-customers.test`
  await signIn(page, loginOf('acme', 'owner'))
  await page.goto(`${dashboard}/acme`)
  const statuses = await page.evaluate(async (address) => {
    const post = async (path: string, body: object) => {
      const response = await fetch(`/api/v1/tenants/acme${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
      return { status: response.status, id: ((await response.json()) as { id: string }).id }
    }
    const customer = await post('/customers', { external_id: address, name: 'Joins' })
    const login = await post('/customer-logins', { customer_id: customer.id, email: address })
    return [customer.status, login.status]
  }, email)
  expect(statuses).toEqual([201, 201])

  await page.goto(`${dashboard}/dev/mail`)
  await page.getByRole('listitem').filter({ hasText: email }).getByRole('link').click()
  await page.getByRole('link', { name: /\/join\?token=/ }).click()
  await expect(page.getByRole('link', { name: 'Create an account' })).toBeVisible()
  const brand = () => page.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue('--accent'))
  const before = await brand()
  await page.getByRole('link', { name: 'Create an account' }).click()
  await page.getByRole('textbox', { name: 'E-mail', exact: true }).fill(email)
  await page.getByLabel('Password', { exact: true }).fill('a-long-password-1')
  await page.getByRole('button', { name: 'Create account' }).click()
  await page.getByRole('button', { name: 'Accept the invitation' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Your usage' })).toBeVisible()
  await expect(page).toHaveURL(at(portalOf('acme'), '/'))
  expect(await brand()).toBe(before)
})

test('what is typed into a search before the page is alive is searched for', async ({ page }) => {
  await signIn(page, loginOf('acme', 'owner'))
  const { promise: alive, resolve: wake } = Promise.withResolvers<void>()
  await page.route(/\/_next\/static\/.*\.js/, async (route) => {
    await alive
    await route.continue()
  })
  await page.goto(`${dashboard}/acme/customers`, { waitUntil: 'commit' })
  await page.getByRole('searchbox', { name: 'Search customers' }).fill('bluebird')
  wake()
  await expect(page).toHaveURL(/q=bluebird/)
  await expect(page.getByRole('row')).toHaveCount(2)
  await expect(page.getByRole('searchbox', { name: 'Search customers' })).toHaveValue('bluebird')
})

test.describe(() => {
  test.use({ blocked: /net::ERR_/ })

  test('a page stands when the script of its chart is lost, and the chart comes once it is there', async ({ page }) => {
    await signIn(page, loginOf('acme', 'owner'))
    const { promise: late, resolve: send } = Promise.withResolvers<void>()
    await page.route(/\/usage\/daily\?/, async (route) => {
      await late
      await route.continue()
    })
    const asked = page.waitForRequest(/\/usage\/daily\?/)
    await page.goto(`${dashboard}/acme/customers/bluebird`)
    await asked
    const scripts = /\/_next\/static\/.*\.js/
    const lost: string[] = []
    page.on('requestfailed', (request) => scripts.test(request.url()) && lost.push(request.url()))
    await page.route(scripts, (route) => route.abort())
    send()
    // It is asked for again at once; then it is given up for a while.
    await expect.poll(() => lost.length - new Set(lost).size).toBeGreaterThan(0)
    const chart = page.getByRole('region', { name: 'All meters' })
    await expect(chart.getByRole('slider')).toBeVisible()
    await expect(page.getByRole('heading', { level: 1, name: 'Bluebird Coffee' })).toBeVisible()
    await page.unroute(scripts)
    await expect(chart.locator('svg.recharts-surface').first()).toBeVisible()
    await expect(page.getByRole('heading', { level: 1, name: 'Bluebird Coffee' })).toBeVisible()
  })
})
