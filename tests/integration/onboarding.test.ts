import { describe, expect, test } from 'vitest'
import { POST as createKey } from '@/app/api/v1/api-keys/route'
import { PUT as brand } from '@/app/api/v1/branding/route'
import { POST as createMeter } from '@/app/api/v1/meters/route'
import { POST as completeStep } from '@/app/api/v1/onboard/complete-step/route'
import { POST as onboard } from '@/app/api/v1/onboard/route'
import { PATCH as changeStatus, GET as status } from '@/app/api/v1/onboarding-status/route'
import { POST as createTenant } from '@/app/api/v1/tenants/route'
import { POST as track } from '@/app/api/v1/usage/track/route'
import { forgetEnv } from '@/libs/env'
import { call, createWorld, newUser, type TestUser } from '../support/world'

const { acme, stranger } = await createWorld()

async function startTenant(name: string): Promise<{ owner: TestUser; tenant: { id: string; slug: string } }> {
  const owner = newUser(name)
  const { body } = await call(createTenant, 'POST', '/api/v1/tenants', { as: owner, body: { name, slug: name } })
  return { owner, tenant: body }
}

const read = (as: TestUser | string, tenant: { id: string }) =>
  call(status, 'GET', '/api/v1/onboarding-status', { as, tenant })

const doneSteps = (body: { steps: { key: string; done: boolean }[] }) =>
  body.steps.filter((step) => step.done).map((step) => step.key)

describe('first steps', () => {
  test('are for the people of the tenant who follow them', async () => {
    expect((await call(status, 'GET', '/api/v1/onboarding-status', { tenant: acme })).status).toBe(401)
    expect((await read(stranger, acme)).status).toBe(404)
    expect((await read(acme.users.customer, acme)).status).toBe(403)
    expect((await read(acme.users.compliance, acme)).status).toBe(403)
    for (const [handler, method, body] of [
      [changeStatus, 'PATCH', { dismissed: true }],
      [onboard, 'POST', {}],
      [completeStep, 'POST', { step: 'create_tier', skip: true }],
    ] as const)
      expect(
        (await call(handler, method, '/api/v1/onboard', { as: acme.users.member, tenant: acme, body })).status,
      ).toBe(403)
    const wrong = await call(completeStep, 'POST', '/api/v1/onboard/complete-step', {
      as: acme.users.owner,
      tenant: acme,
      body: { step: 'dance' },
    })
    expect(wrong.status).toBe(422)
  })

  test('tick by what really happened, and the first event opens the tenant', async () => {
    const { owner, tenant } = await startTenant('steps')
    const fresh = await read(owner, tenant)
    expect(fresh.body).toMatchObject({ completed: 0, total: 6, dismissed: false, activated: false })
    expect(fresh.body.steps[0]).toMatchObject({
      key: 'create_meter',
      done: false,
      done_at: null,
      href: '/steps/meters',
    })

    await call(createMeter, 'POST', '/api/v1/meters', {
      as: owner,
      tenant,
      body: { slug: 'api_calls', name: 'API calls' },
    })
    const key = await call(createKey, 'POST', '/api/v1/api-keys', {
      as: owner,
      tenant,
      body: { name: 'First', permissions: ['usage:write', 'usage:read'] },
    })
    const half = await read(owner, tenant)
    expect(doneSteps(half.body)).toEqual(['create_meter', 'create_api_key'])
    expect(half.body.activated).toBe(false)

    const sent = await call(track, 'POST', '/api/v1/usage/track', {
      as: key.body.key,
      body: { meter_id: 'api_calls', user_id: 'first-customer', event_value: 1 },
    })
    expect(sent.body).toMatchObject({ inserted: 1 })
    const open = await read(owner, tenant)
    expect(doneSteps(open.body)).toEqual(['create_meter', 'create_api_key', 'send_first_event', 'add_customer'])
    expect(open.body.activated).toBe(true)
    await call(brand, 'PUT', '/api/v1/branding', { as: owner, tenant, body: { display_name: 'Steps Inc' } })
    expect(doneSteps((await read(owner, tenant)).body)).toContain('brand_portal')
  })

  test('are not ticked by saying so, but can be put aside and brought back', async () => {
    const { owner, tenant } = await startTenant('skipping')
    const body = { step: 'create_tier' }
    const asked = await call(completeStep, 'POST', '/api/v1/onboard/complete-step', { as: owner, tenant, body })
    expect(asked.status).toBe(409)
    const skipped = await call(completeStep, 'POST', '/api/v1/onboard/complete-step', {
      as: owner,
      tenant,
      body: { ...body, skip: true },
    })
    expect(skipped.body).toMatchObject({ completed: 0, total: 5 })
    const hidden = await call(changeStatus, 'PATCH', '/api/v1/onboarding-status', {
      as: owner,
      tenant,
      body: { dismissed: true },
    })
    expect(hidden.body).toMatchObject({ dismissed: true, total: 5 })
    const again = await call(onboard, 'POST', '/api/v1/onboard', { as: owner, tenant, body: {} })
    expect(again.body).toMatchObject({ dismissed: false, total: 6 })
    // Two who put steps aside at once put both aside.
    await Promise.all(
      ['create_tier', 'brand_portal', 'add_customer'].map((step) =>
        call(completeStep, 'POST', '/api/v1/onboard/complete-step', { as: owner, tenant, body: { step, skip: true } }),
      ),
    )
    expect((await read(owner, tenant)).body.total).toBe(3)
  })

  test('open nothing by themselves where operators do that', async () => {
    process.env.ONBOARDING_AUTO_ACTIVATE = 'false'
    forgetEnv()
    try {
      const { owner, tenant } = await startTenant('by-hand')
      await call(createMeter, 'POST', '/api/v1/meters', { as: owner, tenant, body: { slug: 'calls', name: 'Calls' } })
      const sent = await call(track, 'POST', '/api/v1/usage/track', {
        as: owner,
        tenant,
        body: { meter_id: 'calls', user_id: 'one', event_value: 1 },
      })
      expect(sent.status).toBe(200)
      expect((await read(owner, tenant)).body.activated).toBe(false)
    } finally {
      delete process.env.ONBOARDING_AUTO_ACTIVATE
      forgetEnv()
    }
  })
})
