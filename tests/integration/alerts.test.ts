// Alerts fire once per customer, period and step, in the transaction that counts the usage; whoever is to hear of it does.
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DELETE as archiveRule, GET as getRule, PATCH as patchRule } from '@/app/api/v1/alerts/[id]/route'
import { GET as getFirings } from '@/app/api/v1/alerts/firings/route'
import { GET as getRules, POST as postRule } from '@/app/api/v1/alerts/route'
import { POST as postStandard } from '@/app/api/v1/alerts/standard/route'
import { POST as postEntitlement } from '@/app/api/v1/customers/[id]/entitlements/route'
import { POST as postGrant } from '@/app/api/v1/customers/[id]/grants/route'
import { PATCH as patchCustomer } from '@/app/api/v1/customers/[id]/route'
import { PUT as putSubscription } from '@/app/api/v1/customers/[id]/subscription/route'
import { POST as postCustomer } from '@/app/api/v1/customers/route'
import { POST as postMeter } from '@/app/api/v1/meters/route'
import { PATCH as patchTier } from '@/app/api/v1/tiers/[id]/route'
import { POST as postTier } from '@/app/api/v1/tiers/route'
import { POST as track } from '@/app/api/v1/usage/track/route'
import { alertSink } from '@/features/alerts/jobs/alert-sink'
import { tellFirings } from '@/features/alerts/services/alert-mail-service'
import { closeGrants } from '@/features/entitlements/jobs/close-grants'
import { tenantQuery } from '@/libs/db/tenant-db'
import { startOutboxWorker } from '@/libs/jobs/outbox-worker'
import { findTenantRouting } from '@/libs/tenancy/resolve-tenant'
import { startIngestProcess } from '../support/ingest-process'
import { type Answer, asSuperuser, asSystem, call, createApiKey, createWorld, type TestTenant } from '../support/world'

const { acme, globex } = await createWorld()

type Row = Record<string, unknown>
const send = (handler: Parameters<typeof call>[0], method: string, path: string, body?: unknown, tenant = acme) =>
  call(handler, method, path, { as: tenant.api_key, ...(body === undefined ? {} : { body }) })
const makeRule = async (body: Row, tenant: TestTenant = acme): Promise<Answer['body']> => {
  const answer = await send(postRule, 'POST', '/api/v1/alerts', { name: 'A rule', ...body }, tenant)
  expect(answer.body).toMatchObject({ id: expect.any(String) })
  return answer.body
}
const change = (id: string, body: Row) =>
  call(patchRule, 'PATCH', `/api/v1/alerts/${id}`, { as: acme.api_key, params: { id }, body })
const use = async (user_id: string, event_value: number | string, meter_id = 'calls', tenant = acme) => {
  const answer = await send(track, 'POST', '/api/v1/usage/track', { meter_id, user_id, event_value }, tenant)
  expect(answer.status).toBe(200)
  return answer.body
}
const firings = async (query = ''): Promise<Row[]> =>
  (await send(getFirings, 'GET', `/api/v1/alerts/firings${query}`)).body.data
const steps = async (rule: string): Promise<unknown[]> =>
  (await firings(`?rule=${rule}`)).map(({ step }) => step).reverse()

/** Runs the worker until no note of alerts waits in the tenant's outbox. */
async function work(tenant: TestTenant = acme): Promise<void> {
  const worker = startOutboxWorker({ sinks: [alertSink], pollMs: 50 })
  try {
    for (const deadline = performance.now() + 25_000; ; ) {
      const [row] = await asSuperuser<{ waiting: number }>(
        `select count(*)::int as waiting from outbox where tenant_id = $1 and topic = 'alerts' and delivered_at is null`,
        [tenant.id],
      )
      if (row?.waiting === 0) return
      if (performance.now() > deadline) throw new Error('The worker does not come to an end.')
      await sleep(50)
    }
  } finally {
    await worker.stop()
  }
}
const mails = (tenant: TestTenant = acme) =>
  asSuperuser<{ to: string; subject: string; paragraphs: string[] }>(
    `select payload ->> 'to' as to, payload -> 'data' ->> 'subject' as subject, payload -> 'data' -> 'paragraphs' as paragraphs
     from outbox where tenant_id = $1 and topic = 'email' order by payload ->> 'to', id`,
    [tenant.id],
  )
const forgetMails = () => asSuperuser(`delete from outbox where topic = 'email'`)

beforeAll(async () => {
  for (const slug of ['calls', 'mails', 'raced', 'random', 'lowered', 'digits'])
    expect((await send(postMeter, 'POST', '/api/v1/meters', { slug, name: slug, unit: 'pieces' })).status).toBe(201)
  const tier = {
    name: 'Small',
    is_default: true,
    usage_caps: {
      calls: { limit: 100, behaviour: 'overflow' },
      mails: { limit: 10, period: 'day', behaviour: 'overflow' },
      random: { limit: 70, behaviour: 'overflow' },
      lowered: { limit: 1_000, behaviour: 'overflow' },
    },
  }
  expect((await send(postTier, 'POST', '/api/v1/tiers', tier)).status).toBe(201)
})

describe('rules', () => {
  test('are made, read, changed and archived', async () => {
    const rule = await makeRule({ name: 'Near', meter: 'mails', kind: 'usage_percent', threshold: 90 })
    expect(rule).toMatchObject({
      name: 'Near',
      kind: 'usage_percent',
      threshold: 90,
      recurring_every: null,
      meter: { slug: 'mails' },
      customer: null,
      tells_admins: true,
      tells_customer: false,
      tells_connectors: true,
      enabled: true,
      last_fired_at: null,
    })
    const changed = await change(rule.id, { name: 'Nearer', threshold: '95.5', enabled: false })
    expect(changed.body).toMatchObject({ name: 'Nearer', threshold: 95.5, enabled: false })
    const read = await call(getRule, 'GET', `/api/v1/alerts/${rule.id}`, { as: acme.api_key, params: { id: rule.id } })
    expect(read.body).toEqual(changed.body)
    const gone = await call(archiveRule, 'DELETE', `/api/v1/alerts/${rule.id}`, {
      as: acme.api_key,
      params: { id: rule.id },
    })
    expect(gone.body.archived_at).toEqual(expect.any(String))
    expect((await change(rule.id, { name: 'Late' })).status).toBe(404)
    const list = await send(getRules, 'GET', '/api/v1/alerts')
    expect(list.body.data.map(({ id }: Row) => id)).not.toContain(rule.id)
  })

  test('refuse what makes no sense, each with its place', async () => {
    const wrong: [Row, string][] = [
      [{ meter: 'nothing', kind: 'usage', threshold: 1 }, '/meter'],
      [{ meter: 'calls', customer: 'nobody', kind: 'usage', threshold: 1 }, '/customer'],
      [{ meter: 'calls', kind: 'often', threshold: 1 }, '/kind'],
      [{ meter: 'calls', kind: 'usage', threshold: -1 }, '/threshold'],
      [{ meter: 'calls', kind: 'usage', threshold: 'NaN' }, '/threshold'],
      [{ meter: 'calls', kind: 'usage', threshold: '9'.repeat(400) }, '/threshold'],
      [{ meter: 'calls', kind: 'usage', threshold: 1e-30 }, '/threshold'],
      [{ meter: 'calls', kind: 'usage', threshold: 1, recurring_every: 0 }, '/recurring_every'],
      [{ meter: 'calls', kind: 'usage', threshold: 1, name: ' ' }, '/name'],
    ]
    for (const [body, pointer] of wrong) {
      const answer = await send(postRule, 'POST', '/api/v1/alerts', { name: 'Wrong', ...body })
      expect([pointer, answer.status]).toEqual([pointer, 422])
      expect(answer.body.errors[0].pointer).toBe(pointer)
    }
    expect((await send(getRules, 'GET', '/api/v1/alerts?meter=nothing')).status).toBe(404)
    expect((await send(getRules, 'GET', '/api/v1/alerts?cursor=WyJ4Il0')).status).toBe(400)
  })

  test('belong to their tenant and to those who may', async () => {
    const rule = await makeRule({ meter: 'calls', kind: 'usage', threshold: 1e9 })
    const foreign = await call(getRule, 'GET', `/api/v1/alerts/${rule.id}`, {
      as: globex.api_key,
      params: { id: rule.id },
    })
    expect(foreign.status).toBe(404)
    const { key } = await createApiKey(acme, ['usage:write'])
    expect((await call(getRules, 'GET', '/api/v1/alerts', { as: key })).status).toBe(403)
    const member = { as: acme.users.member, tenant: acme }
    expect((await call(getRules, 'GET', '/api/v1/alerts', member)).status).toBe(200)
    expect((await call(postStandard, 'POST', '/api/v1/alerts/standard', member)).status).toBe(403)
    await call(archiveRule, 'DELETE', `/api/v1/alerts/${rule.id}`, { as: acme.api_key, params: { id: rule.id } })
  })

  test('80 % and 100 % of every cap are one call, and one set however often it comes', async () => {
    const answers = await Promise.all(
      [1, 2, 3].map(() => send(postStandard, 'POST', '/api/v1/alerts/standard', undefined)),
    )
    const made = answers.flatMap(({ body }) => body.created)
    expect(made.map(({ meter, threshold }) => `${meter.slug} ${threshold}`).sort()).toEqual(
      ['calls', 'lowered', 'mails', 'random'].flatMap((slug) => [`${slug} 100`, `${slug} 80`]),
    )
    for (const { id } of made)
      await call(archiveRule, 'DELETE', `/api/v1/alerts/${id}`, { as: acme.api_key, params: { id } })
  })
})

describe('firing', () => {
  test('at the threshold and once', async () => {
    const rule = await makeRule({ meter: 'calls', kind: 'usage_percent', threshold: 80 })
    await use('one', 79)
    expect(await steps(rule.id)).toEqual([])
    await use('one', 1)
    await use('one', 1)
    await use('one', 50)
    expect(await firings(`?rule=${rule.id}`)).toMatchObject([
      { step: 80, used: 80, available: 100, customer: { external_id: 'one' }, period: 'month', rule: { id: rule.id } },
    ])
    await use('two', 500)
    expect(await firings(`?rule=${rule.id}&customer=two`)).toMatchObject([{ step: 80, used: 500 }])
    for (const meter of ['calls', 'CALLS'])
      expect((await send(getRules, 'GET', `/api/v1/alerts?meter=${meter}`)).body.data[0].last_fired_at).not.toBeNull()
  })

  test('again at every step; a jump fires the furthest', async () => {
    const up = await makeRule({ meter: 'calls', kind: 'usage', threshold: 100, recurring_every: 50, customer: null })
    for (const amount of [99, 1, 49, 1, 120, 5]) await use('stepper', amount)
    expect(await firings(`?rule=${up.id}&customer=stepper`)).toMatchObject([
      { step: 250 },
      { step: 150 },
      { step: 100 },
    ])
    const down = await makeRule({ meter: 'calls', kind: 'remaining', threshold: 30, recurring_every: 10 })
    for (const amount of ['69.5', '0.5', 9, 2, 30]) await use('falling', amount)
    const left = await firings(`?rule=${down.id}&customer=falling`)
    expect(left.map(({ step }) => step)).toEqual([0, 10, 20, 30].filter((step) => step !== 10))
  })

  test('by shares of what is left, by day, and for one customer alone', async () => {
    const rule = await makeRule({ meter: 'mails', kind: 'remaining_percent', threshold: 50, customer: 'one' })
    await use('one', 4, 'mails')
    expect(await steps(rule.id)).toEqual([])
    await use('two', 9, 'mails')
    await use('one', 1, 'mails')
    expect(await firings(`?rule=${rule.id}`)).toMatchObject([{ step: 50, used: 5, available: 10, period: 'day' }])
  })

  test('never of a rule that is off, of one that is archived, or without a cap', async () => {
    const off = await makeRule({ meter: 'calls', kind: 'usage', threshold: 1, enabled: false, customer: 'one' })
    const uncapped = [
      await makeRule({ meter: 'raced', kind: 'usage_percent', threshold: 1 }),
      await makeRule({ meter: 'raced', kind: 'remaining', threshold: 1 }),
      await makeRule({ meter: 'raced', kind: 'remaining', threshold: 1, recurring_every: 1 }),
      await makeRule({ meter: 'raced', kind: 'remaining_percent', threshold: 100, recurring_every: 1 }),
    ]
    await use('one', 1)
    await use('one', 1, 'raced')
    expect(await steps(off.id)).toEqual([])
    for (const { id } of uncapped) expect(await steps(id)).toEqual([])
  })

  test('also in one request with many events, and of repeated ones only once', async () => {
    const rule = await makeRule({ meter: 'calls', kind: 'usage', threshold: 10, recurring_every: 10 })
    const events = Array.from({ length: 90 }, (_, index) => ({
      meter_id: 'calls',
      user_id: `many-${index % 3}`,
      event_value: 1,
      event_id: `many ${index}`,
    }))
    for (let round = 0; round < 3; round += 1)
      expect((await send(track, 'POST', '/api/v1/usage/track', events)).status).toBe(200)
    for (const customer of ['many-0', 'many-1', 'many-2'])
      expect((await firings(`?rule=${rule.id}&customer=${customer}`)).map(({ step }) => step)).toEqual([30])
  })

  test('by two processes at once: one firing of each step', async () => {
    const rule = await makeRule({ meter: 'raced', kind: 'usage', threshold: 50, recurring_every: 25 })
    const processes = await Promise.all([startIngestProcess(), startIngestProcess()])
    try {
      await Promise.all(
        Array.from({ length: 240 }, (_, index) =>
          processes[index % 2]
            ?.send({
              path: '/api/v1/usage/track',
              headers: { authorization: `Bearer ${acme.api_key}` },
              body: { meter_id: 'raced', user_id: `racer-${index % 4}`, event_value: 1 },
            })
            .then(({ status, body }) => expect([status, body.inserted]).toEqual([200, 1])),
        ),
      )
    } finally {
      await Promise.all(processes.map(({ end }) => end()))
    }
    for (let racer = 0; racer < 4; racer += 1) {
      const fired = (await firings(`?rule=${rule.id}&customer=racer-${racer}`)).map(({ step }) => step)
      expect(fired).toEqual([50])
    }
    const events = await asSuperuser<{ count: number }>(
      `select count(*)::int from outbox where tenant_id = $1 and topic = 'usage.threshold_reached' and payload ->> 'rule_id' = $2`,
      [acme.id, rule.id],
    )
    expect(events).toEqual([{ count: 4 }])
  })

  test('exactly as a plain model says, whatever comes in which order', async () => {
    const kinds = ['usage', 'usage_percent', 'remaining', 'remaining_percent'] as const
    let round = 0
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...kinds),
        fc.integer({ min: 0, max: 100 }),
        fc.option(fc.integer({ min: 1, max: 40 })),
        fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 8 }),
        async (kind, threshold, every, amounts) => {
          round += 1
          const customer = `random-${round}`
          await send(postCustomer, 'POST', '/api/v1/customers', { external_id: customer })
          const rule = await makeRule({ meter: 'random', kind, threshold, recurring_every: every, customer })
          for (const amount of amounts) await use(customer, amount, 'random')
          expect(await steps(rule.id)).toEqual(modelSteps(kind, threshold, every, amounts, 70))
          await call(archiveRule, 'DELETE', `/api/v1/alerts/${rule.id}`, { as: acme.api_key, params: { id: rule.id } })
        },
      ),
      { numRuns: 25 },
    )
  })
})

/** Which steps fire, by walking through the usage with whole numbers; shares are kept times the cap. */
function modelSteps(kind: string, threshold: number, every: number | null, amounts: number[], cap: number): number[] {
  const rising = kind === 'usage' || kind === 'usage_percent'
  const scale = kind.endsWith('percent') ? cap : 1
  const fired: number[] = []
  let used = 0
  for (const amount of amounts) {
    used += amount
    const level = (rising ? used : Math.max(0, cap - used)) * (kind.endsWith('percent') ? 100 : 1)
    if (kind === 'usage_percent' && used === 0) continue
    const reached = (step: number) => (rising ? level >= step * scale : level <= step * scale)
    if (!reached(threshold)) continue
    let step = threshold
    if (every !== null) while (reached(rising ? step + every : step - every)) step += rising ? every : -every
    if (fired.every((earlier) => (rising ? earlier < step : earlier > step))) fired.push(step)
  }
  return fired
}

describe('without new usage', () => {
  test('a new rule fires what is reached already', async () => {
    await use('early', 95)
    const rule = await makeRule({ meter: 'calls', kind: 'usage_percent', threshold: 95, customer: 'early' })
    await work()
    expect(await firings(`?rule=${rule.id}`)).toMatchObject([{ step: 95, used: 95 }])
    await work()
    await change(rule.id, { enabled: false })
    await change(rule.id, { enabled: true })
    await work()
    expect(await steps(rule.id)).toEqual([95])
  })

  test('who is archived has reached nothing, until they are back and use something', async () => {
    await use('left', 95)
    const archive = async (archived: boolean) => {
      const request = { as: acme.api_key, params: { id: 'left' }, body: { archived } }
      expect((await call(patchCustomer, 'PATCH', '/api/v1/customers/left', request)).status).toBe(200)
    }
    await archive(true)
    const rules = []
    for (const customer of ['left', null])
      rules.push(await makeRule({ meter: 'calls', kind: 'usage', threshold: 90, customer, tells_customer: true }))
    await work()
    for (const { id } of rules) expect(await firings(`?rule=${id}&customer=left`)).toEqual([])
    await archive(false)
    await use('left', 1)
    for (const { id } of rules)
      expect(await firings(`?rule=${id}&customer=left`)).toMatchObject([{ step: 90, used: 96 }])
  })

  test('a lowered cap fires', async () => {
    const rule = await makeRule({ meter: 'lowered', kind: 'usage_percent', threshold: 100, customer: null })
    await use('lowered', 500, 'lowered')
    await work()
    expect(await steps(rule.id)).toEqual([])
    const answer = await call(patchTier, 'PATCH', '/api/v1/tiers/small', {
      as: acme.api_key,
      params: { id: 'small' },
      body: {
        usage_caps: { calls: { limit: 100, behaviour: 'overflow' }, lowered: { limit: 400, behaviour: 'overflow' } },
      },
    })
    expect(answer.status).toBe(200)
    await work()
    expect(await firings(`?rule=${rule.id}`)).toMatchObject([{ step: 100, used: 500, available: 400 }])
  })
})

describe('another default tier', () => {
  test('fires what its lower cap makes of what was used, for those who have no other', async () => {
    expect((await send(postMeter, 'POST', '/api/v1/meters', { slug: 'defaults', name: 'D' }, globex)).status).toBe(201)
    const tiers = await Promise.all(
      [
        ['Wide', 1_000, true],
        ['Narrow', 10, false],
      ].map(([name, limit, is_default]) =>
        send(
          postTier,
          'POST',
          '/api/v1/tiers',
          { name, is_default, usage_caps: { defaults: { limit, behaviour: 'overflow' } } },
          globex,
        ),
      ),
    )
    expect(tiers.map(({ status }) => status)).toEqual([201, 201])
    const rule = await makeRule({ meter: 'defaults', kind: 'usage_percent', threshold: 100 }, globex)
    await use('someone', 30, 'defaults', globex)
    await work(globex)
    const fired = () => asSuperuser('select step::int from alert_firings where rule_id = $1', [rule.id])
    expect(await fired()).toEqual([])
    const narrow = tiers[1]?.body.id
    const switched = await call(patchTier, 'PATCH', `/api/v1/tiers/${narrow}`, {
      as: globex.api_key,
      params: { id: narrow },
      body: { is_default: true },
    })
    expect(switched.status).toBe(200)
    await work(globex)
    expect(await fired()).toEqual([{ step: 100 }])
    // Made anew, it fires once more for what is reached, and once.
    await call(archiveRule, 'DELETE', `/api/v1/alerts/${rule.id}`, { as: globex.api_key, params: { id: rule.id } })
    const again = await makeRule({ meter: 'defaults', kind: 'usage_percent', threshold: 100 }, globex)
    await work(globex)
    await use('someone', 1, 'defaults', globex)
    await work(globex)
    expect(await asSuperuser('select step::int from alert_firings where rule_id = $1', [again.id])).toEqual([
      { step: 100 },
    ])
    expect(await fired()).toEqual([{ step: 100 }])
  })
})

describe('what a customer has of its own', () => {
  const addCustomer = async (external_id: string): Promise<string> => {
    const { body } = await send(postCustomer, 'POST', '/api/v1/customers', { external_id })
    return body.id
  }
  const of = (handler: Parameters<typeof call>[0], method: string, id: string, what: string, body: Row) =>
    call(handler, method, `/api/v1/customers/${id}/${what}`, { as: acme.api_key, params: { id }, body })

  test('a grant is part of what is available', async () => {
    const id = await addCustomer('granted')
    const rule = await makeRule({ meter: 'calls', kind: 'usage_percent', threshold: 80, customer: 'granted' })
    expect((await of(postGrant, 'POST', id, 'grants', { meter: 'calls', amount: 100 })).status).toBe(201)
    await use('granted', 159)
    await work()
    expect(await steps(rule.id)).toEqual([])
    await use('granted', 1)
    expect(await firings(`?rule=${rule.id}`)).toMatchObject([{ step: 80, used: 160, available: 200 }])
  })

  test('a grant that expires takes what was left of it, used or not', async () => {
    const rules: Row[] = []
    for (const name of ['unused', 'used']) {
      const id = await addCustomer(name)
      rules.push(await makeRule({ meter: 'calls', kind: 'remaining', threshold: 100, customer: name }))
      expect((await of(postGrant, 'POST', id, 'grants', { meter: 'calls', amount: 50 })).status).toBe(201)
    }
    await use('used', 10)
    await work()
    await asSuperuser(
      `update grants set effective_at = now() - interval '2 hours', expires_at = now() - interval '1 hour'
       where tenant_id = $1 and amount = 50`,
      [acme.id],
    )
    expect(await closeGrants(new AbortController().signal)).toBe(2)
    await work()
    expect(await firings(`?rule=${rules[0]?.id}`)).toMatchObject([{ step: 100, used: 0, available: 100 }])
    expect(await firings(`?rule=${rules[1]?.id}`)).toMatchObject([{ step: 100, used: 10, available: 100 }])
    expect(await closeGrants(new AbortController().signal)).toBe(0)
  })

  test('an entitlement stands in the place of the cap', async () => {
    const id = await addCustomer('entitled')
    const rule = await makeRule({ meter: 'calls', kind: 'remaining', threshold: 5, customer: 'entitled' })
    const terms = { kind: 'metered', meter: 'calls', limit: 20, behaviour: 'overflow' }
    expect((await of(postEntitlement, 'POST', id, 'entitlements', terms)).status).toBe(201)
    await use('entitled', 14)
    expect(await steps(rule.id)).toEqual([])
    await use('entitled', 1)
    expect(await firings(`?rule=${rule.id}`)).toMatchObject([{ step: 5, used: 15, available: 20 }])
  })

  test('periods begin on its own day', async () => {
    const id = await addCustomer('anchored')
    const anchor_day = (new Date().getUTCDate() % 28) + 1
    expect((await of(putSubscription, 'PUT', id, 'subscription', { tier: 'small', anchor_day })).status).toBe(200)
    const rule = await makeRule({ meter: 'calls', kind: 'usage_percent', threshold: 50, customer: 'anchored' })
    await use('anchored', 50)
    const [firing] = await firings(`?rule=${rule.id}`)
    expect(firing).toMatchObject({ step: 50, used: 50 })
    expect(Number(String(firing?.period_start).slice(-2))).toBe(anchor_day)
  })
})

describe('telling', () => {
  test('says every digit: what is small is not nothing', async () => {
    await makeRule({ meter: 'digits', kind: 'usage', threshold: '0.00000001' })
    await work()
    await forgetMails()
    await use('tiny', '0.00000001', 'digits')
    await use('huge', '123456789012345678.5', 'digits')
    await work()
    const lines = (await mails())
      .filter(({ to }) => to === acme.users.owner.email)
      .flatMap(({ paragraphs }) => paragraphs)
    expect(lines).toEqual([
      'tiny: digits: 0.00000001 pieces used. Used 0.00000001 pieces in this period.',
      'huge: digits: 0.00000001 pieces used. Used 123,456,789,012,345,678.5 pieces in this period.',
    ])
  })

  test('admins, the customer and connectors hear of it, each once', async () => {
    await work()
    await forgetMails()
    const { body: customer } = await send(postCustomer, 'POST', '/api/v1/customers', {
      external_id: 'told',
      name: 'Told & Sons',
      email: 'told@example.test',
    })
    const rule = await makeRule({ meter: 'raced', kind: 'usage', threshold: 7, tells_customer: true, customer: 'told' })
    await work()
    await use('told', 7, 'raced')
    const [firing] = await firings(`?rule=${rule.id}`)
    await work()
    const queued = await mails()
    expect(queued.map(({ to }) => to)).toEqual(
      [acme.users.admin.email, acme.users.owner.email, 'told@example.test'].sort(),
    )
    expect(queued.find(({ to }) => to === acme.users.owner.email)).toMatchObject({
      subject: 'Told & Sons: raced: 7 pieces used',
      paragraphs: ['Told & Sons: raced: 7 pieces used. Used 7 pieces in this period.'],
    })
    expect(await firings(`?rule=${rule.id}`)).toMatchObject([{ told: 3, told_at: expect.any(String) }])
    // The note comes once more, as after a worker that died: nobody hears of it twice.
    const routing = await findTenantRouting({ id: acme.id })
    if (!routing) throw new Error('acme is there')
    expect(await asSystem(acme, () => tellFirings([String(firing?.id)], routing))).toBe(0)
    expect(await mails()).toHaveLength(3)
    const noted = await asSystem(acme, () =>
      tenantQuery(`select action, status, user_id, request ->> 'customer_id' as customer_id from connector_events
        where action = 'threshold.reached' and request ->> 'rule_id' = '${rule.id}'`),
    )
    expect(noted).toEqual([
      { action: 'threshold.reached', status: 'recorded', user_id: 'told', customer_id: customer.id },
    ])
  })

  test('logins of a customer without an address, and nobody where nobody is to hear', async () => {
    await forgetMails()
    const quiet = { tells_admins: false, tells_connectors: false }
    const login = await makeRule({
      meter: 'raced',
      kind: 'usage',
      threshold: 3,
      ...quiet,
      tells_customer: true,
      customer: acme.customer.external_id,
    })
    const silent = await makeRule({ meter: 'raced', kind: 'usage', threshold: 4, ...quiet, customer: 'told' })
    await work()
    await forgetMails()
    await use(acme.customer.external_id, 3, 'raced')
    await work()
    expect((await mails()).map(({ to }) => to)).toEqual([acme.users.customer.email])
    expect(await firings(`?rule=${login.id}`)).toMatchObject([{ told: 1 }])
    expect(await firings(`?rule=${silent.id}`)).toMatchObject([{ told: 0, told_at: null }])
  })

  test('many at once are one mail', async () => {
    await makeRule({ meter: 'raced', kind: 'usage', threshold: 1_000 })
    await work()
    await forgetMails()
    const events = Array.from({ length: 40 }, (_, index) => ({
      meter_id: 'raced',
      user_id: `crowd-${index}`,
      event_value: 1_000,
    }))
    await send(track, 'POST', '/api/v1/usage/track', events)
    await work()
    const queued = await mails()
    expect(queued.map(({ to }) => to)).toEqual([acme.users.admin.email, acme.users.owner.email].sort())
    // Every one of the forty fired two rules: this one and the one with steps of 25.
    expect(queued[0]?.paragraphs.at(-1)).toMatch(/^and \d+ more$/)
    expect(queued[0]?.subject).toBe('40 customers have reached a threshold')
    await forgetMails()
    await use('alone', 1_000, 'raced')
    await work()
    expect((await mails())[0]?.subject).toBe('alone: 2 thresholds reached')
  })

  test('a name that is cut in the middle of a character does not keep the mail back', async () => {
    await forgetMails()
    const name = `a${'😀'.repeat(127)}`
    await use(name, 1_000, 'raced')
    await work()
    expect((await mails()).map(({ subject }) => subject)).toEqual(Array(2).fill(`a${'😀'.repeat(99)}`))
  })
})

afterAll(() => forgetMails())
