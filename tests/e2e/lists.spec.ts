// Lists and what opens from them: archived ones apart, who is near a cap, a drawer that keeps its content until it is gone.
import {
  at,
  bringNearCap,
  callApi,
  dashboard,
  expect,
  findViolations,
  loginOf,
  signIn,
  tenantOf,
  test,
} from './fixtures'

const unique = Date.now().toString(36)

test('archived ones are apart, in every list by the same address', async ({ page }) => {
  await signIn(page, loginOf('acme', 'admin'))
  const key = tenantOf('acme').api_key
  const make = async (noun: string, body: object) => {
    const base = dashboard.replace('//app.localhost', '//localhost')
    const made = await callApi(`/api/v1/${noun}`, { key, base, body })
    expect(made.status).toBe(201)
    const gone = await callApi(`/api/v1/${noun}/${made.body.id}`, { key, base, method: 'DELETE' })
    expect(gone.status).toBe(200)
  }
  await make('meters', { slug: `rested_${unique}`, name: `Rested ${unique}` })
  await make('tiers', { slug: `rested-${unique}`, name: `Rested ${unique}` })
  await make('customers', { external_id: `rested-${unique}`, name: `Rested ${unique}` })
  for (const noun of ['meters', 'tiers', 'customers']) {
    await page.goto(`${dashboard}/acme/${noun}`)
    const row = page.getByRole('row', { name: new RegExp(`Rested ${unique}`) })
    await expect(page.getByRole('row').nth(1)).toBeVisible()
    await expect(row).toHaveCount(0)
    await page.getByRole('radio', { name: 'Archived' }).click()
    await expect(page).toHaveURL(/archived=true/)
    await expect(row).toBeVisible()
    await page.getByRole('radio', { name: 'In use' }).click()
    await expect(row).toHaveCount(0)
  }
})

test('who is near a cap is on the overview and in the list of customers', async ({ page }) => {
  await bringNearCap()
  await signIn(page, loginOf('acme', 'member'))
  await page.goto(`${dashboard}/acme`)
  const card = page.locator('section').filter({ has: page.getByRole('heading', { name: 'Nearest to their caps' }) })
  await expect(card.getByRole('link', { name: 'Bluebird Coffee' })).toBeVisible()
  await expect(card).toContainText('85% of the cap used')

  await page.goto(`${dashboard}/acme/customers`)
  await page.getByRole('radio', { name: 'Near a cap' }).click()
  await expect(page).toHaveURL(/show=near/)
  const row = page.getByRole('row', { name: /Bluebird Coffee/ })
  await expect(row).toContainText('85% of the cap used')
  await row.getByRole('link', { name: 'Bluebird Coffee' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Bluebird Coffee' })).toBeVisible()
  await page.goBack()
  await page.getByRole('radio', { name: 'In use' }).click()
  await expect(page).toHaveURL(at(dashboard, '/acme/customers'))
  await expect(page).not.toHaveURL(/show/)
  await expect(page.getByRole('row', { name: /Cedar/ })).toBeVisible()
})

test('a drawer shows what it showed until it has closed', async ({ page }) => {
  await signIn(page, loginOf('acme', 'owner'))
  for (const list of ['audit-logs', 'usage']) {
    await page.goto(`${dashboard}/acme/${list}`)
    await page.getByRole('row').nth(2).getByRole('button').first().click()
    const drawer = page.getByRole('dialog')
    await expect(drawer).toBeVisible()
    await expect(drawer.getByRole('status').filter({ hasText: 'Loading' })).toHaveCount(0)
    const shown = await drawer.innerText()
    await drawer.evaluate((element) => {
      const texts = new Set<string>()
      Object.assign(window, { drawerTexts: texts })
      const look = () => {
        if (!element.isConnected) return
        texts.add((element as HTMLElement).innerText)
        requestAnimationFrame(look)
      }
      look()
    })
    await page.keyboard.press('Escape')
    await expect(drawer).toHaveCount(0)
    const seen = await page.evaluate(() => [...(window as unknown as { drawerTexts: Set<string> }).drawerTexts])
    // Relative times may have moved on meanwhile.
    const still = (text: string) => text.replaceAll(/\b(\d+ \w+ ago|now|just now)\b/g, '')
    expect([...new Set(seen.map(still))]).toEqual([still(shown)])
  }
})

test('the command palette is there when it is asked for', async ({ page }) => {
  await bringNearCap()
  await signIn(page, loginOf('acme', 'admin'))
  await page.goto(`${dashboard}/acme`)
  // Asked for by the page once it listens to keys.
  await expect(page.getByRole('link', { name: 'Bluebird Coffee' }).first()).toBeVisible()
  await page.keyboard.press('Control+k')
  const field = page.getByRole('dialog').getByRole('combobox')
  await expect(field).toBeFocused()
  await page.keyboard.type('mete')
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(at(dashboard, '/acme/meters'))
  await expect(field).toHaveCount(0)
  await page.getByRole('button', { name: /Search or jump/ }).click()
  await expect(field).toBeFocused()
  await page.keyboard.press('Escape')
  const button = page.getByRole('button', { name: /Search or jump/ })
  await expect(button).toBeFocused()
  // The heading of a new page asks for the focus for half a second, and no more of whoever went on by then.
  await page.evaluate(() => new Promise((later) => setTimeout(later, 700)))
  await expect(button).toBeFocused()
})

test('the command palette finds customers, meters and tiers by name, and leads to them', async ({ page }) => {
  await signIn(page, loginOf('acme', 'owner'))
  await page.goto(`${dashboard}/acme/alerts`)
  const palette = page.getByRole('dialog')
  const find = async (text: string) => {
    await page.getByRole('button', { name: /Search or jump/ }).click()
    await palette.getByRole('combobox').fill(text)
  }
  await find('bluebird@acme')
  await expect(palette.getByRole('group', { name: 'Customers' }).getByRole('option')).toHaveText([/Bluebird Coffee/])
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(/\/acme\/customers\/[\w-]+$/)
  await expect(page.getByRole('heading', { level: 1, name: 'Bluebird Coffee' })).toBeVisible()

  // Pages come first; what is found follows below them, and takes nothing from what was about to be chosen.
  await find('api')
  await expect(palette.getByRole('group', { name: 'Meters' }).getByRole('option', { name: /API calls/ })).toBeVisible()
  await expect(palette.getByRole('option').first()).toHaveText(/API keys/)
  expect(await findViolations(page, '[role=dialog]')).toEqual([])
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(at(dashboard, '/acme/api-keys'))

  await find('growth')
  await palette
    .getByRole('group', { name: 'Tiers' })
    .getByRole('option', { name: /Growth/ })
    .click()
  await expect(page.getByRole('heading', { level: 1, name: 'Growth' })).toBeVisible()
  await find('nothing of this name')
  await expect(palette.getByText('Nothing found')).toBeVisible()
})

test('the command palette finds what the role may see, and no more', async ({ page }) => {
  const asked = new Set<string>()
  page.on('request', (request) => {
    const { pathname, searchParams } = new URL(request.url())
    if (searchParams.get('q') === 'bluebird') asked.add(pathname.replace('/api/v1/tenants/acme', ''))
  })
  await signIn(page, loginOf('acme', 'compliance'))
  await page.goto(`${dashboard}/acme/audit-logs`)
  await page.getByRole('button', { name: /Search or jump/ }).click()
  await page.getByRole('dialog').getByRole('combobox').fill('bluebird')
  await expect(page.getByRole('dialog').getByText('Nothing found')).toBeVisible()
  expect([...asked]).toEqual([])

  await signIn(page, loginOf('operators', 'support'))
  await page.goto(`${dashboard}/operator`)
  await page.getByRole('button', { name: /Search or jump/ }).click()
  await page.getByRole('dialog').getByRole('combobox').fill('globe')
  await page
    .getByRole('dialog')
    .getByRole('option', { name: /Globex/ })
    .click()
  await expect(page.getByRole('heading', { level: 1, name: 'Globex' })).toBeVisible()
})

test('a form that is sent twice at once is sent once', async ({ page }) => {
  const sent: string[] = []
  page.on('request', (request) => request.method() === 'POST' && sent.push(new URL(request.url()).pathname))
  await signIn(page, loginOf('acme', 'owner'))
  await page.goto(`${dashboard}/acme/customers?new=true`)
  const dialog = page.getByRole('dialog')
  const id = `twice-${Date.now().toString(36)}`
  await dialog.getByRole('textbox', { name: 'Id in your product' }).fill(id)
  await dialog.locator('form').evaluate((form: HTMLFormElement) => {
    form.requestSubmit()
    form.requestSubmit()
  })
  await expect(page.getByRole('row', { name: new RegExp(id) })).toBeVisible()
  expect(sent.filter((path) => path.endsWith('/customers'))).toHaveLength(1)
})

test('Back closes what a list has opened, and asks where something was typed; a click beside a form does not', async ({
  page,
}) => {
  await signIn(page, loginOf('acme', 'owner'))
  await page.goto(`${dashboard}/acme/events`)
  await page.getByRole('row').nth(2).getByRole('button').first().click()
  await expect(page.getByRole('dialog')).toBeVisible()
  await expect(page).toHaveURL(/event=/)
  await page.goBack()
  await expect(page.getByRole('dialog')).toHaveCount(0)
  await expect(page).toHaveURL(at(dashboard, '/acme/events'))

  await page.goto(`${dashboard}/acme/meters`)
  await page.getByRole('button', { name: 'Create meter' }).click()
  const name = page.getByRole('dialog').getByRole('textbox', { name: 'Name', exact: true })
  await name.fill('Half typed')
  await page.mouse.click(4, 4)
  await expect(name).toHaveValue('Half typed')
  const asked: string[] = []
  page.on('dialog', async (question) => {
    asked.push(question.message())
    await question.dismiss()
  })
  await page.evaluate(() => history.back())
  await expect.poll(() => asked).toEqual(['What you typed here is not saved. Close without saving?'])
  await expect(name).toHaveValue('Half typed')
  await name.fill('')
  await page.evaluate(() => history.back())
  await expect(page.getByRole('dialog')).toHaveCount(0)
  await expect(page).toHaveURL(at(dashboard, '/acme/meters'))
})

test.describe(() => {
  test.use({ refusals: [400, 404, 422] })

  test('an address with a page or a filter that is none leads back to the list', async ({ page }) => {
    await signIn(page, loginOf('acme', 'owner'))
    await page.goto(`${dashboard}/acme/customers?cursor=of-yesterday`)
    await expect(page.getByRole('heading', { name: 'This page of the list is not there any more' })).toBeVisible()
    await page.getByRole('button', { name: 'Back', exact: true }).click()
    await expect(page.getByRole('row', { name: /Bluebird/ })).toBeVisible()

    await page.goto(`${dashboard}/acme/api-keys?status=bogus`)
    await page.getByRole('alert').getByRole('button', { name: 'Clear filters' }).click()
    await expect(page.getByRole('row', { name: /Demo key/ })).toBeVisible()

    await page.goto(`${dashboard}/acme/audit-logs?entry=0199a000-0000-7000-8000-000000000000`)
    await expect(page.getByRole('heading', { name: 'There is no such entry' })).toBeVisible()

    // What is no id is no part of an address either: these asked for something else, and the page fell over its answer.
    for (const address of ['audit-logs?entry=..', 'events?event=..%2F..%2Fmeters']) {
      await page.goto(`${dashboard}/acme/${address}`)
      await expect(page.getByRole('row').nth(1)).toBeVisible()
    }
  })
})
