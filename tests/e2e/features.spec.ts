// Features: named, found, seen in the tiers that have them, archived and brought back; who may only look is offered nothing else.
import { callApi, dashboard, expect, findViolations, loginOf, signIn, tenantOf, test } from './fixtures'

const key = tenantOf('acme').api_key ?? ''
const base = dashboard.replace('app.localhost', 'localhost')
const unique = Date.now().toString(36)
const name = `Audit trail ${unique}`
const slug = `audit_trail_${unique}`

test.describe('a feature', () => {
  test.use({ refusals: [409] })
  test('is named, shown with its meter and tiers, archived and brought back', async ({ page }) => {
    const tier = await callApi('/api/v1/tiers', {
      key,
      base,
      body: { name: `With ${slug}`, price: 1, feature_entitlements: [slug, `${slug}.unnamed`] },
    })
    expect(tier.status).toBe(201)
    await signIn(page, loginOf('acme', 'owner'))
    await page.goto(`${dashboard}/acme/features`)
    await page.getByRole('button', { name: 'Create feature' }).first().click()
    const dialog = page.getByRole('dialog', { name: 'New feature' })
    const create = () => dialog.getByRole('button', { name: 'Create feature' }).click()
    await create()
    await expect(dialog.getByText('A feature needs a name')).toBeVisible()
    await dialog.getByRole('textbox', { name: 'Name' }).fill(name)
    await expect(dialog.getByRole('textbox', { name: 'Key' })).toHaveValue(slug)
    await dialog.getByRole('combobox', { name: 'Counted by' }).click()
    await page.getByRole('option', { name: /^API calls/ }).click()
    await dialog.getByRole('textbox', { name: 'Metadata (JSON)' }).fill('[1]')
    await create()
    await expect(dialog.getByText('This is not a JSON object')).toBeVisible()
    await dialog.getByRole('textbox', { name: 'Metadata (JSON)' }).fill('{"group": "Security"}')
    expect(await findViolations(page, '[role=dialog]')).toEqual([])
    await create()
    await expect(page.getByText(`Feature “${name}” created`)).toBeVisible()

    await page.getByRole('searchbox', { name: 'Search features' }).fill(unique)
    const row = page.getByRole('row', { name: new RegExp(name) })
    await expect(row).toContainText('API calls')
    await expect(row).toContainText(`With ${slug}`)
    await row
      .getByRole('button', { name: new RegExp(name) })
      .first()
      .click()
    const drawer = page.getByRole('dialog', { name, exact: true })
    await expect(drawer).toContainText('"group": "Security"')
    await expect(drawer.getByRole('link', { name: 'API calls' })).toHaveAttribute('href', '/acme/meters/api_calls')
    expect(await findViolations(page, '[role=dialog]')).toEqual([])
    await page.keyboard.press('Escape')

    // The same key again is said at the key; one that a tier uses is named with one click.
    await page.getByRole('button', { name: `Name ${slug}.unnamed` }).click()
    await expect(dialog.getByRole('textbox', { name: 'Key' })).toHaveValue(`${slug}.unnamed`)
    await dialog.getByRole('textbox', { name: 'Key' }).fill(slug)
    await create()
    await expect(dialog.getByText('Another feature has this key')).toBeVisible()
    await dialog.getByRole('textbox', { name: 'Key' }).fill(`${slug}.unnamed`)
    await create()
    await expect(page.getByRole('button', { name: `Name ${slug}.unnamed` })).toHaveCount(0)

    await page.getByRole('button', { name: `Actions for ${name}`, exact: true }).click()
    await page.getByRole('menuitem', { name: 'Edit' }).click()
    const edit = page.getByRole('dialog', { name: 'Edit feature' })
    await expect(edit.getByRole('textbox', { name: 'Key' })).toBeDisabled()
    await edit.getByRole('textbox', { name: 'Name' }).fill(`${name} II`)
    await edit.getByRole('button', { name: 'Save' }).click()
    await expect(page.getByRole('row', { name: new RegExp(`${name} II`) })).toHaveCount(1)
    await callApi(`/api/v1/features/${slug}`, { key, base, method: 'PATCH', body: { name } })
    await page.reload()

    const actions = page.getByRole('button', { name: `Actions for ${name}`, exact: true })
    await actions.click()
    await page.getByRole('menuitem', { name: 'Archive' }).click()
    await expect(actions).toHaveCount(0)
    await page.getByRole('button', { name: 'Undo' }).click()
    await expect(actions).toHaveCount(1)
    await callApi(`/api/v1/tiers/${tier.body.id}`, { key, base, method: 'DELETE' })
  })
})

test.describe('a link to a feature', () => {
  test.use({ refusals: [404] })
  test('shows it also where the list does not', async ({ page }) => {
    const { body } = await callApi('/api/v1/features', {
      key,
      base,
      body: { key: `${slug}.linked`, name: 'Linked from afar' },
    })
    await callApi(`/api/v1/features/${body.id}`, { key, base, method: 'DELETE' })
    await signIn(page, loginOf('acme', 'owner'))
    await page.goto(`${dashboard}/acme/features?feature=${body.id}`)
    await expect(page.getByRole('dialog', { name: 'Linked from afar' })).toContainText(`${slug}.linked`)
    await page.goto(`${dashboard}/acme/features?feature=01a00000-0000-7000-8000-000000000000`)
    await expect(page.getByRole('dialog')).toContainText('There is no such feature')
  })
})

test('who may only look is offered no changes', async ({ page }) => {
  await signIn(page, loginOf('acme', 'member'))
  await page.goto(`${dashboard}/acme/features`)
  await expect(page.getByRole('heading', { name: 'Features', level: 1 })).toBeVisible()
  await expect(page.getByRole('button', { name: 'Create feature' })).toHaveCount(0)
})
