// A tenant's admin: switching tenants, watching usage arrive, making a meter, a tier and a key.
import {
  at,
  callApi,
  dashboard,
  demo,
  expect,
  fillSignIn,
  loginOf,
  signIn,
  tenantOf,
  test,
  waitForSteadyAcme,
} from './fixtures'

const owner = loginOf('acme', 'owner')
const unique = Date.now().toString(36)

test('an owner signs in, chooses among the tenants that are theirs, and switches', async ({ page }) => {
  await page.goto(dashboard)
  await page.getByRole('link', { name: 'Sign in' }).first().click()
  await fillSignIn(page, owner)
  await expect(page).toHaveURL(at(dashboard, '/tenants'))
  await expect(page.getByRole('link', { name: /^Acme / })).toHaveCount(2)
  await expect(page.getByRole('link', { name: /Globex/ })).toHaveCount(0)
  await page.getByRole('link', { name: /^Acme premium/i }).click()
  await expect(page).toHaveURL(at(dashboard, '/acme'))

  await page.getByRole('link', { name: 'Tiers', exact: true }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Tiers' })).toBeVisible()
  await page.getByRole('combobox', { name: /switch tenant/ }).click()
  await page.getByRole('option', { name: /Acme Labs/ }).click()
  await expect(page).toHaveURL(at(dashboard, '/acme-labs/tiers'))
  await expect(page.getByRole('combobox', { name: /^Acme Labs/ })).toBeVisible()
})

test('usage is seen the moment it is acknowledged', async ({ page }) => {
  await signIn(page, owner)
  await page.clock.install()
  await page.goto(`${dashboard}/acme/usage`)
  const events = page.getByRole('table', { name: 'Latest events' })
  await expect(events.getByRole('row').nth(1)).toBeVisible()
  const { status, body } = await callApi('/api/v1/usage/track', {
    key: tenantOf('acme').api_key,
    body: { meter_id: 'api_calls', user_id: 'cedar', event_value: 1, properties: { journey: unique } },
  })
  expect([status, body.inserted]).toEqual([200, 1])
  await page.clock.fastForward(5_000)
  await expect(events.getByRole('row').filter({ hasText: unique })).toBeVisible()
})

test('range and grouping of the chart are in the address, so that a link shows the same', async ({ page }) => {
  await signIn(page, owner)
  await page.goto(`${dashboard}/acme/usage`)
  await page.getByRole('combobox', { name: 'Split by' }).click()
  await page.getByRole('option', { name: 'By customer' }).click()
  await page.getByRole('button', { name: /^Time range/ }).click()
  await page
    .getByRole('button', { name: 'Last 7 days' })
    .or(page.getByRole('radio', { name: 'Last 7 days' }))
    .or(page.getByRole('option', { name: 'Last 7 days' }))
    .first()
    .click()
  await expect(page).toHaveURL(/customer/)
  await expect(page).toHaveURL(/7d/)
  const address = page.url()
  await page.goto('about:blank')
  await page.goto(address)
  await expect(page.getByRole('combobox', { name: 'Split by' })).toContainText('By customer')
  await expect(page.getByRole('button', { name: 'Time range: Last 7 days' })).toBeVisible()
})

test('an admin makes a meter, a tier that caps it, and a key; the key works, and at the cap the answer is no', async ({
  page,
}) => {
  await signIn(page, loginOf('acme', 'admin'))

  await page.goto(`${dashboard}/acme/meters`)
  await page.getByRole('button', { name: 'Create meter' }).first().click()
  const meter = page.getByRole('dialog', { name: 'New meter' })
  await meter.getByRole('textbox', { name: 'Name', exact: true }).fill(`Renders ${unique}`)
  await expect(meter.getByRole('textbox', { name: 'Slug' })).toHaveValue(`renders_${unique}`)
  await meter.getByRole('button', { name: 'Create meter' }).click()
  await expect(page.getByRole('row', { name: new RegExp(`Renders ${unique}`) })).toBeVisible()

  await page.goto(`${dashboard}/acme/tiers/new`)
  await page.getByRole('textbox', { name: 'Name', exact: true }).fill(`Journey ${unique}`)
  await page.getByRole('textbox', { name: 'Price' }).fill('49.99')
  await page.getByRole('button', { name: 'Add cap' }).click()
  await page.getByRole('combobox', { name: 'Meter' }).click()
  await page.getByRole('option', { name: new RegExp(`Renders ${unique}`) }).click()
  await page.getByRole('textbox', { name: 'Limit' }).fill('3')
  await page.getByRole('button', { name: 'Add feature' }).click()
  await page.getByRole('combobox', { name: 'Key' }).fill('custom_domain')
  await page.getByRole('button', { name: 'Create tier' }).click()
  await expect(page.getByRole('row', { name: new RegExp(`Journey ${unique}`) })).toContainText('49.99')

  await page.goto(`${dashboard}/acme/customers?new=true`)
  const customer = page.getByRole('dialog', { name: 'Add customer' })
  await customer.getByRole('textbox', { name: 'Id in your product' }).fill(`journey-${unique}`)
  await customer.getByRole('combobox', { name: 'Tier' }).click()
  await page.getByRole('option', { name: new RegExp(`Journey ${unique}`) }).click()
  await customer.getByRole('button', { name: 'Add customer' }).click()
  await expect(page.getByRole('row', { name: new RegExp(`journey-${unique}`) })).toBeVisible()

  await waitForSteadyAcme()
  await page.goto(`${dashboard}/acme/api-keys?new=true`)
  const form = page.getByRole('dialog', { name: 'Create API key' })
  await form.getByRole('textbox', { name: 'Name', exact: true }).fill(`Journey ${unique}`)
  await form.getByRole('button', { name: 'Create key' }).click()
  const secret = page.getByRole('dialog', { name: 'Your new key' })
  const key = /hf_live_[0-9A-Za-z]{49}/.exec(await secret.innerText())?.[0] ?? ''
  expect(key).not.toBe('')

  const event = { meter_id: `renders_${unique}`, user_id: `journey-${unique}` }
  for (const base of [demo.urls.ingest, demo.urls.ingest, dashboard.replace('app.localhost', 'localhost')]) {
    const { status, body } = await callApi('/api/v1/usage/track', { key, body: event, base })
    expect([status, body]).toMatchObject([200, { inserted: 1 }])
  }
  const check = await callApi('/api/v1/usage/check', { key, body: { ...event, amount: 1 } })
  expect([check.status, check.body]).toMatchObject([200, { allowed: false, code: 'USAGE_EXCEEDED' }])
  expect([Number(check.body.limit), Number(check.body.remaining)]).toEqual([3, 0])
  const over = await callApi('/api/v1/usage/track', { key, body: event })
  expect([over.status, over.body.inserted, over.body.rejected.length]).toEqual([200, 0, 1])

  await page.goto(`${dashboard}/acme/customers`)
  await page
    .getByRole('link', { name: new RegExp(`journey-${unique}`) })
    .first()
    .click()
  await expect(page.getByText('Cap reached: further usage is refused')).toBeVisible()

  await page.goto(`${dashboard}/acme/api-keys`)
  const row = page.getByRole('row', { name: new RegExp(`Journey ${unique}`) })
  await expect(row).toContainText(key.slice(-4))
  await row.getByRole('button', { name: /^Actions for/ }).click()
  await page.getByRole('menuitem', { name: 'Revoke' }).click()
  await page.getByRole('button', { name: 'Revoke key' }).click()
  await expect(page.getByText('Key revoked')).toBeVisible()
  const dead = await callApi('/api/v1/usage/check', { key, body: { ...event, amount: 0 } })
  expect(dead.status).toBe(401)
})

test('a member sees the daily work, and neither keys nor the record', async ({ page }) => {
  await signIn(page, loginOf('acme', 'member'))
  await page.goto(`${dashboard}/acme`)
  const navigation = page.getByRole('navigation', { name: 'Dashboard' })
  await expect(navigation.getByRole('link', { name: 'Customers' })).toBeVisible()
  for (const name of ['API keys', 'Audit log']) await expect(navigation.getByRole('link', { name })).toHaveCount(0)
  await page.goto(`${dashboard}/acme/api-keys`)
  await expect(page.getByText('Your role does not include this page')).toBeVisible()
})

test.describe(() => {
  test.use({ refusals: [404] })

  test('a tenant of others is a page that is not there, like one that never was', async ({ page }) => {
    await signIn(page, owner)
    for (const slug of ['globex', 'never-was']) {
      const response = await page.goto(`${dashboard}/${slug}`)
      expect(response?.status()).toBe(404)
      await expect(page.getByRole('heading', { level: 1, name: 'Page not found' })).toBeVisible()
    }
  })
})

test.describe(() => {
  test.use({ refusals: [404] })

  test('what is not there is answered as that, within the dashboard', async ({ page }) => {
    const nobody = '0199a000-0000-7000-8000-000000000000'
    await signIn(page, owner)
    for (const path of [
      '/customers/nobody-at-all',
      `/customers/${nobody}`,
      '/meters/nothing_at_all',
      '/tiers/nothing-at-all',
      `/tiers/${nobody}`,
      `/billing-periods/${nobody}`,
      '/billing-periods/nonsense',
      `/reconciliations/${nobody}`,
    ]) {
      expect([path, (await page.goto(`${dashboard}/acme${path}`))?.status()]).toEqual([path, 404])
      await expect(page.getByRole('heading', { level: 1, name: 'Page not found' }), path).toBeVisible()
      await expect(page, path).toHaveTitle('Page not found · Acme · Holdfast')
      await expect(page.getByRole('navigation', { name: 'Dashboard' }).getByRole('link').first(), path).toBeVisible()
    }
  })

  test('documentation and mails that are not there likewise', async ({ page }) => {
    for (const path of ['/docs/api/nothing-at-all', '/dev/mail/nothing-at-all']) {
      expect([path, (await page.goto(`${dashboard}${path}`))?.status()]).toEqual([path, 404])
    }
  })
})

test('the title of a page names what it is about', async ({ page }) => {
  await signIn(page, owner)
  await page.goto(`${dashboard}/acme/customers/bluebird`)
  await expect(page).toHaveTitle('Bluebird Coffee · Acme · Holdfast')
  await page.goto(`${dashboard}/acme/meters/api_calls`)
  await expect(page).toHaveTitle('API calls · Acme · Holdfast')
  const base = dashboard.replace('//app.localhost', '//localhost')
  const periods = await callApi('/api/v1/billing-periods', { key: tenantOf('acme').api_key, base })
  await page.goto(`${dashboard}/acme/billing-periods/${periods.body.data[0].id}`)
  await expect(page).toHaveTitle(/^Period to .* · Acme · Holdfast$/)
  const name = 'p%41/q?x#y 100%'
  const made = await callApi('/api/v1/customers', { key: tenantOf('acme').api_key, base, body: { external_id: name } })
  expect([201, 409]).toContain(made.status)
  expect((await page.goto(`${dashboard}/acme/customers/${encodeURIComponent(name)}`))?.status()).toBe(200)
  await expect(page.getByRole('heading', { level: 1, name })).toBeVisible()
  await expect(page).toHaveTitle(`${name} · Acme · Holdfast`)
})

test.describe(() => {
  test.use({ blocked: /net::ERR_/ })

  test('a server that is not reached is said, what was there stays, and the notice goes by itself', async ({
    page,
  }) => {
    await signIn(page, owner)
    await page.clock.install()
    await page.goto(`${dashboard}/acme/customers/bluebird`)
    const title = page.getByRole('heading', { level: 1, name: 'Bluebird Coffee' })
    const notice = page.getByRole('status').filter({ hasText: 'The server was not reached' })
    await expect(title).toBeVisible()
    await page.context().setOffline(true)
    await page.clock.fastForward(15_000)
    await expect(notice).toBeVisible()
    await expect(title).toBeVisible()
    await page.context().setOffline(false)
    await page.clock.fastForward(15_000)
    await expect(notice).toHaveCount(0)

    // Nor does anybody wait for ever for an answer that does not come.
    await page.route(/\/tenants\/acme\/meters\?/, () => undefined)
    const asked = page.waitForRequest(/\/tenants\/acme\/meters\?/)
    await page.goto(`${dashboard}/acme/tiers/new`)
    await asked
    await page.clock.fastForward(61_000)
    await expect(page.getByText('The meters could not be loaded.')).toBeVisible()
  })

  test('what did not arrive is neither empty nor still loading, and is asked for again', async ({ page }) => {
    await signIn(page, owner)
    const lost = /\/api\/v1\/tenants\/acme\/(meters|metrics)(\?|$)/
    await page.route(lost, (route) => route.abort())
    await page.goto(`${dashboard}/acme/tiers/new`)
    await expect(page.getByText('The meters could not be loaded.')).toBeVisible()
    await expect(page.getByText('There are no meters yet')).toHaveCount(0)
    await page.unroute(lost)
    await page.getByRole('button', { name: 'Try again' }).click()
    await expect(page.getByRole('button', { name: 'Add cap' })).toBeEnabled()

    // What is typed outlives a try that failed: leaving asks first.
    const name = page.getByRole('textbox', { name: 'Name' })
    await name.fill('Typed')
    await page.route(/\/tenants\/acme\/tiers$/, (route) => route.abort())
    await page.getByRole('button', { name: 'Create tier' }).click()
    await expect(page.getByRole('alert').filter({ hasText: 'was not reached' })).toBeVisible()
    for (const leave of ['link', 'palette'] as const) {
      const asked = page.waitForEvent('dialog').then((question) => question.dismiss())
      if (leave === 'link') {
        await page.getByRole('link', { name: 'Meters', exact: true }).click()
      } else {
        await page.keyboard.press('Control+k')
        await page.getByRole('combobox', { name: 'Search for records, pages and commands' }).fill('Audit log')
        await page.keyboard.press('Enter')
      }
      await asked
      await expect(name).toHaveValue('Typed')
    }
    await name.clear()

    await page.route(lost, (route) => route.abort())
    await page.goto(`${dashboard}/acme/metrics`)
    await expect(page.getByRole('button', { name: 'Try again' })).toBeVisible()
    await expect(page.getByRole('status').filter({ hasText: 'Loading' })).toHaveCount(0)
  })
})

test.describe('a session that ends while its page is open', () => {
  // The page that is left behind asks once more, and is refused.
  test.use({ refusals: [401] })

  test('is said, and signing in leads back to the page that was open', async ({ page }) => {
    await page.clock.install()
    await signIn(page, owner)
    await page.goto(`${dashboard}/acme/customers`)
    await expect(page.getByRole('row', { name: /Bluebird/ })).toBeVisible()
    await page.context().clearCookies()
    await page.clock.fastForward(31_000)
    await expect(page.getByRole('status').filter({ hasText: 'You are signed out' })).toBeVisible()
    await expect(page.getByRole('row', { name: /Bluebird/ })).toBeVisible()
    await page.getByRole('button', { name: 'Add customer' }).click()
    const dialog = page.getByRole('dialog', { name: 'Add customer' })
    await dialog.getByRole('textbox').first().fill('typed-while-signed-out')
    await dialog.getByRole('button', { name: 'Add customer' }).click()
    await expect(dialog.getByRole('link', { name: 'Sign in in a new tab' })).toBeVisible()
    await expect(dialog.getByRole('textbox').first()).toHaveValue('typed-while-signed-out')
    // What was typed is not given up without a word.
    page.once('dialog', (question) => question.dismiss())
    await page.keyboard.press('Escape')
    await expect(dialog.getByRole('textbox').first()).toHaveValue('typed-while-signed-out')
    page.once('dialog', (question) => question.accept())
    await page.keyboard.press('Escape')
    await expect(dialog).toHaveCount(0)
    await page.getByRole('searchbox').fill('cedar')
    await page.clock.fastForward(1_000)
    await page.getByRole('alert').getByRole('link', { name: 'Sign in' }).click()
    await fillSignIn(page, owner)
    await expect(page).toHaveURL(at(dashboard, '/acme/customers'))
    await expect(page).toHaveURL(/q=cedar/)
  })

  test('what was asked for before signing in is shown afterwards; addresses elsewhere are not followed', async ({
    page,
  }) => {
    await page.goto(`${dashboard}/acme/meters`)
    await expect(page).toHaveURL(at(dashboard, '/sign-in'))
    await fillSignIn(page, owner)
    await expect(page).toHaveURL(at(dashboard, '/acme/meters'))
    await page.context().clearCookies()
    for (const next of ['https://evil.test/', '//evil.test', '/\\evil.test', 'javascript:alert(1)']) {
      await page.goto(`${dashboard}/sign-in?next=${encodeURIComponent(next)}`)
      await fillSignIn(page, owner)
      await expect(page).toHaveURL((url) => url.origin === dashboard && url.pathname !== '/sign-in')
      await page.context().clearCookies()
    }
  })
})
