// Who answers for the numbers: an event is found, amended and cancelled; what was refused says why; a period is closed; totals agree.
import { callApi, dashboard, expect, loginOf, signIn, tenantOf, test } from './fixtures'

const owner = loginOf('acme', 'owner')
const key = tenantOf('acme').api_key
const unique = Date.now().toString(36)
const track = (body: unknown) => callApi('/api/v1/usage/track', { key, body })

test('an event is found by its id, amended, and cancelled; its history says so', async ({ page }) => {
  const event_id = `operations-${unique}`
  await track({ meter_id: 'api_calls', user_id: 'cedar', event_value: 7, event_id, properties: { journey: unique } })
  await signIn(page, owner)
  await page.goto(`${dashboard}/acme/events`)
  await page.getByRole('searchbox', { name: 'Event id' }).fill(event_id)
  const events = page.getByRole('table', { name: 'Events received' })
  await expect(events.getByRole('row')).toHaveCount(2)
  await events.getByRole('button', { name: 'API calls' }).click()
  const drawer = page.getByRole('dialog').filter({ hasText: 'What it is part of' })
  await expect(drawer.getByText('Adds 7')).toBeVisible()

  await drawer.getByRole('button', { name: 'Amend' }).click()
  const amend = page.getByRole('dialog', { name: 'Amend this event' })
  await expect(amend).toBeVisible()
  // A click beside the dialog is none beside the drawer below it.
  await page.mouse.click(4, 300)
  await expect(amend).toHaveCount(0)
  await drawer.getByRole('button', { name: 'Amend' }).click()
  await amend.getByRole('button', { name: 'Amend event' }).click()
  await expect(amend.getByText('Nothing is different')).toBeVisible()
  await amend.getByRole('textbox', { name: 'Value' }).fill('seven')
  await amend.getByRole('button', { name: 'Amend event' }).click()
  await expect(amend.getByText(/A decimal of at most/)).toBeVisible()
  await amend.getByRole('textbox', { name: 'Value' }).fill('5')
  await page.mouse.click(4, 300)
  page.once('dialog', (question) => void question.dismiss())
  await page.keyboard.press('Escape')
  await expect(amend.getByRole('textbox', { name: 'Value' })).toHaveValue('5')
  await amend.getByRole('button', { name: 'Amend event' }).click()
  await expect(page.getByText('Event amended')).toBeVisible()
  await expect(drawer.getByText('Stands instead')).toBeVisible()
  await page.keyboard.press('Escape')
  // As sent, taken back, and what stands instead.
  await expect(events.getByRole('row')).toHaveCount(4)

  const standing = events.getByRole('row').filter({ hasText: 'Counted' })
  await expect(standing).toHaveCount(1)
  await standing.getByRole('button', { name: 'API calls' }).click()
  await drawer.getByRole('button', { name: 'Cancel event' }).click()
  const cancel = page.getByRole('alertdialog', { name: 'Cancel this event?' })
  await cancel.getByRole('textbox', { name: /Reason/ }).fill('Sent by a test machine')
  await cancel.getByRole('button', { name: 'Cancel event' }).click()
  await expect(page.getByText('Event cancelled')).toBeVisible()
  await expect(drawer.getByRole('button', { name: 'Cancel event' })).toHaveCount(0)
  const again = await page.evaluate(async (id) => {
    const response = await fetch('/api/v1/tenants/acme/usage/correct', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ action: 'cancel', event_id: id }),
    })
    return response.json()
  }, event_id)
  expect(again).toMatchObject({ corrected: 0, duplicates: 1 })

  // The newest events of a customer say so as well, and open in the same way.
  await page.goto(`${dashboard}/acme/usage?meter=api_calls&customer=cedar`)
  const latest = page.getByRole('table', { name: 'Latest events' })
  await latest.getByRole('row').filter({ hasText: 'Taken back' }).getByRole('button').first().click()
  await expect(drawer.getByText('Taken back').first()).toBeVisible()
})

test('what was refused says why, and what to do', async ({ page }) => {
  await track({ meter_id: `no_such_${unique}`, user_id: 'cedar' })
  await signIn(page, owner)
  await page.goto(`${dashboard}/acme/events`)
  await page.getByRole('tab', { name: 'Refused' }).click()
  await expect(page).toHaveURL(/tab=refused/)
  await page
    .getByRole('group', { name: 'Reason' })
    .getByRole('button', { name: /^Unknown meter/ })
    .click()
  await expect(page).toHaveURL(/reason=unknown_meter/)
  const refused = page.getByRole('table', { name: 'Events refused' })
  await refused.getByRole('row').filter({ hasText: unique }).getByRole('button').click()
  await expect(page.getByRole('dialog').getByText(/Create the meter, or correct meter_id/)).toBeVisible()
})

test('what usage is taken in is set card by card', async ({ page }) => {
  await signIn(page, owner)
  await page.goto(`${dashboard}/acme/settings/usage`)
  const newcomers = page.getByRole('region', { name: 'New customers' })
  const box = newcomers.getByRole('checkbox', { name: 'The first event of somebody new makes a customer' })
  const setNewcomers = async (taken: boolean) => {
    await box.setChecked(taken)
    await newcomers.getByRole('button', { name: 'Save' }).click()
    await expect(newcomers.getByRole('button', { name: 'Save' })).toBeDisabled()
    await expect(newcomers.getByText('Not saved yet')).toHaveCount(0)
  }
  await setNewcomers(false)
  const stranger = { meter_id: 'api_calls', user_id: `stranger-${unique}` }
  expect((await track(stranger)).body).toMatchObject({ inserted: 0, rejected: [{ code: 'unknown_customer' }] })
  await setNewcomers(true)
  expect((await track(stranger)).body).toMatchObject({ inserted: 1, rejected: [] })

  const late = page.getByRole('region', { name: 'Late events' })
  await late.getByRole('textbox', { name: 'Late events' }).fill('34')
  await late.getByRole('button', { name: 'Save' }).click()
  await expect(late.getByRole('textbox')).toHaveAttribute('aria-invalid', 'true')
  await late.getByRole('textbox').fill('36')
  await late.getByRole('button', { name: 'Save' }).click()
  await expect(late.getByRole('button', { name: 'Save' })).toBeDisabled()
  await page.reload()
  await expect(late.getByRole('textbox')).toHaveValue('36')
  await late.getByRole('textbox').fill('35')
  await late.getByRole('button', { name: 'Save' }).click()
  await expect(late.getByRole('button', { name: 'Save' })).toBeDisabled()
})

test('a period is closed and downloaded, and reconciliation finds nothing', async ({ page }) => {
  await signIn(page, owner)
  await page.goto(`${dashboard}/acme/billing-periods`)
  await page.getByRole('button', { name: 'Close period' }).first().click()
  const dialog = page.getByRole('dialog', { name: 'Close a billing period' })
  await dialog.getByRole('checkbox', { name: 'End it now' }).check()
  await dialog.getByRole('button', { name: 'Close period' }).click()
  await expect(page.getByText(/Period closed with/)).toBeVisible()
  await page.getByRole('table', { name: 'Closed periods' }).getByRole('link').first().click()
  await expect(page.getByRole('heading', { level: 1, name: /^Period to/ })).toBeVisible()
  await page.getByRole('button', { name: 'Download' }).click()
  const download = page.waitForEvent('download')
  await page.getByRole('menuitem', { name: /^CSV/ }).click()
  expect((await download).suggestedFilename()).toMatch(/^acme-billing-.+\.csv$/)

  await page.goto(`${dashboard}/acme/reconciliations`)
  await page.getByRole('button', { name: 'Reconcile now' }).click()
  const runs = page.getByRole('table', { name: 'Runs' })
  await expect(
    runs.getByRole('row').filter({ hasText: 'Somebody here' }).filter({ hasText: 'Finished' }).first(),
  ).toBeVisible()
  await expect(page.getByText('Events and totals agree').first()).toBeVisible()
})

test.describe('a server that is away for a moment', () => {
  test.use({ refusals: [503], blocked: /status of 503/ })
  test('is told of in sight, what was typed stays, and the next try carries the same key', async ({ page }) => {
    const keys: (string | undefined)[] = []
    await page.route('**/api/v1/**', async (route) => {
      if (!['PATCH', 'POST'].includes(route.request().method())) return route.continue()
      if (route.request().url().includes('/preview')) return route.continue()
      keys.push(route.request().headers()['idempotency-key'])
      await route.fulfill({
        status: 503,
        contentType: 'application/problem+json',
        body: JSON.stringify({ code: 'unavailable', detail: 'Away for a moment.', request_id: 'of-this-try' }),
      })
    })
    await signIn(page, owner)
    await page.goto(`${dashboard}/acme/tiers`)
    await page.getByRole('table', { name: 'Tiers' }).getByRole('link', { name: 'Growth' }).click()
    const description = page.getByRole('textbox', { name: /^Description/ })
    await description.fill('Typed once')
    const told = page.getByRole('alert').filter({ hasText: 'of-this-try' })
    for (let press = 1; press <= 2; press += 1) {
      await page.getByRole('button', { name: 'Save tier' }).click()
      await expect.poll(() => keys.length).toBe(press)
      await expect(told).toBeInViewport()
    }
    await expect(description).toHaveValue('Typed once')
    expect(keys[0]).toBeTruthy()
    expect(keys[1]).toBe(keys[0])

    page.once('dialog', (question) => void question.accept())
    await page.goto(`${dashboard}/acme/billing-periods`)
    await page.getByRole('button', { name: 'Close period' }).first().click()
    const dialog = page.getByRole('dialog', { name: 'Close a billing period' })
    await dialog.getByRole('button', { name: 'Close period' }).click()
    await expect(dialog.getByRole('alert').filter({ hasText: 'of-this-try' })).toBeVisible()
    // Nothing is wrong with the day.
    await expect(dialog.getByLabel('Ends at the beginning of')).not.toHaveAttribute('aria-invalid', 'true')
  })
})

test.describe('who may not', () => {
  test.use({ refusals: [403] })
  test('a compliance officer looks and changes nothing', async ({ page }) => {
    await signIn(page, loginOf('acme', 'compliance'))
    await page.goto(`${dashboard}/acme/billing-periods`)
    await expect(page.getByRole('heading', { level: 1, name: 'Billing periods' })).toBeVisible()
    await expect(page.getByRole('button', { name: 'Close period' })).toHaveCount(0)
    await page.goto(`${dashboard}/acme/reconciliations`)
    await expect(page.getByRole('button', { name: 'Reconcile now' })).toHaveCount(0)
  })
})

test('the next row is archived too while the answer for the one before is on its way', async ({ page }) => {
  await signIn(page, owner)
  const names = ['first', 'second'].map((name) => `${name} in turn ${unique}`)
  for (const name of names)
    await callApi('/api/v1/meters', {
      key,
      base: dashboard.replace('//app.localhost', '//localhost'),
      body: { slug: name.replaceAll(' ', '_'), name },
    })
  const { promise: late, resolve: send } = Promise.withResolvers<void>()
  await page.route(/\/meters\/[\w-]+$/, async (route) => {
    if (route.request().method() === 'PATCH') await late
    await route.continue()
  })
  await page.goto(`${dashboard}/acme/meters`)
  for (const name of names) {
    await page.getByRole('button', { name: `Actions for ${name}` }).click()
    await page.getByRole('menuitem', { name: 'Archive' }).click()
  }
  send()
  for (const name of names) await expect(page.getByText(`Meter “${name}” archived`)).toBeVisible()
  await expect(page.getByRole('row', { name: new RegExp(`in turn ${unique}`) })).toHaveCount(0)
})
