// On paper a page is what it is about: no way to elsewhere and no buttons, and what is on it is there.
import { dashboard, expect, loginOf, signIn, test } from './fixtures'

test('a printed list has its rows, and no acts', async ({ page }) => {
  await signIn(page, loginOf('acme', 'owner'))
  await page.goto(`${dashboard}/acme/meters`)
  const row = page.getByRole('row', { name: /API calls/ }).first()
  await expect(row.getByRole('button', { name: /^Actions for/ })).toBeVisible()
  await expect(page.getByRole('button', { name: 'Create meter' })).toBeVisible()
  await page.emulateMedia({ media: 'print', colorScheme: 'dark' })
  await expect(row).toBeVisible()
  await expect(row.getByRole('button', { name: /^Actions for/ })).toBeHidden()
  await expect(page.getByRole('button', { name: 'Create meter' })).toBeHidden()
})

test('a printed reference has no list of its pages', async ({ page }) => {
  await page.goto(`${dashboard}/docs/api/usage`)
  const pages = page.getByRole('navigation', { name: 'API reference' })
  await expect(pages).toBeVisible()
  await page.emulateMedia({ media: 'print' })
  await expect(pages).toBeHidden()
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
})
