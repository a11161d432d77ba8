// Who is near a cap: asked of the counters in one statement, whoever and however many the customers are.
import { beforeAll, describe, expect, test } from 'vitest'
import { DELETE as archiveCustomer } from '@/app/api/v1/customers/[id]/route'
import { PUT as putSubscription } from '@/app/api/v1/customers/[id]/subscription/route'
import { POST as postCustomer } from '@/app/api/v1/customers/route'
import { POST as postMeter } from '@/app/api/v1/meters/route'
import { POST as postTier } from '@/app/api/v1/tiers/route'
import { GET as getCaps } from '@/app/api/v1/usage/caps/route'
import { POST as track } from '@/app/api/v1/usage/track/route'
import { waitForSteadyDay } from '../support/steady-day'
import { type Answer, call, createApiKey, createWorld, type TestTenant } from '../support/world'

const { acme, globex } = await createWorld()
await waitForSteadyDay()

const caps = (query = '', as: string = acme.api_key): Promise<Answer> =>
  call(getCaps, 'GET', `/api/v1/usage/caps${query}`, { as })
type Row = { customer: { external_id: string }; percent: number; caps: { meter: string; percent: number }[] }
const names = ({ body }: Answer): string[] => body.data.map(({ customer }: Row) => customer.external_id)

async function post(handler: Parameters<typeof call>[0], path: string, body: unknown, tenant: TestTenant) {
  const answer = await call(handler, 'POST', path, { as: tenant.api_key, body })
  expect(answer.status).toBeLessThan(300)
  return answer
}

async function addCustomer(tenant: TestTenant, external_id: string, tier: string | null, used: Record<string, number>) {
  const { body } = await post(postCustomer, '/api/v1/customers', { external_id, tier }, tenant)
  const events = Object.entries(used).map(([meter_id, event_value]) => ({
    meter_id,
    user_id: external_id,
    event_value,
  }))
  if (events.length > 0) expect((await post(track, '/api/v1/usage/track', events, tenant)).body.rejected).toEqual([])
  return body.id as string
}

beforeAll(async () => {
  for (const tenant of [acme, globex]) {
    for (const slug of ['calls', 'mails']) await post(postMeter, '/api/v1/meters', { slug, name: slug }, tenant)
    await post(
      postTier,
      '/api/v1/tiers',
      {
        name: 'Small',
        usage_caps: {
          calls: { limit: 100, behaviour: 'overflow' },
          mails: { limit: 10, period: 'day' },
        },
      },
      tenant,
    )
    await post(
      postTier,
      '/api/v1/tiers',
      { name: 'Large', is_default: true, usage_caps: { calls: { limit: 1_000, behaviour: 'overflow' } } },
      tenant,
    )
  }
  await addCustomer(acme, 'over', 'small', { calls: 130, mails: 9 })
  await addCustomer(acme, 'near', 'small', { calls: 85 })
  await addCustomer(acme, 'daily', 'small', { mails: 10 })
  await addCustomer(acme, 'far', 'small', { calls: 79, mails: 7 })
  await addCustomer(acme, 'by-default', null, { calls: 950 })
  await addCustomer(acme, 'idle', 'small', {})
  await addCustomer(globex, 'near', 'small', { calls: 99 })
})

describe('customers near a cap', () => {
  test('the highest share first, each with the caps it is about', async () => {
    const answer = await caps()
    expect(answer.status).toBe(200)
    expect(names(answer)).toEqual(['over', 'daily', 'by-default', 'near'])
    const [over, daily] = answer.body.data
    expect(over).toMatchObject({
      customer: { external_id: 'over', tier: { slug: 'small' } },
      percent: 130,
      caps: [
        { meter: 'calls', used: 130, limit: 100, remaining: 0, overage: 30, behaviour: 'overflow', period: 'month' },
        { meter: 'mails', used: 9, limit: 10, remaining: 1, overage: 0, percent: 90, period: 'day' },
      ],
    })
    expect(Date.parse(daily.caps[0].reset_at) - Date.now()).toBeLessThanOrEqual(86_400_000)
  })

  test('how near is chosen', async () => {
    expect(names(await caps('?above=100'))).toEqual(['over', 'daily'])
    expect(names(await caps('?above=70'))).toContain('far')
    expect(names(await caps('?above=0'))).not.toContain('idle')
    for (const wrong of ['?above=-1', '?above=much', '?above=1001', '?status=archived'])
      expect((await caps(wrong)).status).toBe(422)
  })

  test('in pages that leave nobody out', async () => {
    const seen: string[] = []
    for (let query = '?limit=1'; query; ) {
      const answer = await caps(query)
      seen.push(...names(answer))
      query = answer.body.next_cursor ? `?limit=1&cursor=${answer.body.next_cursor}` : ''
    }
    expect(seen).toEqual(['over', 'daily', 'by-default', 'near'])
    const foreign = Buffer.from(JSON.stringify(['NaN', 'x'])).toString('base64url')
    for (const cursor of ['nonsense', foreign]) expect((await caps(`?cursor=${cursor}`)).status).toBe(400)
  })

  test('by the months of each customer', async () => {
    const day = ((new Date().getUTCDate() + 9) % 28) + 1
    const id = await addCustomer(acme, 'anchored', 'small', { calls: 90 })
    const moved = await call(putSubscription, 'PUT', `/api/v1/customers/${id}/subscription`, {
      as: acme.api_key,
      params: { id },
      body: { tier: 'small', anchor_day: day },
    })
    expect(moved.status).toBe(200)
    const row = (await caps()).body.data.find(({ customer }: Row) => customer.external_id === 'anchored')
    expect(row).toMatchObject({ percent: 90, caps: [{ starts_on: expect.stringMatching(/-\d\d$/) }] })
    expect(Number(row.caps[0].starts_on.slice(-2))).toBe(day)
    await call(archiveCustomer, 'DELETE', `/api/v1/customers/${id}`, { as: acme.api_key, params: { id } })
    expect(names(await caps())).not.toContain('anchored')
  })

  test('for those who may read usage, and of their tenant alone', async () => {
    expect(names(await caps('', globex.api_key))).toEqual(['near'])
    const { key } = await createApiKey(acme, ['usage:write'])
    expect((await caps('', key)).status).toBe(403)
    const compliance = await call(getCaps, 'GET', '/api/v1/usage/caps', { as: acme.users.compliance, tenant: acme })
    expect(compliance.status).toBe(200)
    expect(names(compliance)).toHaveLength(4)
  })
})
