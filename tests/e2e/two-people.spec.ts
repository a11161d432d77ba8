// Two people at the same settings: who saves one card takes back nothing that somebody else saved in another meanwhile.
import { dashboard, expect, loginOf, signIn, test } from './fixtures'

test('a card shows what another person saved in it, and not as a change of one’s own', async ({ page }) => {
  await signIn(page, loginOf('globex', 'owner'))
  await page.goto(`${dashboard}/globex/settings`)
  const description = page.getByRole('region', { name: 'Description' })
  const text = description.getByRole('textbox')
  const billing = page.getByRole('region', { name: 'Billing e-mail' })
  const before = { description: await text.inputValue(), email: await billing.getByRole('textbox').inputValue() }
  const change = (body: Record<string, unknown>) =>
    page.evaluate(async (sent) => {
      const init = { method: 'PATCH', headers: { 'content-type': 'application/json' }, body: JSON.stringify(sent) }
      return (await fetch('/api/v1/tenants/globex', init)).status
    }, body)
  const saveBilling = async (email: string) => {
    await billing.getByRole('textbox').fill(email)
    await billing.getByRole('button', { name: 'Save' }).click()
    await expect(billing.getByRole('button', { name: 'Save' })).toBeDisabled()
  }
  const theirs = `Told by a colleague ${Date.now().toString(36)}`

  expect(await change({ description: theirs })).toBe(200)
  await saveBilling('first@globex.test')
  await expect(text).toHaveValue(theirs)
  await expect(description.getByRole('button', { name: 'Save' })).toBeDisabled()

  // What is being typed stays, and is said not to be saved.
  await text.fill('Half a sentence')
  expect(await change({ description: before.description })).toBe(200)
  await saveBilling('second@globex.test')
  await expect(text).toHaveValue('Half a sentence')
  await description.getByRole('button', { name: 'Discard changes' }).click()
  await expect(text).toHaveValue(before.description)
  expect(await change({ billing_email: before.email || null })).toBe(200)
})
