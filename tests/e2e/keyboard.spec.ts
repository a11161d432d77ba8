// The main job without a mouse.
import type { Page } from '@playwright/test'
import { at, bringNearCap, callApi, dashboard, expect, loginOf, signIn, tenantOf, test } from './fixtures'

const unique = Date.now().toString(36)

/** Presses Tab until the focus is on what has this role and name. */
async function tabTo(
  page: Page,
  role: 'link' | 'button' | 'textbox' | 'combobox' | 'radio' | 'checkbox',
  name: string | RegExp,
  limit = 60,
): Promise<void> {
  const target = page.getByRole(role, { name, ...(typeof name === 'string' ? { exact: true } : {}) }).first()
  for (let presses = 0; presses < limit; presses += 1) {
    if (await target.evaluate((element) => element === document.activeElement).catch(() => false)) return
    await page.keyboard.press('Tab')
  }
  throw new Error(`Tab does not lead to the ${role} ${name}.`)
}

/** Whether what has the focus can be seen to have it. */
async function expectVisibleFocus(page: Page): Promise<void> {
  const seen = await page.evaluate(() => {
    const element = document.activeElement
    if (!element || element === document.body) return false
    const box = element.getBoundingClientRect()
    const styles = [
      element,
      element.parentElement,
      element.nextElementSibling,
      element.closest('label, [data-slot], .group'),
    ]
      .filter((each) => each instanceof Element)
      .map((each) => getComputedStyle(each))
    const marked = styles.some(
      (style) => (style.outlineStyle !== 'none' && style.outlineWidth !== '0px') || style.boxShadow !== 'none',
    )
    return box.width > 0 && box.height > 0 && marked
  })
  expect(seen).toBe(true)
}

test('sign in, skip to the content, make a meter, and sign out', async ({ page }) => {
  await page.goto(`${dashboard}/sign-in`)
  await tabTo(page, 'textbox', 'E-mail')
  await expectVisibleFocus(page)
  await page.keyboard.type(loginOf('acme', 'admin').email)
  await tabTo(page, 'textbox', 'Password')
  await page.keyboard.type(loginOf('acme', 'admin').password)
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL((url) => url.pathname === '/acme' || url.pathname === '/tenants')

  await page.goto(`${dashboard}/acme/meters`)
  await expect(page.getByRole('row').nth(1)).toBeVisible()
  await page.keyboard.press('Tab')
  await expect(page.getByRole('link', { name: 'Skip to content' })).toBeFocused()
  await expectVisibleFocus(page)
  await page.keyboard.press('Enter')
  await tabTo(page, 'button', 'Create meter', 10)
  await page.keyboard.press('Enter')
  const dialog = page.getByRole('dialog', { name: 'New meter' })
  await expect(dialog).toBeVisible()
  await expect.poll(() => dialog.evaluate((element) => element.contains(document.activeElement))).toBe(true)
  await tabTo(page, 'textbox', 'Name')
  await page.keyboard.type(`Typed ${unique}`)
  await page.keyboard.press('Enter')
  // Keys do what they say while the notice is still there.
  await expect(page.getByText(`Meter “Typed ${unique}” created`)).toBeVisible()
  await expect(page.getByRole('row', { name: new RegExp(`Typed ${unique}`) })).toBeVisible()
  await expect(dialog).toHaveCount(0)
  // Two keys are one shortcut if they come soon one after the other: on a busy machine they may not at the first try.
  await expect(async () => {
    await page.keyboard.press('g')
    await page.keyboard.press('c')
    await expect(page).toHaveURL(at(dashboard, '/acme/customers'), { timeout: 10_000 })
  }).toPass()

  await tabTo(page, 'button', /^Account of/, 200)
  await expectVisibleFocus(page)
  await page.keyboard.press('Enter')
  await expect(page.getByRole('menu')).toBeVisible()
  await page.keyboard.press('End')
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(at(dashboard, '/sign-in'))
})

test('a dialog keeps the focus and gives it back', async ({ page }) => {
  await signIn(page, loginOf('acme', 'owner'))
  await page.goto(`${dashboard}/acme/api-keys`)
  const opener = page.getByRole('button', { name: 'Create key' }).first()
  await opener.focus()
  await page.keyboard.press('Enter')
  const dialog = page.getByRole('dialog', { name: 'Create API key' })
  await expect(dialog).toBeVisible()
  for (let presses = 0; presses < 25; presses += 1) {
    await page.keyboard.press('Tab')
    // At the end of the dialog the focus stands for a moment on what leads it back to the beginning.
    await expect
      .poll(() =>
        page.evaluate(
          () => document.activeElement?.closest('[role=dialog]') !== null || document.activeElement === document.body,
        ),
      )
      .toBe(true)
  }
  await page.keyboard.press('Escape')
  await expect(dialog).toHaveCount(0)
  await expect(opener).toBeFocused()
})

test('the focus is on the first field that takes one, stays on a button that is busy and at a list whose row has gone', async ({
  page,
}) => {
  await signIn(page, loginOf('acme', 'owner'))
  await page.goto(`${dashboard}/acme/customers`)
  await page.getByRole('button', { name: 'Actions for Lumen Energy' }).focus()
  await page.keyboard.press('Enter')
  await expect(page.getByRole('menuitem', { name: 'Edit' })).toBeFocused()
  await page.keyboard.press('Enter')
  // Its id never changes: the field before it is closed.
  await expect(page.getByRole('dialog').getByRole('textbox', { name: /^Name/ })).toBeFocused()
  await page.keyboard.press('Escape')

  await page.goto(`${dashboard}/acme/events`)
  await page.getByRole('row').nth(2).getByRole('button').first().focus()
  await page.keyboard.press('Enter')
  await expect(page.getByRole('dialog').getByRole('button', { name: 'Close' })).toBeFocused()
  await page.keyboard.press('Escape')
  await expect(page.getByRole('dialog')).toHaveCount(0)

  await page.goto(`${dashboard}/acme/reconciliations`)
  const run = page.getByRole('button', { name: 'Reconcile now' })
  await run.focus()
  await page.keyboard.press('Enter')
  await expect(page.getByText('Reconciliation under way').first()).toBeVisible()
  await expect(run).toBeFocused()

  await callApi('/api/v1/features', {
    key: tenantOf('acme').api_key,
    body: { key: `short_lived_${unique}`, name: `Short-lived ${unique}` },
    base: dashboard.replace('//app.', '//'),
  })
  await page.goto(`${dashboard}/acme/features`)
  await page.getByRole('button', { name: `Actions for Short-lived ${unique}` }).focus()
  await page.keyboard.press('Enter')
  await expect(page.getByRole('menuitem', { name: 'Edit' })).toBeFocused()
  await page.keyboard.press('End')
  await page.keyboard.press('Enter')
  await expect(page.getByRole('button', { name: `Actions for Short-lived ${unique}` })).toHaveCount(0)
  await expect(page.getByRole('region', { name: 'Features' })).toBeFocused()

  await page.goto(`${dashboard}/acme/tiers/new`)
  const add = page.getByRole('button', { name: 'Add feature' })
  await add.focus()
  await page.keyboard.press('Enter')
  await expect(
    page
      .getByRole('textbox', { name: 'Key', exact: true })
      .or(page.getByRole('combobox', { name: 'Key', exact: true })),
  ).toBeFocused()
  await page.getByRole('button', { name: 'Remove this feature' }).focus()
  await page.keyboard.press('Enter')
  await expect(add).toBeFocused()
})

test('the command palette leads everywhere', async ({ page }) => {
  await bringNearCap()
  await signIn(page, loginOf('acme', 'owner'))
  await page.goto(`${dashboard}/acme`)
  // Asked for by the page once it listens to keys.
  await expect(page.getByRole('link', { name: 'Bluebird Coffee' }).first()).toBeVisible()
  await page.keyboard.press('Control+k')
  await expect(page.getByRole('dialog').getByRole('combobox')).toBeFocused()
  await page.keyboard.type('audit')
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(at(dashboard, '/acme/audit-logs'))
})

test('the page that comes says so to a screen reader: title and heading change', async ({ page }) => {
  await signIn(page, loginOf('acme', 'owner'))
  await page.goto(`${dashboard}/acme`)
  const titles = new Set([await page.title()])
  for (const name of ['Customers', 'Usage', 'Tiers', 'Meters', 'API keys', 'Audit log', 'Settings']) {
    await page.getByRole('navigation', { name: 'Dashboard' }).getByRole('link', { name, exact: true }).click()
    await expect(page.getByRole('heading', { level: 1, name: new RegExp(name, 'i') })).toBeVisible()
    await expect(page).toHaveTitle(new RegExp(`^${name}\\b`))
    titles.add(await page.title())
  }
  expect(titles.size).toBe(8)
})
