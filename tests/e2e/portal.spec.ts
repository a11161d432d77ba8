// A customer of a tenant: the branded portal, the tier, usage against caps, the way up; and nobody else's.
import {
  at,
  bringNearCap,
  callApi,
  customDomain,
  expect,
  fillSignIn,
  loginOf,
  portalOf,
  signIn,
  tenantOf,
  test,
} from './fixtures'

const bluebird =
  tenantOf('acme').logins.find(({ email }) => email.startsWith('bluebird@')) ?? loginOf('acme', 'customer')

test('a customer opens the portal, signs in there and sees tier, usage, features and an upgrade prompt', async ({
  page,
}) => {
  await bringNearCap()
  await page.goto(portalOf('acme'))
  await expect(page).toHaveURL(at(portalOf('acme'), '/sign-in'))
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Sign in to Acme')
  await expect(page).toHaveTitle('Sign in · Acme')
  expect(await page.locator('head').innerHTML()).not.toContain('multi-tenant')
  await expect(page.locator('link[rel=icon]')).toHaveAttribute('href', /^data:image\/svg\+xml,.*%3EA%3C%2Ftext/)

  await fillSignIn(page, bluebird)
  await expect(page).toHaveURL(`${portalOf('acme')}/`)
  await expect(page.getByRole('heading', { level: 1, name: 'Your usage' })).toBeVisible()
  await expect(page).toHaveTitle('Acme')
  await expect(page.getByRole('heading', { name: 'Growth' })).toBeVisible()
  await expect(page.getByRole('meter', { name: 'API calls' })).toHaveAttribute('aria-valuetext', /85/)
  await expect(page.getByText('Bluebird Coffee')).toBeVisible()
  await expect(page.getByText('Email support')).toBeVisible()
  await expect(page.getByRole('region', { name: /% of API calls is used/ })).toContainText('Scale')
  await expect(page.getByRole('link', { name: 'Ask Acme for an upgrade' })).toHaveAttribute(
    'href',
    'mailto:support@acme.test',
  )
})

test('the brand is the tenant’s: its name and its colours, on the same code', async ({ page }) => {
  const colourOf = async (slug: string) => {
    await page.goto(`${portalOf(slug)}/sign-in`)
    await expect(page.getByRole('heading', { level: 1 })).toContainText(tenantOf(slug).name)
    return page.getByRole('button', { name: 'Sign in' }).evaluate((button) => getComputedStyle(button).backgroundColor)
  }
  const acme = await colourOf('acme')
  // The line at the top is of the accent colour.
  const line = page.locator('[data-shell=portal] header > div').first()
  await expect(line).toHaveCSS('background-color', 'rgb(15, 118, 110)')
  const globex = await colourOf('globex')
  expect(acme).not.toBe(globex)
})

test('the custom domain is the same portal', async ({ page }) => {
  await page.goto(customDomain)
  await expect(page).toHaveURL(at(customDomain, '/sign-in'))
  await fillSignIn(page, bluebird)
  await expect(page.getByText('Bluebird Coffee')).toBeVisible()
  await expect(page.getByRole('heading', { name: 'Growth' })).toBeVisible()
})

test('the customer of the same name in another tenant sees another world', async ({ page }) => {
  await signIn(page, loginOf('globex', 'customer'), portalOf('globex'))
  await page.goto(portalOf('globex'))
  await expect(page.getByText('Bluebird Coffee')).toBeVisible()
  await expect(page.getByRole('region', { name: /85% of API calls/ })).toHaveCount(0)
})

test('a session of one portal is none on a sibling', async ({ page }) => {
  await signIn(page, bluebird, portalOf('acme'))
  await page.goto(portalOf('globex'))
  await expect(page).toHaveURL(at(portalOf('globex'), '/sign-in'))
  await page.goto(portalOf('acme'))
  await expect(page.getByText('Bluebird Coffee')).toBeVisible()
})

test('somebody who is no customer here is told so, kindly and without data', async ({ page }) => {
  await page.goto(`${portalOf('globex')}/sign-in`)
  await fillSignIn(page, bluebird)
  await expect(page.getByText('This account is not a customer of Globex')).toBeVisible()
  await expect(page.getByText('Bluebird Coffee')).toHaveCount(0)
  // An invitation to another address can be taken up without looking for the way out first.
  const invitation = `${portalOf('globex')}/join?token=${'a'.repeat(43)}`
  await page.goto(invitation)
  await expect(page.getByText(`You are signed in as ${bluebird.email}`)).toBeVisible()
  await page.getByRole('button', { name: 'Sign out' }).click()
  await expect(page.getByRole('link', { name: 'Create an account' })).toBeVisible()
  await expect(page).toHaveURL(invitation)
})

test.describe(() => {
  test.use({ refusals: [401] })

  test('a wrong password and an unknown address get the same words', async ({ page }) => {
    const answers: string[] = []
    for (const email of ['bluebird@acme-customers.test', 'nobody-at-all@acme-customers.test']) {
      await page.goto(`${portalOf('acme')}/sign-in`)
      await fillSignIn(page, { email, password: 'wrong-password' })
      const words = await page.getByRole('alert').filter({ hasText: /\w/ }).first().innerText()
      answers.push(words.replace(/Request \S+/, 'Request'))
    }
    expect(answers[0]).toBe(answers[1])
  })
})

test('usage that arrives is on the portal without a reload', async ({ page }) => {
  await signIn(page, loginOf('globex', 'customer'), portalOf('globex'))
  await page.goto(portalOf('globex'))
  const mails = page.getByRole('listitem').filter({ hasText: 'E-mails sent' })
  const before = await mails.innerText()
  const { status } = await callApi('/api/v1/usage/track', {
    key: tenantOf('globex').api_key,
    body: { meter_id: 'emails_sent', user_id: 'bluebird' },
  })
  expect(status).toBe(200)
  await expect(mails).not.toHaveText(before)
})

test('signing out ends the session on this host', async ({ page }) => {
  await page.goto(`${portalOf('acme')}/sign-in`)
  const cedar = tenantOf('acme').logins.find(({ email }) => email.startsWith('cedar@')) ?? bluebird
  await fillSignIn(page, cedar)
  // The menu opens once the page is there with its scripts.
  await expect(page).toHaveURL(at(portalOf('acme'), '/'))
  await page.waitForLoadState()
  await page.getByRole('button', { name: /^Account of/ }).click()
  await page.getByRole('menuitem', { name: 'Sign out' }).click()
  await expect(page).toHaveURL(at(portalOf('acme'), '/sign-in'))
  await page.goto(portalOf('acme'))
  await expect(page).toHaveURL(at(portalOf('acme'), '/sign-in'))
})

test.describe(() => {
  test.use({ refusals: [401] })

  test('a session that ends while its page is open is said, and signing in leads back there', async ({ page }) => {
    await signIn(page, bluebird, portalOf('acme'))
    await page.goto(`${portalOf('acme')}/usage`)
    const title = page.getByRole('heading', { level: 1, name: 'Usage' })
    await expect(title).toBeVisible()
    await expect(page.getByRole('row')).not.toHaveCount(0)
    await page.context().clearCookies()
    // Whatever the page asks for next is refused; it need not be asked who one is.
    await page.getByRole('combobox', { name: 'Meter' }).click()
    await page.getByRole('option').last().click()
    await expect(page.getByRole('status').filter({ hasText: 'You are signed out' })).toBeVisible()
    await page.getByRole('status').getByRole('link', { name: 'Sign in' }).click()
    await fillSignIn(page, bluebird)
    await expect(page).toHaveURL(at(portalOf('acme'), '/usage'))
  })
})

test('another person who signs in elsewhere is named, and nothing of the one passes for that of the other', async ({
  page,
}) => {
  const cedar = tenantOf('acme').logins.find(({ email }) => email.startsWith('cedar@')) ?? bluebird
  await signIn(page, bluebird, portalOf('acme'))
  await page.clock.install()
  await page.goto(portalOf('acme'))
  await expect(page.getByText('Bluebird Coffee')).toBeVisible()
  const beside = await page.context().newPage()
  await signIn(beside, cedar, portalOf('acme'))
  await page.clock.fastForward(30_000)
  const notice = page.getByRole('status').filter({ hasText: `You are signed in as ${cedar.email} now` })
  await expect(notice).toBeVisible()
  await notice.getByRole('button', { name: 'Load the page anew' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Your usage' })).toBeVisible()
  await expect(page.getByText('Cedar Labs')).toBeVisible()
  await expect(page.getByText('Bluebird Coffee')).toHaveCount(0)
  await expect(notice).toHaveCount(0)
})

test('a suspended tenant’s portal says that it is closed, and shows nothing', async ({ page }) => {
  await page.goto(portalOf('initech'))
  await expect(page.getByRole('heading', { name: 'This portal is not available' })).toBeVisible()
})

test.describe(() => {
  test.use({ refusals: [404] })

  test('a host that is nobody’s is a page that is not there, never a default tenant', async ({ page }) => {
    const nobody = dashboardLike('nobody-has-this')
    const response = await page.goto(nobody)
    expect(response?.status()).toBe(404)
    await expect(page.getByRole('heading', { level: 1, name: 'Page not found' })).toBeVisible()
    await expect(page).toHaveTitle('Page not found · Holdfast')
  })

  test('an address of the portal that leads nowhere is answered in the brand of its tenant', async ({ page }) => {
    expect((await page.goto(`${portalOf('acme')}/no-such-page`))?.status()).toBe(404)
    await expect(page.getByRole('heading', { level: 1, name: 'Page not found' })).toBeVisible()
    await expect(page).toHaveTitle('Page not found · Acme')
  })
})

function dashboardLike(slug: string): string {
  return portalOf('acme').replace('//acme.', `//${slug}.`)
}
