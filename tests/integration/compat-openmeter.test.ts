// The package of OpenMeter, as npm has it, against the ingest process: only the address of the server is another.
import { HTTPError, OpenMeter } from '@openmeter/sdk'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { GET as queryMeter } from '@/app/api/v1/meters/[id]/query/route'
import { POST as postMeter } from '@/app/api/v1/meters/route'
import { GET as getRejections } from '@/app/api/v1/usage/rejections/route'
import { GET as inApplication } from '@/app/compat/openmeter/api/[...path]/route'
import { newId } from '@/libs/ids'
import { whenHeard } from '../support/heard'
import { type IngestProcess, startIngestProcess } from '../support/ingest-process'
import { known, refusedBy } from '../support/refused'
import { call, createApiKey, createWorld, setStatus } from '../support/world'

const { acme, globex } = await createWorld()
let ingest: IngestProcess
let openmeter: OpenMeter
let other: OpenMeter
const client = (apiKey: string) => new OpenMeter({ baseUrl: `${ingest.url}/compat/openmeter`, apiKey })

beforeAll(async () => {
  ingest = await startIngestProcess()
  openmeter = client(acme.api_key)
  other = client(globex.api_key)
})
afterAll(() => ingest.end())

const refused = (work: Promise<unknown>) => refusedBy(HTTPError, work)
let made = 0
/** A meter of tokens by model and region, and the type of its events. */
const createMeter = async (input: Partial<Parameters<OpenMeter['meters']['create']>[0]> = {}) => {
  made += 1
  return known(
    openmeter.meters.create({
      slug: `tokens_${made}`,
      eventType: `prompt-${made}`,
      aggregation: 'SUM',
      valueProperty: '$.tokens',
      groupBy: { model: '$.model', region: '$.request.region' },
      ...input,
    }),
  )
}
const usageOf = async (slug: string, subject?: string) => {
  const { data } = await openmeter.meters.query(slug, subject === undefined ? {} : { subject: [subject] })
  return data.reduce((sum, { value }) => sum + value, 0)
}
const rejections = async () =>
  (await call(getRejections, 'GET', '/api/v1/usage/rejections', { as: acme.api_key })).body.data as {
    code: string
    event: Record<string, unknown>
  }[]

describe('meters', () => {
  test('are made, found by id and slug, listed, renamed and archived', async () => {
    const meter = await createMeter({ name: 'Tokens', description: 'Of prompts' })
    expect(meter).toEqual({
      id: expect.any(String),
      slug: `tokens_${made}`,
      name: 'Tokens',
      description: 'Of prompts',
      aggregation: 'SUM',
      eventType: `prompt-${made}`,
      valueProperty: '$.tokens',
      groupBy: { model: '$.model', region: '$.request.region' },
      createdAt: expect.any(Date),
      updatedAt: expect.any(Date),
    })
    expect(await openmeter.meters.get(meter.slug)).toEqual(meter)
    expect(await openmeter.meters.get(meter.id)).toEqual(meter)
    expect((await known(openmeter.meters.list())).map(({ slug }) => slug)).toContain(meter.slug)
    expect(await openmeter.meters.update(meter.slug, { name: 'Other' })).toMatchObject({ name: 'Other' })
    expect((await refused(openmeter.meters.update(meter.slug, { groupBy: { a: '$.a' } }))).status).toBe(400)
    await openmeter.meters.delete(meter.slug)
    expect((await known(openmeter.meters.list())).map(({ slug }) => slug)).not.toContain(meter.slug)
  })

  test.each([
    [{ slug: 'Not-Good' }, /slug/],
    [{ valueProperty: '$..x[?(@.a)]' }, /valueProperty/],
    [{ groupBy: { a: 'no path' } }, /groupBy/],
    [{ groupBy: { subject: '$.s' } }, /subject/],
    [{ groupBy: { customer_id: '$.c' } }, /customer_id/],
    [{ aggregation: 'MEDIAN' as 'SUM' }, /aggregation/],
    [{ eventFrom: new Date() }, /eventFrom/],
  ])('what is wrong with one is said: %j', async (input, where) => {
    const error = await refused(createMeter(input))
    expect([error.status, error.title, error.type]).toEqual([400, expect.any(String), expect.any(String)])
    expect(error.message).toMatch(where)
  })

  test('a slug is taken once', async () => {
    const { slug } = await createMeter()
    expect((await refused(createMeter({ slug }))).status).toBe(409)
    expect((await refused(openmeter.meters.get('nothing_here'))).status).toBe(404)
  })
})

describe('events', () => {
  test('one and a list of them are counted at once, and each of them once', async () => {
    const { slug, eventType: type } = await createMeter()
    const event = { id: newId(), source: 'my-app', type, subject: 'customer-a', data: { tokens: 5, model: 'gpt' } }
    const time = new Date()
    await openmeter.events.ingest({ ...event, time })
    expect(await usageOf(slug)).toBe(5)
    await openmeter.events.ingest([
      { ...event, time },
      { ...event, id: newId(), data: { tokens: '7.5' } },
      { type, subject: 'customer-b', data: { tokens: 100 } },
    ])
    expect(await usageOf(slug)).toBe(112.5)
    expect(await usageOf(slug, 'customer-a')).toBe(12.5)
    expect(await usageOf(slug, 'nobody')).toBe(0)
    // The same id of another source is another event.
    await openmeter.events.ingest({ ...event, time, source: 'elsewhere' })
    expect(await usageOf(slug, 'customer-a')).toBe(17.5)
  })

  test('every meter of a type counts them, each of them once', async () => {
    const type = `shared-${newId()}`
    const sum = await createMeter({ eventType: type })
    const count = await createMeter({ eventType: type, aggregation: 'COUNT', valueProperty: undefined, groupBy: {} })
    const models = await createMeter({ eventType: type, aggregation: 'UNIQUE_COUNT', valueProperty: '$.model' })
    const peak = await createMeter({ eventType: type, aggregation: 'MAX', valueProperty: '$.usage.peak' })
    const events = [1, 2, 3].map((tokens) => ({
      id: newId(),
      type,
      subject: 'customer-a',
      time: new Date(),
      data: { tokens, model: tokens === 3 ? 'b' : 'a', usage: { peak: tokens * 10 }, list: [1, { a: 1 }] },
    }))
    for (let time = 0; time < 2; time += 1) await openmeter.events.ingest(events)
    expect(await Promise.all([sum, count, models, peak].map(({ slug }) => usageOf(slug, 'customer-a')))).toEqual([
      6, 3, 2, 30,
    ])
    // Who tries again after a meter is gone is told apart by the same names.
    await openmeter.meters.delete(sum.slug)
    await openmeter.events.ingest(events)
    expect(await usageOf(count.slug)).toBe(3)
  })

  test('every way to write them', async () => {
    const { slug, eventType: type } = await createMeter()
    const event = () => ({ id: newId(), source: 's', specversion: '1.0', type, subject: 'w', data: { tokens: 1 } })
    const send = (body: unknown, contentType: string) =>
      ingest.send({
        path: '/compat/openmeter/api/v1/events',
        headers: { authorization: `Bearer ${acme.api_key}`, 'content-type': contentType },
        body,
      })
    for (const [body, contentType] of [
      [event(), 'application/cloudevents+json'],
      [[event(), event()], 'application/cloudevents-batch+json; charset=UTF-8'],
      [event(), 'application/json'],
      [[event()], 'application/json'],
    ] as const)
      expect((await send(body, contentType)).status).toBe(204)
    expect(await usageOf(slug)).toBe(5)
    expect((await send(event(), 'text/plain')).status).toBe(415)
    for (const body of [
      '',
      '{',
      [],
      [[]],
      1,
      { ...event(), subject: undefined },
      { ...event(), type: '' },
      { ...event(), time: 'yesterday' },
      { ...event(), data: 5 },
      { ...event(), specversion: '0.3' },
      [event(), { ...event(), subject: '' }],
      Array.from({ length: 1_001 }, event),
    ]) {
      const answer = await send(body, 'application/json')
      expect([answer.status, answer.headers['content-type']]).toEqual([400, 'application/problem+json'])
      expect(answer.body).toMatchObject({ type: expect.any(String), title: expect.any(String), status: 400 })
    }
    expect(await usageOf(slug)).toBe(5)
  })

  test('what no meter counts, or what it cannot count, is taken and listed with the reason', async () => {
    const { slug, eventType: type } = await createMeter()
    const [unknown, textual, good] = [newId(), newId(), newId()]
    await openmeter.events.ingest([
      { id: unknown, type: 'com.example.unheard-of', subject: 'lost', data: { camelCase: { Inner: 1 } } },
      { id: textual, type, subject: 'lost', data: { tokens: 'many', request: { region: 'eu', id: 7 } } },
      { id: good, type, subject: 'found', data: { tokens: 2, camelCase: { Inner: 1 } } },
    ])
    expect(await usageOf(slug)).toBe(2)
    const kept = await rejections()
    expect(kept.find(({ event }) => event.event_id === unknown)).toMatchObject({
      code: 'unknown_meter',
      event: { type: 'com.example.unheard-of', user_id: 'lost', data: { camelCase: { Inner: 1 } } },
    })
    expect(kept.find(({ event }) => event.event_id === textual)?.code).toBe('invalid_property')
    const listed = await known(openmeter.events.list())
    expect(listed.find(({ event }) => event.id === good)).toEqual({
      event: {
        id: good,
        source: '@openmeter/sdk',
        specversion: '1.0',
        type,
        subject: 'found',
        time: expect.any(Date),
        data: { tokens: 2, camelCase: { Inner: 1 } },
      },
      customerId: expect.any(String),
      ingestedAt: expect.any(Date),
      storedAt: expect.any(Date),
    })
    expect(listed.find(({ event }) => event.id === unknown)).toMatchObject({ validationError: expect.any(String) })
    // Shown as it was sent, also where the meter has names of its own for parts of it.
    expect(listed.find(({ event }) => event.id === textual)).toMatchObject({
      event: { data: { tokens: 'many', request: { region: 'eu', id: 7 } } },
      validationError: expect.any(String),
    })
    expect(listed.find(({ event }) => event.id === textual)?.event.data).not.toHaveProperty('region')
    expect((await known(openmeter.events.list({ subject: 'found' }))).map(({ event }) => event.id)).toEqual([good])
    expect((await known(openmeter.events.list({ subject: 'lost' }))).map(({ event }) => event.id).sort()).toEqual(
      [unknown, textual].sort(),
    )
    expect(await openmeter.events.list({ subject: 'never-seen' })).toEqual([])
    expect(await openmeter.events.list({ id: good })).toHaveLength(1)
    expect(await openmeter.events.list({ limit: 1 })).toHaveLength(1)
    expect(await openmeter.events.list({ ingestedAtFrom: new Date(Date.now() + 60_000) })).toEqual([])
    expect((await refused(openmeter.events.list({ limit: 1_000 }))).status).toBe(400)
  })

  test('names with dots are listed as they were sent, and counted and grouped by like any other', async () => {
    const { slug, eventType: type } = await createMeter({
      groupBy: { model: "$['gen_ai.model']", region: '$.request.region' },
    })
    const data = {
      tokens: 3,
      'gen_ai.model': 'gpt',
      'a.b': { 'c.d': 1, e: 2 },
      a: { b: { f: 4 } },
      x: { 'y.z': 't', '$dotted.': true },
      request: { region: 'eu' },
    }
    const time = new Date()
    const other = { a: { b: 1 }, $dotted: '[["a.b"]' }
    const [counted, refusedOne, unknown, plain] = [newId(), newId(), newId(), newId()]
    await openmeter.events.ingest([
      { id: counted, type, subject: 'dotty', time, data },
      { id: refusedOne, type, subject: 'dotty', data: { ...data, tokens: 'many' } },
      { id: unknown, type: `${type}-unheard-of`, subject: 'dotty', data },
      { id: plain, type, subject: 'dotty', data: { ...other, tokens: 1 } },
    ])
    // The same event, whatever the order of its fields.
    await openmeter.events.ingest({
      id: counted,
      type,
      subject: 'dotty',
      time,
      data: Object.fromEntries(Object.entries(data).reverse()),
    })
    const listed = await known(openmeter.events.list({ subject: 'dotty' }))
    expect(listed).toHaveLength(4)
    const dataOf = (id: string) => listed.find(({ event }) => event.id === id)?.event.data
    expect(dataOf(counted)).toEqual(data)
    expect(dataOf(refusedOne)).toEqual({ ...data, tokens: 'many' })
    expect(dataOf(unknown)).toEqual(data)
    expect(dataOf(plain)).toEqual({ ...other, tokens: 1 })
    expect(await usageOf(slug)).toBe(4)
    const { data: rows } = await openmeter.meters.query(slug, { groupBy: ['model'] })
    expect(rows.map(({ value, groupBy }) => [value, groupBy.model])).toEqual(expect.arrayContaining([[3, 'gpt']]))
  })
})

describe('queries', () => {
  test('answer as our own, in windows of any zone, by groups and subjects', async () => {
    const { slug, eventType: type } = await createMeter()
    const hour = Math.floor(Date.now() / 3_600_000) * 3_600_000
    const events = Array.from({ length: 60 }, (_, index) => ({
      id: newId(),
      type,
      subject: `s-${index % 3}`,
      time: new Date(hour - index * 2_700_000),
      data: { tokens: index + 0.25, model: index % 2 ? 'a' : 'b', request: index % 5 ? { region: 'eu' } : {} },
    }))
    await openmeter.events.ingest(events)
    const from = new Date(hour - 3 * 86_400_000)
    const to = new Date(hour + 3_600_000)
    const range = `from=${from.toISOString()}&to=${to.toISOString()}`
    const ours = async (query: string) => {
      const { body } = await call(queryMeter, 'GET', `/api/v1/meters/${slug}/query?${range}&${query}`, {
        as: acme.api_key,
        params: { id: slug },
      })
      type Row = {
        value: number
        window_start: string
        window_end: string
        customer?: { external_id: string }
        group?: Record<string, string | null>
      }
      return (body.data as Row[]).map((row) => ({
        value: row.value,
        windowStart: new Date(row.window_start),
        windowEnd: new Date(row.window_end),
        subject: row.customer?.external_id ?? null,
        groupBy: row.group ?? {},
      }))
    }
    type Query = NonNullable<Parameters<OpenMeter['meters']['query']>[1]>
    const questions: [Query, string][] = [
      [{}, 'time_zone=UTC'],
      [{ windowSize: 'HOUR' }, 'window=HOUR&time_zone=UTC'],
      [{ windowSize: 'DAY', windowTimeZone: 'Asia/Kolkata' }, 'window=DAY&time_zone=Asia/Kolkata'],
      [{ windowSize: 'MONTH', windowTimeZone: 'America/New_York' }, 'window=MONTH&time_zone=America/New_York'],
      [{ groupBy: ['model'] }, 'group_by=model&time_zone=UTC'],
      [{ groupBy: ['region', 'subject'], windowSize: 'DAY' }, 'group_by=region,customer&window=DAY&time_zone=UTC'],
      [{ subject: ['s-0', 's-2'] }, 'customer=s-0,s-2&group_by=customer&time_zone=UTC'],
      [{ filterGroupBy: { model: 'a', region: 'eu' } }, 'filter[model]=a&filter[region]=eu&time_zone=UTC'],
    ]
    for (const [query, own] of questions) {
      const { data, ...rest } = await openmeter.meters.query(slug, { ...query, from, to })
      expect(data.length).toBeGreaterThan(0)
      // Ours end where the question does; theirs are told as whole windows.
      const bounds = query.windowSize ? { windowStart: null, windowEnd: null } : {}
      expect(data.map(({ customerId: _customerId, ...row }) => ({ ...row, ...bounds }))).toEqual(
        (await ours(own)).map((row) => ({ ...row, ...bounds })),
      )
      expect(rest).toEqual({ from, to, ...(query.windowSize ? { windowSize: query.windowSize } : {}) })
      const posted = await openmeter.meters.queryPost(slug, {
        ...query,
        from,
        to,
        filterGroupBy: query.filterGroupBy ? { model: ['a'], region: ['eu'] } : undefined,
      } as Parameters<OpenMeter['meters']['queryPost']>[1])
      expect(posted).toMatchObject({ data })
    }
    const total = events.reduce((sum, { data }) => sum + data.tokens, 0)
    expect(await usageOf(slug)).toBe(total)
    const hours = await openmeter.meters.query(slug, { windowSize: 'HOUR' })
    expect(hours.data.reduce((sum, { value }) => sum + value, 0)).toBe(total)
    expect((await known(openmeter.meters.listGroupByValues(slug, 'model', { from }))).sort()).toEqual(['a', 'b'])
    expect((await openmeter.meters.query(slug, { subject: ['nobody'] })).data).toEqual([])
    const tomorrow = new Date(Date.now() + 86_400_000)
    for (const windowSize of [undefined, 'HOUR', 'MONTH'] as const)
      expect(
        (await openmeter.meters.query(slug, { from: tomorrow, ...(windowSize ? { windowSize } : {}) })).data,
      ).toEqual([])
  })

  test('what cannot be asked is said', async () => {
    const { slug } = await createMeter()
    for (const query of [
      { groupBy: ['colour'] },
      { windowSize: 'YEAR' as 'DAY' },
      { windowTimeZone: 'Mars/Base', windowSize: 'DAY' as const },
      { from: new Date(2_000), to: new Date(1_000) },
      { filterGroupBy: { colour: 'red' } },
    ])
      expect([query, (await refused(openmeter.meters.query(slug, query))).status]).toEqual([query, 400])
    expect((await refused(openmeter.meters.query('nothing_here'))).status).toBe(404)
  })
})

describe('customers, features and entitlements', () => {
  const createCustomer = (key = `cust-${newId()}`) =>
    known(openmeter.customers.create({ key, name: 'Ada', usageAttribution: { subjectKeys: [key] } }))
  const createFeature = async (meterSlug?: string) =>
    known(
      openmeter.features.create({
        key: `feature_${newId().replaceAll('-', '')}`,
        name: 'A feature',
        ...(meterSlug ? { meterSlug } : {}),
      }),
    )

  test('customers are made, found, listed, changed and archived', async () => {
    const customer = await known(
      openmeter.customers.create({
        name: 'Ada Lovelace',
        description: 'First',
        primaryEmail: 'ada@example.test',
        currency: 'EUR',
        metadata: { planName: 'pro' },
        usageAttribution: { subjectKeys: ['ada'] },
      }),
    )
    expect(customer).toMatchObject({
      id: expect.any(String),
      name: 'Ada Lovelace',
      description: 'First',
      currency: 'EUR',
      metadata: { planName: 'pro' },
      primaryEmail: 'ada@example.test',
      usageAttribution: { subjectKeys: ['ada'] },
      createdAt: expect.any(Date),
    })
    expect(await openmeter.customers.get('ada')).toEqual(customer)
    expect(await openmeter.customers.get(customer.id)).toEqual(customer)
    const page = await openmeter.customers.list({ key: 'ad', page: 1, pageSize: 10 })
    expect(page).toEqual({ totalCount: 1, page: 1, pageSize: 10, items: [customer] })
    expect((await refused(openmeter.customers.list({ page: 2_000_000 }))).message).toContain('must be 1 to 1000000')
    expect(await openmeter.customers.update('ada', { name: 'Ada L.' })).toMatchObject({ name: 'Ada L.' })
    expect((await refused(createCustomer('ada'))).status).toBe(409)
    await openmeter.customers.delete('ada')
    expect((await openmeter.customers.list({ key: 'ada' }))?.totalCount).toBe(0)
    expect((await refused(openmeter.customers.get('nobody-at-all'))).status).toBe(404)
  })

  test('features are made, found, listed and archived, which frees the key', async () => {
    const meter = await createMeter()
    const feature = await createFeature(meter.slug)
    expect(feature).toMatchObject({ id: expect.any(String), name: 'A feature', meterSlug: meter.slug })
    expect(await openmeter.features.get(feature.key)).toEqual(feature)
    const listed = await openmeter.features.list({ meterSlug: [meter.slug] })
    expect(listed).toEqual([feature])
    expect((await refused(openmeter.features.create({ key: feature.key, name: 'x' }))).status).toBe(409)
    await openmeter.features.delete(feature.id)
    expect((await openmeter.features.create({ key: feature.key, name: 'Again' }))?.id).not.toBe(feature.id)
    expect((await refused(openmeter.features.create({ key: 'a', name: 'x', meterSlug: 'no_such' }))).status).toBe(400)
  })

  test('a metered one has a balance that falls with usage, grants add to it, and a soft one goes over', async () => {
    const { slug, eventType: type } = await createMeter()
    const [hard, soft] = [await createCustomer(), await createCustomer()]
    const { key: featureKey, id: featureId } = await createFeature(slug)
    const { entitlements } = openmeter.customers
    const terms = { type: 'metered', usagePeriod: { interval: 'MONTH' }, issueAfterReset: 100 } as const
    const created = await known(entitlements.create(hard.id, { ...terms, featureKey }))
    expect(created).toMatchObject({
      type: 'metered',
      featureKey,
      featureId,
      customerId: hard.id,
      customerKey: hard.key,
      isSoftLimit: false,
      issueAfterReset: 100,
      usagePeriod: { interval: 'MONTH', intervalISO: 'P1M', anchor: expect.any(Date) },
      currentUsagePeriod: { from: expect.any(Date), to: expect.any(Date) },
    })
    const over = await known(entitlements.create(soft.key ?? '', { ...terms, featureId, isSoftLimit: true }))
    const value = (customer: { id: string }) => known(entitlements.value(customer.id, featureKey))
    expect(await value(hard)).toEqual({
      hasAccess: true,
      balance: 100,
      usage: 0,
      overage: 0,
      totalAvailableGrantAmount: 100,
      grantBalances: { [created.id]: 100 },
    })
    const use = (customer: { key?: string }, tokens: number) =>
      openmeter.events.ingest({ id: newId(), type, subject: customer.key ?? '', data: { tokens } })
    await use(hard, 60)
    expect(await value(hard)).toMatchObject({ hasAccess: true, balance: 40, usage: 60 })
    // A hard limit holds where usage comes in: what passes it is not counted, but listed.
    await use(hard, 50)
    expect(await value(hard)).toMatchObject({ hasAccess: true, balance: 40, usage: 60, overage: 0 })
    expect((await rejections())[0]).toMatchObject({ code: 'usage_exceeded' })
    const grant = await known(
      entitlements.createGrant(hard.id, featureKey, {
        amount: 30,
        effectiveAt: new Date(),
        priority: 1,
        expiration: { duration: 'MONTH', count: 2 },
      }),
    )
    expect(grant).toMatchObject({ amount: 30, priority: 1, expiresAt: expect.any(Date), maxRolloverAmount: 30 })
    expect((await entitlements.listGrants(hard.id, featureKey))?.items).toEqual([grant])
    expect(await value(hard)).toMatchObject({ balance: 70, totalAvailableGrantAmount: 130 })
    await use(hard, 50)
    expect(await value(hard)).toMatchObject({ balance: 20, usage: 110 })
    await use(hard, 20)
    expect(await value(hard)).toMatchObject({ hasAccess: false, balance: 0, usage: 130 })
    await use(soft, 130)
    expect(await value(soft)).toEqual({
      hasAccess: true,
      balance: 0,
      usage: 130,
      overage: 30,
      totalAvailableGrantAmount: 100,
      grantBalances: { [over.id]: 0 },
    })
    await openmeter.entitlements.grants.void(grant.id)
    expect((await entitlements.listGrants(hard.id, featureKey))?.items).toEqual([])
    expect((await entitlements.list(hard.id))?.items.map(({ id }) => id)).toContain(created.id)
    expect(await entitlements.get(hard.id, created.id)).toEqual(created)
    const fromStart = { measureUsageFrom: 'CURRENT_PERIOD_START' } as const
    await entitlements.override(hard.id, featureKey, { ...terms, ...fromStart, featureKey, issueAfterReset: 500 })
    // What the grant paid for before it was taken back stays paid.
    expect(await value(hard)).toMatchObject({ hasAccess: true, usage: 130, balance: 400 })
    await entitlements.override(hard.id, featureKey, { ...terms, featureKey, issueAfterReset: 200 })
    // Unless told otherwise usage is measured from the new one on.
    expect(await value(hard)).toMatchObject({ hasAccess: true, usage: 0, balance: 200 })
    await entitlements.delete(hard.id, featureKey)
    expect((await value(hard)).hasAccess).toBe(false)
  })

  test('a boolean and a static one', async () => {
    const { id } = await createCustomer()
    const [flag, limits, none] = [await createFeature(), await createFeature(), await createFeature()]
    const { entitlements } = openmeter.customers
    expect(await entitlements.create(id, { type: 'boolean', featureKey: flag.key })).toMatchObject({ type: 'boolean' })
    const config = '{"seats":5,"planName":"pro"}'
    expect(await entitlements.create(id, { type: 'static', featureKey: limits.key, config })).toMatchObject({ config })
    expect(await entitlements.value(id, flag.key)).toEqual({ hasAccess: true })
    expect(await entitlements.value(id, limits.key)).toEqual({ hasAccess: true, config })
    expect(await entitlements.value(id, none.key)).toEqual({ hasAccess: false })
    expect(await openmeter.customers.getAccess(id)).toMatchObject({
      entitlements: { [flag.key]: { hasAccess: true }, [limits.key]: { config } },
    })
    expect((await refused(entitlements.create(id, { type: 'boolean', featureKey: flag.key }))).status).toBe(409)
    for (const body of [
      { type: 'boolean', featureKey: 'never_made' },
      { type: 'boolean' },
      { type: 'metered', featureKey: flag.key, usagePeriod: { interval: 'MONTH' } },
      { type: 'metered', featureKey: flag.key, usagePeriod: { interval: 'P3D' } },
      { type: 'static', featureKey: none.key, config: '{' },
      { type: 'other', featureKey: none.key },
    ] as Parameters<typeof entitlements.create>[1][])
      expect([body, (await refused(entitlements.create(id, body))).status]).toEqual([body, 400])
    // Kept as it was sent, or refused with the place: nothing is rounded or lost without a word.
    for (const kept of ['9007199254740991', '-0.1', '1e300', '"9007199254740993"', '[null,{"a":[]}]']) {
      const feature = await createFeature()
      await entitlements.create(id, { type: 'static', featureKey: feature.key, config: `{"n":${kept}}` })
      expect(JSON.parse((await entitlements.value(id, feature.key))?.config ?? '')).toEqual({ n: JSON.parse(kept) })
    }
    for (const lost of ['9007199254740993', '0.12345678901234567891', '1e400', '1e-400']) {
      const body = { type: 'static' as const, featureKey: none.key, config: `{"n":[${lost}]}` }
      expect((await refused(entitlements.create(id, body))).message).toContain('/n/0')
    }
    const body = { type: 'static' as const, featureKey: none.key, config: '"\\u0000"' }
    expect((await refused(entitlements.create(id, body))).message).toContain('NUL')
    expect((await refused(entitlements.value('nobody-at-all', flag.key))).status).toBe(404)
  })
})

describe('who may', () => {
  test('another tenant sees nothing of it', async () => {
    const meter = await createMeter()
    await openmeter.events.ingest({ type: meter.eventType, subject: 'seen', data: { tokens: 3 } })
    expect(await other.meters.list()).toEqual([])
    expect(await other.events.list()).toEqual([])
    expect(await other.features.list()).toEqual([])
    expect((await refused(other.meters.get(meter.id))).status).toBe(404)
    expect((await refused(other.meters.query(meter.slug))).status).toBe(404)
    expect((await refused(other.customers.get('seen'))).status).toBe(404)
    // Its own events of that type go nowhere.
    await other.events.ingest({ type: meter.eventType, subject: 'seen', data: { tokens: 1_000 } })
    expect(await usageOf(meter.slug)).toBe(3)
    expect((await known(other.events.list())).every(({ validationError }) => validationError)).toBe(true)
  })

  test('a key does what its permissions say, and none does nothing', async () => {
    expect((await refused(client('hf_live_wrong').meters.list())).status).toBe(401)
    expect((await refused(new OpenMeter({ baseUrl: `${ingest.url}/compat/openmeter` }).meters.list())).status).toBe(401)
    const writer = client((await createApiKey(acme, ['usage:write'])).key)
    await writer.events.ingest({ type: 'x', subject: 'y' })
    expect((await refused(writer.meters.list())).status).toBe(403)
    expect((await refused(writer.meters.create({ slug: 'x', eventType: 'x', aggregation: 'COUNT' }))).status).toBe(403)
    expect((await refused(openmeter.plans.list())).status).toBe(404)
  })

  test('a meter of ours is counted by its slug', async () => {
    await call(postMeter, 'POST', '/api/v1/meters', { as: acme.api_key, body: { name: 'Calls', slug: 'calls-2' } })
    await openmeter.events.ingest([
      { type: 'calls-2', subject: 'z' },
      { type: 'calls-2', subject: 'z', data: { value: 4 } },
    ])
    expect(await usageOf('calls-2', 'z')).toBe(5)
  })

  test('a write with an Idempotency-Key is done once', async () => {
    const send = () =>
      ingest.send({
        path: '/compat/openmeter/api/v1/features',
        headers: { authorization: `Bearer ${acme.api_key}`, 'idempotency-key': 'one-feature' },
        body: { key: 'only_once', name: 'Once' },
      })
    const [first, again] = [await send(), await send()]
    expect([first.status, again.status]).toEqual([201, 201])
    expect(again.body).toEqual(first.body)
  })

  test('the application answers the same', async () => {
    const { id, slug } = await createMeter()
    const { status, body } = await call(inApplication, 'GET', `/compat/openmeter/api/v1/meters/${slug}`, {
      as: acme.api_key,
    })
    expect([status, body.id]).toEqual([200, id])
  })

  test('HEAD is answered as GET is, without a body', async () => {
    const { slug } = await createMeter()
    for (const [path, status] of [
      [`v1/meters/${slug}/query`, 200],
      ['v1/subjects', 200],
      ['v1/meters/nothing_here', 404],
    ] as const) {
      const headers = { authorization: `Bearer ${acme.api_key}` }
      const answer = await ingest.send({ path: `/compat/openmeter/api/${path}`, method: 'HEAD', headers })
      expect([answer.status, answer.body]).toEqual([status, ''])
    }
  })

  test('a suspended tenant is let in nowhere', async () => {
    await setStatus(globex, 'suspended')
    await expect.poll(async () => (await refused(other.meters.list())).status, whenHeard).toBe(403)
  })
})
