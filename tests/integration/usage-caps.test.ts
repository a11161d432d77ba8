// Who is near a cap: asked of the counters in one statement, whoever and however many the customers are.
import { beforeAll, describe, expect, test } from 'vitest'
import { GET as getBalance } from '@/app/api/v1/customers/[id]/balance/route'
import { POST as postEntitlement } from '@/app/api/v1/customers/[id]/entitlements/route'
import { POST as postGrant } from '@/app/api/v1/customers/[id]/grants/route'
import { DELETE as archiveCustomer } from '@/app/api/v1/customers/[id]/route'
import { PUT as putSubscription } from '@/app/api/v1/customers/[id]/subscription/route'
import { POST as postCustomer } from '@/app/api/v1/customers/route'
import { POST as postMeter } from '@/app/api/v1/meters/route'
import { POST as postTier } from '@/app/api/v1/tiers/route'
import { GET as getCaps } from '@/app/api/v1/usage/caps/route'
import { POST as track } from '@/app/api/v1/usage/track/route'
import { waitForSteadyDay } from '../support/steady-day'
import {
  type Answer,
  asSuperuser,
  call,
  createApiKey,
  createTenant,
  createWorld,
  type TestTenant,
} from '../support/world'

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

  test('by what holds for each: own entitlements, grants, rollover and averages, as the customer itself is told', async () => {
    const tenant = await createTenant('near-by-terms')
    for (const [slug, aggregation] of [
      ['calls', 'SUM'],
      ['mails', 'SUM'],
      ['mean', 'AVG'],
      ['level', 'WEIGHTED_SUM'],
      ['peak', 'MAX'],
    ])
      await post(postMeter, '/api/v1/meters', { slug, name: slug, aggregation }, tenant)
    const usage_caps = {
      calls: { limit: 100, behaviour: 'overflow' },
      mails: { limit: 10, period: 'day' },
      mean: { limit: 10 },
      level: { limit: 10 },
      peak: { limit: 10 },
    }
    await post(postTier, '/api/v1/tiers', { name: 'Small', usage_caps }, tenant)
    const own = async (name: string, tier: string | null, terms: object[], grants: object[], used: object[]) => {
      await post(postCustomer, '/api/v1/customers', { external_id: name, tier }, tenant)
      for (const [route, part, bodies] of [
        [postEntitlement, 'entitlements', terms],
        [postGrant, 'grants', grants],
      ] as const)
        for (const body of bodies)
          expect(
            await call(route, 'POST', `/api/v1/customers/${name}/${part}`, {
              as: tenant.api_key,
              params: { id: name },
              body,
            }),
          ).toMatchObject({ status: 201 })
      const events = used.map((event) => ({ user_id: name, ...event }))
      expect((await post(track, '/api/v1/usage/track', events, tenant)).body.rejected).toEqual([])
    }
    const calls = (event_value: number) => ({ meter_id: 'calls', event_value })
    const metered = { kind: 'metered', meter: 'calls' }
    await own('plain', 'small', [], [], [calls(90)])
    await own('more', 'small', [{ ...metered, limit: 1_000 }], [], [calls(90)])
    await own('less', 'small', [{ ...metered, limit: 50, behaviour: 'overflow' }], [], [calls(60)])
    await own('daily', 'small', [{ ...metered, limit: 95, period: 'day' }], [], [calls(90)])
    await own('granted', 'small', [], [{ meter: 'calls', amount: 900 }], [calls(90)])
    await own('used-up', 'small', [], [{ meter: 'calls', amount: 10 }], [calls(120)])
    await own('no-tier', null, [{ ...metered, limit: 100 }], [], [calls(99)])
    await own('grants-alone', null, [metered], [{ meter: 'calls', amount: 10 }], [calls(9)])
    const values = (meter_id: string, all: number[]) => all.map((event_value) => ({ meter_id, event_value }))
    await own('averaged', 'small', [], [], values('mean', [4, 5, 3, 4]))
    await own('high-average', 'small', [], [], values('mean', [10, 9]))
    await own('peaked', 'small', [], [], values('peak', [8, 1]))
    await own('levelled', 'small', [], [], values('level', [9]))
    // Its level is of days ago, and nothing has happened since.
    await asSuperuser(
      `with level as (select id from meters where tenant_id = $1 and slug = 'level'),
         past as (update usage_counters k set starts_on = k.starts_on - 40, moment = k.used * extract(epoch from now() - interval '40 days')
           from level where k.tenant_id = $1 and k.meter_id = level.id and k.period = 'day')
       delete from usage_counters k using level where k.tenant_id = $1 and k.meter_id = level.id and k.period = 'month'`,
      [tenant.id],
    )
    const answer = await caps('?above=80', tenant.api_key)
    const told = answer.body.data.map(
      ({ customer, caps }: { customer: { external_id: string }; caps: Row['caps'] }) => [
        customer.external_id,
        ...caps.map(({ meter, percent }) => `${meter} ${percent}`),
      ],
    )
    expect(Object.fromEntries(told.map(([name, ...lines]: string[]) => [name, lines]))).toEqual({
      less: ['calls 120'],
      'used-up': ['calls 100'],
      'no-tier': ['calls 99'],
      'high-average': ['mean 95'],
      daily: ['calls 94.7'],
      plain: ['calls 90'],
      'grants-alone': ['calls 90'],
      levelled: ['level 90'],
      peaked: ['peak 80'],
    })
    const of = (name: string) =>
      answer.body.data.find(({ customer }: Row) => customer.external_id === name) as {
        customer: object
        caps: object[]
      }
    expect(of('no-tier').customer).toMatchObject({ tier: null })
    expect(of('daily').caps).toMatchObject([{ period: 'day', limit: 95, behaviour: 'reject' }])
    for (const name of ['less', 'used-up', 'grants-alone', 'plain']) {
      const { body: balance } = await call(getBalance, 'GET', `/api/v1/customers/${name}/balance?meter=calls`, {
        as: tenant.api_key,
        params: { id: name },
      })
      const { used, limit, remaining, overage, percent, starts_on, reset_at, behaviour } = balance
      expect(of(name).caps).toMatchObject([
        { used, limit, remaining, overage, percent, starts_on, reset_at, behaviour },
      ])
    }
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
