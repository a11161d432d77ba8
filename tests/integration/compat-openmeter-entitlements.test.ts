// Entitlements, grants, resets and history as the package of OpenMeter has them, in both versions, against the ingest process.
import { HTTPError, OpenMeter } from '@openmeter/sdk'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { GET as readRun } from '@/app/api/v1/reconciliations/[id]/route'
import { POST as requestRun } from '@/app/api/v1/reconciliations/route'
import { GET as readList } from '@/app/compat/openmeter/api/[...path]/route'
import { runReconciliation } from '@/features/reconciliations/jobs/reconcile-usage'
import { newId } from '@/libs/ids'
import { type IngestProcess, startIngestProcess } from '../support/ingest-process'
import { known, refusedBy } from '../support/refused'
import { call, createWorld } from '../support/world'

const { acme, globex } = await createWorld()
let ingest: IngestProcess
let openmeter: OpenMeter
let other: OpenMeter
beforeAll(async () => {
  ingest = await startIngestProcess()
  const client = (apiKey: string) => new OpenMeter({ baseUrl: `${ingest.url}/compat/openmeter`, apiKey })
  openmeter = client(acme.api_key)
  other = client(globex.api_key)
})
afterAll(() => ingest.end())

const statusOf = async (work: Promise<unknown>): Promise<number> => (await refusedBy(HTTPError, work)).status
let made = 0
/** A meter, a feature of it, and a customer. */
const prepare = async () => {
  made += 1
  const { slug, eventType: type } = await known(
    openmeter.meters.create({
      slug: `words_${made}`,
      eventType: `words-${made}`,
      aggregation: 'SUM',
      valueProperty: '$.words',
    }),
  )
  const feature = await known(openmeter.features.create({ key: `words_of_${made}`, name: 'Words', meterSlug: slug }))
  const subject = `writer-${made}`
  const use = (words: number, time = new Date()) =>
    openmeter.events.ingest({ id: newId(), type, subject, time, data: { words } })
  return { slug, type, feature, subject, use }
}
const monthly = { usagePeriod: { interval: 'MONTH' } } as const

describe('the first version, by subject', () => {
  test('is made for a subject that was never seen, found, valued, granted, overridden and ended', async () => {
    const { feature, subject, use } = await prepare()
    const { entitlementsV1 } = openmeter
    const metadata = { plan: 'pro' }
    const created = await known(
      entitlementsV1.create(subject, {
        type: 'metered',
        featureKey: feature.key,
        issueAfterReset: 10,
        metadata,
        ...monthly,
      }),
    )
    expect(created).toEqual({
      id: expect.any(String),
      type: 'metered',
      featureKey: feature.key,
      featureId: feature.id,
      subjectKey: subject,
      metadata,
      isSoftLimit: false,
      isUnlimited: false,
      issueAfterReset: 10,
      issueAfterResetPriority: 1,
      preserveOverageAtReset: false,
      createdAt: expect.any(Date),
      updatedAt: expect.any(Date),
      activeFrom: expect.any(Date),
      lastReset: expect.any(Date),
      measureUsageFrom: expect.any(Date),
      currentUsagePeriod: { from: expect.any(Date), to: expect.any(Date) },
      usagePeriod: { interval: 'MONTH', intervalISO: 'P1M', anchor: expect.any(Date) },
    })
    expect(await entitlementsV1.get(created.id)).toEqual(created)
    expect(await entitlementsV1.list({ subject: [subject] })).toEqual([created])
    expect(await entitlementsV1.list({ subject: [subject], page: 1, pageSize: 5 })).toEqual({
      totalCount: 1,
      page: 1,
      pageSize: 5,
      items: [created],
    })
    await use(4)
    const value = () => known(entitlementsV1.value(subject, feature.key))
    expect(await value()).toEqual({ hasAccess: true, balance: 6, usage: 4, overage: 0, totalAvailableGrantAmount: 10 })
    expect(await entitlementsV1.value(subject, created.id, { time: new Date() })).toEqual(await value())
    const expiration = { duration: 'MONTH', count: 3 } as const
    const grant = await known(
      entitlementsV1.grants.create(subject, feature.key, { amount: 5, effectiveAt: new Date(), expiration, metadata }),
    )
    expect(grant).toEqual({
      id: expect.any(String),
      entitlementId: created.id,
      amount: 5,
      priority: 1,
      effectiveAt: expect.any(Date),
      expiration,
      expiresAt: expect.any(Date),
      minRolloverAmount: 0,
      // As in the first version of the wire: what is to roll over is said.
      maxRolloverAmount: 0,
      metadata,
      createdAt: expect.any(Date),
      updatedAt: expect.any(Date),
    })
    expect(await entitlementsV1.grants.list(subject, feature.key)).toEqual([grant])
    expect(await entitlementsV1.grants.listAll({ subject: [subject] })).toEqual([grant])
    expect(await value()).toMatchObject({ balance: 11 })
    await entitlementsV1.reset(subject, feature.key, {})
    expect(await value()).toMatchObject({ balance: 10, usage: 0 })
    await use(4)
    await entitlementsV1.grants.void(grant.id)
    expect(await entitlementsV1.grants.listAll({ subject: [subject] })).toEqual([])
    expect(await entitlementsV1.grants.listAll({ subject: [subject], includeDeleted: true })).toMatchObject([
      { id: grant.id, voidedAt: expect.any(Date) },
    ])
    const overridden = await known(
      entitlementsV1.override(subject, created.id, {
        type: 'metered',
        featureKey: feature.key,
        issueAfterReset: 20,
        measureUsageFrom: 'CURRENT_PERIOD_START',
        ...monthly,
      }),
    )
    expect(overridden).toMatchObject({ issueAfterReset: 20 })
    expect(await value()).toMatchObject({ balance: 16, usage: 4 })
    await entitlementsV1.delete(subject, overridden.id)
    expect(await value()).toEqual({ hasAccess: false })
    expect(await statusOf(entitlementsV1.get(created.id))).toBe(404)
  })

  test('customers.entitlementsV1 has the value alone', async () => {
    const { feature, subject } = await prepare()
    await openmeter.entitlementsV1.create(subject, { type: 'boolean', featureKey: feature.key })
    expect(await openmeter.customers.entitlementsV1.value(subject, feature.key)).toEqual({ hasAccess: true })
  })

  test('subjects are customers', async () => {
    const [one, two] = [`sub-${newId()}`, `sub-${newId()}`]
    const upserted = await known(
      openmeter.subjects.upsert([
        { key: one, displayName: 'One', metadata: { a: 'b' } },
        { key: two, displayName: null },
      ]),
    )
    expect(upserted).toMatchObject([
      { key: one, displayName: 'One', metadata: { a: 'b' } },
      { key: two, displayName: null },
    ])
    expect(await openmeter.subjects.get(one)).toEqual(upserted[0])
    expect(await openmeter.subjects.upsert({ key: one, displayName: 'Uno' })).toMatchObject([{ displayName: 'Uno' }])
    // What is not said of it stays, and null takes it away.
    const currentPeriodStart = new Date('2026-01-01T00:00:00Z')
    await openmeter.subjects.upsert({ key: one, stripeCustomerId: 'cus_1', currentPeriodStart })
    expect(await openmeter.subjects.upsert({ key: one, stripeCustomerId: 'cus_2' })).toMatchObject([
      { stripeCustomerId: 'cus_2', currentPeriodStart, metadata: { a: 'b' } },
    ])
    const [bare] = await known(openmeter.subjects.upsert({ key: one, stripeCustomerId: null, metadata: null }))
    expect(bare).toMatchObject({ currentPeriodStart, metadata: {} })
    expect(bare).not.toHaveProperty('stripeCustomerId')
    expect(((await known(openmeter.subjects.list())) as { key: string }[]).map(({ key }) => key)).toEqual(
      expect.arrayContaining([one, two]),
    )
    const atOnce = `sub-${newId()}`
    const made = await Promise.all(Array.from({ length: 12 }, () => known(openmeter.subjects.upsert({ key: atOnce }))))
    expect(new Set(made.map(([subject]) => subject?.id)).size).toBe(1)
    await openmeter.subjects.delete(one)
    expect(await statusOf(openmeter.subjects.get(one))).toBe(404)
    expect(await statusOf(other.subjects.get(two))).toBe(404)
  })
})

describe('the second version, by customer', () => {
  test('those of many customers are listed by as many questions as those of one', async () => {
    const { feature, use } = await prepare()
    const customerKeys = Array.from({ length: 6 }, (_, index) => `listed-${made}-${index}`)
    for (const key of customerKeys) {
      await openmeter.customers.create({ key, name: key, usageAttribution: { subjectKeys: [key, `${key}-too`] } })
      const sent = { type: 'metered', featureKey: feature.key, issueAfterReset: 5, ...monthly } as const
      const created = await known(openmeter.customers.entitlements.create(key, sent))
      await openmeter.customers.entitlements.createGrant(key, created.id, { amount: 2, effectiveAt: new Date() })
    }
    await use(1)
    const list = async (names: readonly string[]) => {
      const asked = vi.spyOn(pg.Client.prototype, 'query')
      const query = names.map((name) => `customerKeys=${name}`).join('&')
      const { status, body } = await call(readList, 'GET', `/compat/openmeter/api/v2/entitlements?${query}`, {
        as: acme.api_key,
      })
      const { length } = asked.mock.calls
      asked.mockRestore()
      expect([status, body.items.length]).toEqual([200, names.length])
      return { length, items: body.items }
    }
    await list(customerKeys)
    const [one, all] = [await list(customerKeys.slice(0, 1)), await list(customerKeys)]
    expect(one.length).toBeGreaterThan(3)
    expect(all.length).toBe(one.length)
    for (const { id, customerKey, ...item } of all.items) {
      const single = await known(openmeter.customers.entitlements.get(customerKey, id))
      expect(JSON.parse(JSON.stringify(single))).toEqual({ id, customerKey, ...item })
    }
    const beyond = await known(openmeter.entitlements.list({ query: { customerKeys, page: 9 } }))
    expect(beyond).toMatchObject({ totalCount: customerKeys.length, items: [] })
    const grants = await known(openmeter.entitlements.grants.list({ query: { customer: customerKeys, page: 9 } }))
    expect(grants).toMatchObject({ totalCount: customerKeys.length, items: [] })
  })

  test('grants are read from any place of their list, in both orders', async () => {
    const { feature, subject } = await prepare()
    await openmeter.customers.create({ key: subject, name: 'Writer' })
    const { entitlements } = openmeter.customers
    const sent = { type: 'metered', featureKey: feature.key, issueAfterReset: 1, ...monthly } as const
    const { id } = await known(entitlements.create(subject, sent))
    for (const amount of [1, 2, 3, 4, 5])
      await entitlements.createGrant(subject, id, { amount, effectiveAt: new Date(Date.now() + 3_600_000) })
    const all = async (query: Record<string, unknown>) => {
      const page = await known(openmeter.entitlements.grants.list({ query: { customer: [subject], ...query } }))
      return [page.totalCount, page.items.map(({ amount }) => amount)]
    }
    expect(await all({ limit: 2, offset: 3 })).toEqual([5, [4, 5]])
    expect(await all({ limit: 3, offset: 1 })).toEqual([5, [2, 3, 4]])
    expect(await all({ limit: 3, offset: 4 })).toEqual([5, [5]])
    expect(await all({ limit: 3, offset: 6 })).toEqual([5, []])
    expect(await all({ pageSize: 2, page: 2, offset: 4 })).toEqual([5, [3, 4]])
    const own = async (query: Record<string, unknown>) =>
      (await known(entitlements.listGrants(subject, id, { query }))).items.map(({ amount }) => amount)
    expect(await own({ orderBy: 'createdAt', order: 'ASC', limit: 2, offset: 1 })).toEqual([2, 3])
    expect(await own({ orderBy: 'createdAt', order: 'DESC' })).toEqual([5, 4, 3, 2, 1])
    const first = (await known(entitlements.listGrants(subject, id))).items[0]
    // It is not yet in effect, and does not recur.
    expect(first).not.toHaveProperty('nextRecurrence')
    const sorted = await known(entitlements.list(subject, { query: { orderBy: 'createdAt', order: 'DESC' } }))
    expect(sorted.items[0]).toMatchObject({ id })
  })

  test('lists over all customers, by feature, customer and type', async () => {
    const { feature, subject } = await prepare()
    const customer = await known(openmeter.customers.create({ key: subject, name: 'Writer' }))
    const { entitlements } = openmeter.customers
    const created = await known(
      entitlements.create(subject, { type: 'metered', featureKey: feature.key, issue: { amount: 3 }, ...monthly }),
    )
    expect(created).toMatchObject({ issue: { amount: 3, priority: 1 }, customerId: customer.id, customerKey: subject })
    const flag = await known(openmeter.features.create({ key: `flag_${made}`, name: 'Flag' }))
    const plain = await known(entitlements.create(customer.id, { type: 'boolean', featureKey: flag.key }))
    expect(plain).toEqual({
      id: expect.any(String),
      type: 'boolean',
      featureKey: flag.key,
      featureId: flag.id,
      customerId: customer.id,
      customerKey: subject,
      createdAt: expect.any(Date),
      updatedAt: expect.any(Date),
      activeFrom: expect.any(Date),
    })
    const list = async (query: NonNullable<Parameters<OpenMeter['entitlements']['list']>[0]>['query']) =>
      known(openmeter.entitlements.list({ query }))
    expect(await list({ customerKeys: [subject] })).toEqual({
      totalCount: 2,
      page: 1,
      pageSize: 100,
      items: [created, plain],
    })
    expect((await list({ customerIds: [customer.id], entitlementType: ['boolean'] })).items).toEqual([plain])
    expect((await list({ feature: [feature.key] })).items).toEqual([created])
    expect((await list({ customerKeys: ['nobody'] })).items).toEqual([])
    expect((await list({ customerKeys: [subject], order: 'DESC', pageSize: 1 })).items).toEqual([plain])
    expect((await list({ customerKeys: [subject], limit: 1, offset: 1 })).items).toEqual([plain])
    expect(await openmeter.entitlementsV1.list({ subject: [subject], limit: 1, offset: 1 })).toMatchObject([
      { id: plain.id },
    ])
    expect(await openmeter.entitlements.get(created.id)).toEqual(created)
    expect(await statusOf(other.entitlements.get(created.id))).toBe(404)
    expect((await known(other.entitlements.list())).items).toEqual([])
    const grant = await known(entitlements.createGrant(subject, created.id, { amount: 2, effectiveAt: new Date() }))
    expect(grant).not.toHaveProperty('expiration')
    const grants = await known(openmeter.entitlements.grants.list({ query: { customer: [subject] } }))
    expect(grants).toEqual({ totalCount: 1, page: 1, pageSize: 100, items: [grant] })
    expect((await known(openmeter.entitlements.grants.list({ query: { feature: ['nothing'] } }))).items).toEqual([])
    expect(await entitlements.value(subject, created.id)).toEqual({
      hasAccess: true,
      balance: 5,
      usage: 0,
      overage: 0,
      totalAvailableGrantAmount: 5,
      grantBalances: { [created.id]: 3, [grant.id]: 2 },
    })
    expect(await statusOf(other.entitlements.grants.void(grant.id))).toBe(404)
    expect(await statusOf(entitlements.value(subject, created.id, { query: { time: new Date(0) } }))).toBe(400)
  })

  test('usage is measured from the moment it was made, unless told otherwise', async () => {
    const { feature, subject, use } = await prepare()
    await use(7)
    const { entitlements } = openmeter.customers
    const terms = { type: 'metered', featureKey: feature.key, issueAfterReset: 10, ...monthly } as const
    await entitlements.create(subject, terms)
    const value = () => known(entitlements.value(subject, feature.key))
    expect(await value()).toMatchObject({ usage: 0, balance: 10 })
    await use(4)
    expect(await value()).toMatchObject({ usage: 4, balance: 6 })
    await entitlements.override(subject, feature.key, {
      ...terms,
      measureUsageFrom: 'CURRENT_PERIOD_START',
      issueAfterReset: 20,
    })
    expect(await value()).toMatchObject({ usage: 4, balance: 16 })
    expect(
      await statusOf(
        entitlements.override(subject, feature.key, { ...terms, measureUsageFrom: new Date(Date.now() + 86_400_000) }),
      ),
    ).toBe(400)
  })

  test('a reset forgets what was used, and keeps the overage when asked', async () => {
    const { slug, feature, subject, use } = await prepare()
    const { entitlements } = openmeter.customers
    const created = await known(
      entitlements.create((await known(openmeter.customers.create({ key: subject, name: 'x' }))).id, {
        type: 'metered',
        featureKey: feature.key,
        issueAfterReset: 10,
        isSoftLimit: true,
        ...monthly,
      }),
    )
    const value = () => known(entitlements.value(subject, feature.key))
    await use(13)
    expect(await value()).toMatchObject({ usage: 13, balance: 0, overage: 3 })
    await entitlements.resetUsage(subject, created.id, { preserveOverage: true })
    expect(await value()).toMatchObject({ usage: 3, balance: 7, overage: 0 })
    await use(2)
    expect(await value()).toMatchObject({ usage: 5, balance: 5 })
    await entitlements.resetUsage(subject, feature.key, { effectiveAt: new Date(), retainAnchor: true })
    expect(await value()).toMatchObject({ usage: 0, balance: 10 })
    await use(1)
    expect(await value()).toMatchObject({ usage: 1, balance: 9 })
    const after = await known(entitlements.get(subject, created.id))
    expect(after.type === 'metered' && after.lastReset > after.currentUsagePeriod.from).toBe(true)
    // What is billed is what was used.
    expect((await openmeter.meters.query(slug, { subject: [subject] })).data).toMatchObject([{ value: 16 }])
    expect(
      await statusOf(entitlements.resetUsage(subject, feature.key, { effectiveAt: new Date(Date.now() + 600_000) })),
    ).toBe(400)
    expect(await statusOf(entitlements.resetUsage(subject, feature.key, { effectiveAt: new Date(0) }))).toBe(400)
    expect(await statusOf(entitlements.resetUsage(subject, 'no_such_feature', {}))).toBe(404)
    // The balance and the counters it rests on still agree.
    const { body } = await call(requestRun, 'POST', '/api/v1/reconciliations', { as: acme.api_key })
    await runReconciliation(acme.id, body.id)
    const { body: run } = await call(readRun, 'GET', `/api/v1/reconciliations/${body.id}`, {
      as: acme.api_key,
      params: { id: body.id },
    })
    expect(run).toMatchObject({ status: 'finished', drifts: 0 })
  })

  test('what is left of decimals is told to the last digit', async () => {
    const { feature, subject, use } = await prepare()
    const { entitlements } = openmeter.customers
    await openmeter.customers.create({ key: subject, name: 'x' })
    const sent = { type: 'metered', featureKey: feature.key, issueAfterReset: 10, ...monthly } as const
    const { id } = await known(entitlements.create(subject, sent))
    await use(9.7)
    const { id: grant } = await known(entitlements.createGrant(subject, id, { amount: 0.1, effectiveAt: new Date() }))
    expect(await entitlements.value(subject, id)).toMatchObject({
      balance: 0.4,
      usage: 9.7,
      totalAvailableGrantAmount: 10.1,
      grantBalances: { [id]: 0.3, [grant]: 0.1 },
    })
    await use(0.2)
    const { burndownHistory } = await known(entitlements.history(subject, id, 'DAY'))
    expect(burndownHistory.map(({ balanceAtStart, balanceAtEnd }) => [balanceAtStart, balanceAtEnd])).toEqual([
      [10, 0.3],
      [0.4, 0.2],
    ])
    expect(burndownHistory.at(-1)).toMatchObject({
      grantBalancesAtStart: { [id]: 0.3, [grant]: 0.1 },
      grantUsages: [{ grantId: id, usage: 0.2 }],
    })
  })

  test('the history has windows with what was left, and stretches with what each grant paid', async () => {
    const { feature, subject, use } = await prepare()
    const { entitlements } = openmeter.customers
    await openmeter.customers.create({ key: subject, name: 'x' })
    const created = await known(
      entitlements.create(subject, {
        type: 'metered',
        featureKey: feature.key,
        issueAfterReset: 10,
        isSoftLimit: true,
        ...monthly,
      }),
    )
    await use(4)
    const plain = await known(entitlements.history(subject, feature.key, 'DAY'))
    expect(plain).toMatchObject({
      windowedHistory: [{ period: { from: expect.any(Date), to: expect.any(Date) }, usage: 4, balanceAtStart: 10 }],
      burndownHistory: [
        { usage: 4, overage: 0, balanceAtStart: 10, balanceAtEnd: 6, grantUsages: [{ grantId: created.id, usage: 4 }] },
      ],
    })
    const grant = await known(
      entitlements.createGrant(subject, created.id, { amount: 5, priority: 2, effectiveAt: new Date() }),
    )
    await use(9)
    const { burndownHistory } = await known(entitlements.history(subject, feature.key, 'MINUTE'))
    expect(burndownHistory.at(-1)).toMatchObject({
      usage: 9,
      overage: 0,
      balanceAtStart: 11,
      balanceAtEnd: 2,
      grantBalancesAtStart: { [created.id]: 6, [grant.id]: 5 },
      grantBalancesAtEnd: { [created.id]: 0, [grant.id]: 2 },
    })
    expect(burndownHistory.reduce((sum, { usage }) => sum + usage, 0)).toBe(13)
    const v1 = await known(
      openmeter.entitlementsV1.history(subject, created.id, { windowSize: 'DAY', windowTimeZone: 'Europe/Berlin' }),
    )
    expect(v1.windowedHistory.reduce((sum, { usage }) => sum + usage, 0)).toBe(13)
    expect(await statusOf(entitlements.history(subject, feature.key, 'WEEK' as 'DAY'))).toBe(400)
  })
})

describe('features', () => {
  test('of a part of a meter count that part, from their making on', async () => {
    made += 1
    const meter = await known(
      openmeter.meters.create({
        slug: `parts_${made}`,
        eventType: `parts-${made}`,
        aggregation: 'SUM',
        valueProperty: '$.tokens',
        groupBy: { model: '$.usage.model', type: '$.type' },
        metadata: { team: 'search' },
      }),
    )
    expect(meter).toMatchObject({ metadata: { team: 'search' } })
    expect(await openmeter.meters.update(meter.slug, { name: 'Parts', metadata: { team: 'ads' } })).toMatchObject({
      name: 'Parts',
      metadata: { team: 'ads' },
    })
    const meterGroupByFilters = { model: 'gpt-4' }
    const small = await known(
      openmeter.features.create({ key: `gpt4_${made}`, name: 'GPT-4', meterSlug: meter.slug, meterGroupByFilters }),
    )
    expect(small).toEqual({
      id: expect.any(String),
      key: `gpt4_${made}`,
      name: 'GPT-4',
      meterSlug: meter.slug,
      meterGroupByFilters,
      metadata: {},
      createdAt: expect.any(Date),
      updatedAt: expect.any(Date),
    })
    const advancedMeterGroupByFilters = { model: { $in: ['gpt-4', 'o1'] }, type: { $ne: 'output' } }
    const large = await known(
      openmeter.features.create({
        key: `input_${made}`,
        name: 'Input',
        meterSlug: meter.slug,
        advancedMeterGroupByFilters,
        metadata: { a: 'b' },
      }),
    )
    expect(large).toMatchObject({ meterSlug: meter.slug, advancedMeterGroupByFilters, metadata: { a: 'b' } })
    expect(await openmeter.features.get(small.id)).toEqual(small)
    expect(await openmeter.features.list({ meterSlug: [meter.slug], orderBy: 'key', order: 'DESC' })).toEqual([
      large,
      small,
    ])
    const meters = await known(openmeter.meters.list())
    expect(meters.filter(({ eventType }) => eventType === meter.eventType).map(({ slug }) => slug)).toEqual([
      meter.slug,
    ])
    const subject = `parts-of-${made}`
    for (const { key: featureKey } of [small, large])
      await openmeter.entitlementsV1.create(subject, { type: 'metered', featureKey, issueAfterReset: 100, ...monthly })
    await openmeter.events.ingest(
      [
        { usage: { model: 'gpt-4' }, type: 'input', tokens: 1 },
        { usage: { model: 'gpt-4' }, type: 'output', tokens: 10 },
        { usage: { model: 'o1' }, type: 'input', tokens: 20 },
      ].map((data) => ({ type: meter.eventType, subject, data })),
    )
    const usage = async (feature: string) => (await known(openmeter.entitlementsV1.value(subject, feature))).usage
    expect([await usage(small.key), await usage(large.key)]).toEqual([11, 21])
    expect((await openmeter.meters.query(meter.slug, { subject: [subject] })).data).toMatchObject([{ value: 31 }])
    for (const body of [
      { meterSlug: meter.slug, meterGroupByFilters: { colour: 'red' } },
      { meterSlug: 'no_such_meter', meterGroupByFilters },
      { meterGroupByFilters },
      { meterSlug: meter.slug, advancedMeterGroupByFilters: { model: { $ilike: 'x' } } },
    ])
      expect(await statusOf(openmeter.features.create({ key: `wrong_${made}`, name: 'x', ...body }))).toBe(400)
  })
})

describe('what is not here', () => {
  test('is said in the shape of the package', async () => {
    for (const work of [
      () => openmeter.plans.list(),
      () => openmeter.billing.invoices.list(),
      () => openmeter.notifications.channels.list(),
      () => openmeter.subscriptions.get('x'),
    ]) {
      const error = await work().then(
        () => null,
        (thrown: unknown) => thrown,
      )
      expect(error).toBeInstanceOf(HTTPError)
      expect(error).toMatchObject({ status: 404, message: expect.stringContaining('is not supported here') })
    }
  })
})
