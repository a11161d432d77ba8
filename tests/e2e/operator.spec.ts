// The operator: every tenant in a list; suspending one stops portal, sessions and keys at once, activating brings them back.
import { callApi, dashboard, expect, loginOf, portalOf, signIn, tenantOf, test } from './fixtures'

test.describe(() => {
  test.use({ refusals: [423] })

  // Whatever happened above, the other journeys find globex open.
  test.afterEach(async ({ page }) => {
    await signIn(page, loginOf('operators', 'super_admin'))
    await page.goto(`${dashboard}/operator`)
    await page.evaluate((id) => fetch(`/api/v1/tenants/${id}/activate`, { method: 'POST' }), tenantOf('globex').id)
  })

  test('suspend and activate', async ({ page, browser }) => {
    await signIn(page, loginOf('operators', 'super_admin'))
    await page.goto(`${dashboard}/operator`)
    for (const name of ['Acme', 'Globex', 'Initech'])
      await expect(page.getByRole('row', { name: new RegExp(`^${name}\\b`) }).first()).toBeVisible()

    const globex = tenantOf('globex')
    const answers = async () => {
      const key = await callApi('/api/v1/usage/check', {
        key: globex.api_key,
        body: { meter_id: 'api_calls', user_id: 'bluebird', amount: 0 },
      })
      const context = await browser.newContext()
      const own = await context.newPage()
      await signIn(own, loginOf('globex', 'owner'))
      await own.goto(`${dashboard}/tenants`)
      const session = await own.evaluate(async () => (await fetch('/api/v1/tenants/globex/meters')).status)
      await own.goto(portalOf('globex'))
      const closed = await own.getByText('This portal is not available').isVisible()
      await context.close()
      return { key: key.status, session, closed }
    }
    expect(await answers()).toEqual({ key: 200, session: 200, closed: false })

    await page.getByRole('searchbox').fill('globex')
    await expect(page).toHaveURL(/globex/)
    await expect(page.getByRole('row', { name: /Acme/ })).toHaveCount(0)
    await page.getByRole('link', { name: /Globex/ }).click()
    await expect(page.getByRole('heading', { level: 1, name: 'Globex' })).toBeVisible()
    await page.getByRole('button', { name: 'Suspend' }).first().click()
    const dialog = page
      .getByRole('dialog', { name: 'Suspend Globex' })
      .or(page.getByRole('alertdialog', { name: 'Suspend Globex' }))
    await dialog.getByRole('textbox', { name: 'Reason' }).fill('A journey of the tests')
    // A click beside the form takes nothing away.
    await page.mouse.click(4, 300)
    await expect(dialog.getByRole('textbox', { name: 'Reason' })).toHaveValue('A journey of the tests')
    await dialog.getByRole('button', { name: 'Suspend' }).click()
    await expect(page.getByText('Reason: A journey of the tests')).toBeVisible()
    // The portal hears of it from the database, well before the minute for which it would remember.
    await expect.poll(answers).toEqual({ key: 423, session: 423, closed: true })

    await page.getByRole('button', { name: 'Activate' }).first().click()
    const back = page
      .getByRole('dialog', { name: 'Activate Globex' })
      .or(page.getByRole('alertdialog', { name: 'Activate Globex' }))
    await back.getByRole('button', { name: 'Activate' }).click()
    await expect(page.getByText('Reason: A journey of the tests')).toHaveCount(0)
    await expect.poll(answers).toEqual({ key: 200, session: 200, closed: false })
  })

  test('who has a page of the tenant open is told that it is suspended, and sees it open again', async ({
    page,
    browser,
  }) => {
    const context = await browser.newContext()
    await context.clock.install()
    const own = await context.newPage()
    await signIn(own, loginOf('globex', 'owner'))
    await own.goto(`${dashboard}/globex/customers/bluebird`)
    await expect(own.getByRole('heading', { level: 1, name: 'Bluebird Coffee' })).toBeVisible()
    const portal = await context.newPage()
    await signIn(portal, loginOf('globex', 'customer'), portalOf('globex'))
    await portal.goto(portalOf('globex'))
    await expect(portal.getByText('Bluebird Coffee')).toBeVisible()

    await signIn(page, loginOf('operators', 'super_admin'))
    await page.goto(`${dashboard}/operator`)
    const act = (name: string) =>
      page.evaluate(
        async ([id, verb]) =>
          (
            await fetch(`/api/v1/tenants/${id}/${verb}`, {
              method: 'POST',
              headers: { 'content-type': 'application/json' },
              body: JSON.stringify({ reason: 'A journey of the tests' }),
            })
          ).status,
        [tenantOf('globex').id, name] as const,
      )
    // Who is typing keeps what was typed, as long as the form is open.
    const typing = await context.newPage()
    await typing.goto(`${dashboard}/globex/meters?new=true`)
    const name = typing.getByRole('dialog', { name: 'New meter' }).getByRole('textbox', { name: 'Name', exact: true })
    await name.fill('Half typed')
    expect(await act('suspend')).toBe(200)
    await context.clock.fastForward(30_000)
    await expect(typing.getByText('What you typed is still here.')).toBeVisible()
    await expect(name).toHaveValue('Half typed')
    await typing.getByRole('button', { name: 'Cancel' }).click()
    await context.clock.runFor(2_000)
    await expect(typing.getByRole('heading', { name: 'This tenant is suspended' })).toBeVisible()
    await typing.close()
    await own.bringToFront()
    await expect(own.getByRole('heading', { name: 'This tenant is suspended' })).toBeVisible()
    await expect(own.getByText('could not be loaded')).toHaveCount(0)
    await portal.bringToFront()
    await expect(portal.getByRole('heading', { name: 'This portal is not available' })).toBeVisible()
    expect(await act('activate')).toBe(200)
    await context.clock.fastForward(30_000)
    await own.bringToFront()
    await expect(own.getByRole('heading', { level: 1, name: 'Bluebird Coffee' })).toBeVisible()
    await context.close()
  })
})

test('what can be done to a tenant is in view beside it', async ({ page }) => {
  await page.setViewportSize({ width: 1280, height: 900 })
  await signIn(page, loginOf('operators', 'super_admin'))
  await page.goto(`${dashboard}/operator`)
  await expect(page).toHaveTitle('Tenants · Operator console')
  await expect(page.getByRole('button', { name: 'Actions for Acme', exact: true })).toBeInViewport({ ratio: 1 })
})

test('support sees the same and is offered no act', async ({ page }) => {
  await signIn(page, loginOf('operators', 'support'))
  await page.goto(`${dashboard}/operator`)
  await page
    .getByRole('link', { name: /Globex/ })
    .first()
    .click()
  await expect(page.getByText('Support sees everything here and changes nothing.')).toBeVisible()
  await expect(page.getByRole('button', { name: 'Suspend' })).toHaveCount(0)
  // The strip at the top takes nothing from the sidebar below it.
  await expect(page.getByRole('button', { name: /^Account of/ })).toBeInViewport({ ratio: 1 })
})

test.describe(() => {
  test.use({ refusals: [404] })

  test('the console is not there for anybody else', async ({ page }) => {
    await signIn(page, loginOf('acme', 'owner'))
    const response = await page.goto(`${dashboard}/operator`)
    expect(response?.status()).toBe(404)
  })

  test('a tenant that is not there is a page that is not there', async ({ page }) => {
    await signIn(page, loginOf('operators', 'support'))
    for (const id of ['0199a000-0000-7000-8000-000000000000', 'nobody-at-all']) {
      expect([id, (await page.goto(`${dashboard}/operator/tenants/${id}`))?.status()]).toEqual([id, 404])
    }
  })
})
