// The compliance officer: what was changed, by whom, before and after; filtered, and taken away as CSV and JSONL.
import { readFile } from 'node:fs/promises'
import { dashboard, expect, loginOf, signIn, test } from './fixtures'

const unique = Date.now().toString(36)

test('a change made by an admin is in the record with actor, before and after, can be found and be exported', async ({
  page,
  browser,
}) => {
  // The change.
  const admin = await browser.newContext()
  const work = await admin.newPage()
  await signIn(work, loginOf('acme', 'admin'))
  await work.goto(`${dashboard}/acme/meters?new=true`)
  const dialog = work.getByRole('dialog', { name: 'New meter' })
  await dialog.getByRole('textbox', { name: 'Name', exact: true }).fill(`Audited ${unique}`)
  await dialog.getByRole('button', { name: 'Create meter' }).click()
  await expect(work.getByRole('row', { name: new RegExp(`Audited ${unique}`) })).toBeVisible()
  const changed = await work.evaluate(async (slug) => {
    const response = await fetch(`/api/v1/tenants/acme/meters/${slug}`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: `Renamed ${slug}` }),
    })
    return response.status
  }, `audited_${unique}`)
  expect(changed).toBe(200)
  await admin.close()

  // The record.
  await signIn(page, loginOf('acme', 'compliance'))
  await page.goto(`${dashboard}/acme/audit-logs`)
  await expect(page.getByRole('navigation', { name: 'Dashboard' }).getByRole('link', { name: 'Meters' })).toHaveCount(0)
  await page.getByRole('searchbox').fill('meter.updated')
  const row = page.getByRole('row').filter({ hasText: 'Meter updated' }).first()
  await expect(row).toContainText('admin@acme.test')
  await row.getByRole('button').first().click()
  const entry = page.getByRole('dialog')
  await expect(entry).toContainText(`Audited ${unique}`)
  await expect(entry).toContainText(`Renamed audited_${unique}`)
  await expect(entry).toContainText('admin@acme.test')
  await page.keyboard.press('Escape')

  // Taken away.
  for (const [name, ending] of [
    ['CSV', 'csv'],
    ['JSON lines', 'jsonl'],
  ] as const) {
    await page.getByRole('button', { name: 'Export' }).click()
    const download = page.waitForEvent('download')
    await page
      .getByRole('menuitem', { name: new RegExp(`^${name}`) })
      .first()
      .click()
    const file = await download
    expect(file.suggestedFilename()).toMatch(new RegExp(`\\.${ending}$`))
    const text = await readFile(await file.path(), 'utf8')
    expect(text).toContain('meter.updated')
    expect(text).toContain(`Renamed audited_${unique}`)
  }

  // Looking and taking away are in the record too.
  await page.getByRole('searchbox').fill('exported')
  await expect(page.getByRole('row').filter({ hasText: 'compliance@acme.test' }).first()).toBeVisible()
})

test('filters are in the address, and nothing of another tenant is ever in the list', async ({ page }) => {
  await signIn(page, loginOf('acme', 'compliance'))
  await page.goto(`${dashboard}/acme/audit-logs`)
  await page.getByRole('combobox', { name: 'Outcome' }).click()
  await page.getByRole('option', { name: 'Success' }).click()
  await expect(page).toHaveURL(/outcome/)
  await expect(page.getByRole('row').nth(1)).toBeVisible()
  await expect(page.getByText('globex.test')).toHaveCount(0)
})
