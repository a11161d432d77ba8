// Customers that go by several names in events, as the package of OpenMeter has them, against the ingest process.
import { HTTPError, OpenMeter } from '@openmeter/sdk'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId } from '@/libs/ids'
import { type IngestProcess, startIngestProcess } from '../support/ingest-process'
import { known, refusedBy } from '../support/refused'
import { asSuperuser, createWorld } from '../support/world'

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

const refused = (work: Promise<unknown>) => refusedBy(HTTPError, work)
/** The package says that a question asked by POST may be answered as text. */
const asked = async (work: Promise<unknown>): Promise<{ value: number }[]> =>
  ((await work) as { data: { value: number }[] }).data
let made = 0
const createMeter = (aggregation: 'SUM' | 'COUNT' | 'UNIQUE_COUNT' | 'LATEST' | 'AVG' | 'MAX' = 'SUM') => {
  made += 1
  return known(
    openmeter.meters.create({
      slug: `calls_${made}`,
      eventType: `call-${made}`,
      aggregation,
      ...(aggregation === 'COUNT' ? {} : { valueProperty: '$.tokens' }),
      groupBy: { model: '$.model' },
    }),
  )
}
/** A customer of two names that begin alike, and nobody else's. */
const createNamed = async (extra: Record<string, unknown> = {}) => {
  made += 1
  const [one, two] = [`${made}-one`, `${made}-two`]
  const customer = await known(
    openmeter.customers.create({
      key: `firm-${made}`,
      name: 'A firm',
      usageAttribution: { subjectKeys: [one, two] },
      ...extra,
    }),
  )
  return { customer, one, two, key: `firm-${made}` }
}

describe('a customer of several subjects', () => {
  test('is shown with them, found by its key and id, and listed by any of them', async () => {
    const { customer, one, two, key } = await createNamed({ currency: 'EUR' })
    expect(customer).toMatchObject({ key, currency: 'EUR', usageAttribution: { subjectKeys: [one, two] } })
    expect(await openmeter.customers.get(key)).toEqual(customer)
    expect(await openmeter.customers.get(customer.id)).toEqual(customer)
    expect((await openmeter.customers.list({ subject: two }))?.items).toEqual([customer])
    expect((await openmeter.customers.list({ key }))?.items).toEqual([customer])
    expect((await other.customers.list({ subject: two }))?.items).toEqual([])
  })

  test('has the usage of all of them, and each of them its own', async () => {
    const { slug, eventType: type } = await createMeter()
    const { customer, one, two, key } = await createNamed()
    const lone = `lone-${newId()}`
    const sent = (subject: string, tokens: number, model = 'm') => ({ type, subject, data: { tokens, model } })
    await openmeter.events.ingest([sent(one, 5), sent(two, 7, 'n'), sent(one, 1), sent(key, 100), sent(lone, 1_000)])
    const total = async (query: Parameters<OpenMeter['meters']['query']>[1]) =>
      (await known(openmeter.meters.query(slug, query))).data.map(({ subject, value, customerId }) => ({
        subject,
        value,
        customerId,
      }))
    expect(await total({ subject: [one] })).toEqual([{ subject: one, value: 6, customerId: customer.id }])
    expect(await total({ subject: [one, two] })).toEqual([
      { subject: one, value: 6, customerId: customer.id },
      { subject: two, value: 7, customerId: customer.id },
    ])
    expect(await total({ filterCustomerId: [customer.id] })).toMatchObject([{ value: 113 }])
    expect((await total({ groupBy: ['subject'] })).map(({ subject, value }) => [subject, value])).toEqual(
      expect.arrayContaining([
        [one, 6],
        [two, 7],
        [key, 100],
        [lone, 1_000],
      ]),
    )
    expect((await total({ groupBy: ['customer_id'] })).map(({ value }) => value).sort()).toEqual([1_000, 113])
    const days = await known(
      openmeter.meters.query(slug, {
        subject: [two],
        groupBy: ['model'],
        windowSize: 'DAY',
        filterGroupBy: { model: 'n' },
      }),
    )
    expect(days.data).toMatchObject([{ subject: two, value: 7, groupBy: { model: 'n' } }])
    const subjects = await ingest.send({
      method: 'GET',
      path: `/compat/openmeter/api/v1/meters/${slug}/subjects`,
      headers: { authorization: `Bearer ${acme.api_key}` },
    })
    expect(subjects.body).toEqual([key, one, two, lone].sort())
    const listed = await known(openmeter.events.list({ subject: two }))
    expect(listed.map(({ event, customerId }) => [event.subject, event.data, customerId])).toEqual([
      [two, { tokens: 7, model: 'n' }, customer.id],
    ])
    expect(await openmeter.events.list({ customerId: [customer.id] })).toHaveLength(4)
  })

  test('is counted by every aggregation, under each name', async () => {
    const { one, two } = await createNamed()
    const values = [3, 1, 4, 1]
    const expected = { COUNT: 4, UNIQUE_COUNT: 3, LATEST: 1, AVG: 2.25, MAX: 4, SUM: 9 } as const
    for (const [aggregation, value] of Object.entries(expected)) {
      const { slug, eventType: type } = await createMeter(aggregation as keyof typeof expected)
      for (const [index, tokens] of values.entries())
        await openmeter.events.ingest({
          type,
          subject: two,
          time: new Date(Date.now() - 10_000 + index * 1_000),
          data: { tokens: aggregation === 'UNIQUE_COUNT' ? String(tokens) : tokens },
        })
      await openmeter.events.ingest({ type, subject: one, data: { tokens: aggregation === 'UNIQUE_COUNT' ? 'x' : 50 } })
      expect((await openmeter.meters.query(slug, { subject: [two] })).data).toMatchObject([{ subject: two, value }])
    }
  })

  test('is entitled as one', async () => {
    const { slug, eventType: type } = await createMeter()
    const { one, two, key } = await createNamed()
    const feature = await known(openmeter.features.create({ key: `calls_of_${made}`, name: 'Calls', meterSlug: slug }))
    await openmeter.customers.entitlements.create(key, {
      type: 'metered',
      featureKey: feature.key,
      issueAfterReset: 10,
      usagePeriod: { interval: 'MONTH' },
    })
    await openmeter.events.ingest([
      { type, subject: one, data: { tokens: 4 } },
      { type, subject: two, data: { tokens: 5 } },
    ])
    expect(await openmeter.customers.entitlements.value(key, feature.key)).toMatchObject({
      hasAccess: true,
      balance: 1,
      usage: 9,
    })
    expect(await openmeter.customers.entitlements.value(two, feature.key)).toMatchObject({ usage: 9 })
  })

  test('takes over what its events left before it was made, and is made anew after it was deleted', async () => {
    const { slug, eventType: type } = await createMeter()
    const [first, second] = [`early-${newId()}`, `early-${newId()}`]
    await openmeter.events.ingest({ type, subject: first, data: { tokens: 3 } })
    const customer = await known(
      openmeter.customers.create({
        key: `late-${first}`,
        name: 'Late',
        usageAttribution: { subjectKeys: [first, second] },
      }),
    )
    expect(customer).toMatchObject({
      key: `late-${first}`,
      name: 'Late',
      usageAttribution: { subjectKeys: [first, second] },
    })
    expect(await openmeter.customers.get(`late-${first}`)).toEqual(customer)
    await openmeter.events.ingest({ type, subject: second, data: { tokens: 4 } })
    expect((await openmeter.meters.query(slug, { filterCustomerId: [customer.id] })).data).toMatchObject([{ value: 7 }])
    expect((await openmeter.meters.query(slug, { subject: [first] })).data).toMatchObject([{ value: 3 }])
    await openmeter.customers.delete(customer.key ?? '')
    expect(await openmeter.customers.get(customer.id)).toMatchObject({ deletedAt: expect.any(Date) })
    expect(
      await openmeter.customers.create({ key: second, name: 'Another', usageAttribution: { subjectKeys: [second] } }),
    ).toMatchObject({ key: second, usageAttribution: { subjectKeys: [second] } })
    expect(await openmeter.customers.create({ key: first, name: 'Again' })).toMatchObject({ key: first, name: 'Again' })
  })

  test('shares no name with another, and keeps its own through changes', async () => {
    const { one, two, key } = await createNamed()
    for (const body of [
      { key, name: 'x' },
      { key: one, name: 'x' },
      { name: 'x', usageAttribution: { subjectKeys: [two] } },
      { key: `new-${key}`, name: 'x', usageAttribution: { subjectKeys: [`new-${key}`, one] } },
    ])
      expect((await refused(openmeter.customers.create(body))).status).toBe(409)
    for (const body of [
      { name: 'x' },
      { name: 'x', usageAttribution: { subjectKeys: [] } },
      { name: 'x', usageAttribution: { subjectKeys: [''] } },
      { name: 'x', usageAttribution: { subjectKeys: ['a', 'a'] } },
      { name: 'x', key: 'bad\u0000key' },
    ])
      expect((await refused(openmeter.customers.create(body))).status).toBe(400)
    const changed = await openmeter.customers.update(key, {
      name: 'Renamed',
      usageAttribution: { subjectKeys: [two, 'third'] },
    })
    expect(changed).toMatchObject({ key, name: 'Renamed', usageAttribution: { subjectKeys: [two, 'third'] } })
    expect(await openmeter.customers.update(key, { name: 'Renamed again' })).toMatchObject({
      usageAttribution: { subjectKeys: [two, 'third'] },
    })
    expect((await refused(openmeter.customers.update(key, { key: 'elsewhere', name: 'x' }))).status).toBe(400)
    expect(await openmeter.customers.create({ key: one, name: 'Free again' })).toMatchObject({ key: one })
    const none = await openmeter.customers.create({
      key: `bare-${key}`,
      name: 'x',
      usageAttribution: { subjectKeys: [] },
    })
    expect(none).toMatchObject({ usageAttribution: { subjectKeys: [] } })
    expect(await openmeter.customers.update(`bare-${key}`, { name: 'y' })).toMatchObject({
      name: 'y',
      usageAttribution: { subjectKeys: [] },
    })
  })

  test('is listed as a subject under each name, and one that is deleted leaves it the others', async () => {
    const { customer, one, two, key } = await createNamed()
    const subjects = async () =>
      (await known(openmeter.subjects.list())).filter(({ id }) => id === customer.id).map((subject) => subject.key)
    expect(await subjects()).toEqual([one, two])
    await openmeter.subjects.delete(one)
    expect(await subjects()).toEqual([two])
    expect((await refused(openmeter.subjects.get(one))).status).toBe(404)
    expect(await openmeter.customers.get(key)).toMatchObject({ usageAttribution: { subjectKeys: [two] } })
    await openmeter.subjects.delete(two)
    expect((await known(openmeter.customers.get(key))).deletedAt).toBeInstanceOf(Date)
    // Without a key its first name is the one its usage is counted under.
    const names = [`first-${newId()}`, `second-${newId()}`] as const
    await openmeter.customers.create({ name: 'Two names', usageAttribution: { subjectKeys: [...names] } })
    expect((await refused(openmeter.subjects.delete(names[0]))).status).toBe(400)
    await openmeter.subjects.delete(names[1])
    expect((await known(openmeter.subjects.get(names[0]))).key).toBe(names[0])
  })

  test('all subjects are listed, however many there are', async () => {
    await asSuperuser(
      `insert into customers (tenant_id, id, external_id) select $1, gen_random_uuid(), 'many-' || n from generate_series(1, 10500) n`,
      [globex.id],
    )
    const keys = (await known(other.subjects.list())).map(({ key }) => key).filter((key) => key.startsWith('many-'))
    expect(new Set(keys).size).toBe(10_500)
  })

  test('lists are in the order that is asked for', async () => {
    const names = ['B', 'C', 'A'].map((name) => `Order ${name} ${newId()}`)
    for (const name of names) await openmeter.customers.create({ key: name.replaceAll(' ', '-'), name })
    const listed = async (query: Parameters<OpenMeter['customers']['list']>[0]) =>
      (await known(openmeter.customers.list({ key: 'Order-', ...query }))).items.map(({ name }) => name)
    expect(await listed({})).toEqual(names)
    expect(await listed({ orderBy: 'name' })).toEqual([...names].sort())
    expect(await listed({ orderBy: 'createdAt', order: 'DESC', pageSize: 2 })).toEqual([names[2], names[1]])
    const odd = { orderBy: 'colour' } as unknown as Parameters<OpenMeter['customers']['list']>[0]
    expect((await refused(openmeter.customers.list(odd))).status).toBe(400)
  })
})

describe('events of the second version', () => {
  test('are filtered and walked page by page', async () => {
    const { eventType: type } = await createMeter()
    const source = `scan-${newId()}`
    const ids = Array.from({ length: 25 }, (_, index) => `e-${index}`)
    await openmeter.events.ingest(ids.map((id) => ({ id, source, type, subject: `s-${id}`, data: { tokens: 1 } })))
    await openmeter.events.ingest({ id: 'unheard', source, type: 'no.such.type', subject: 's', data: {} })
    const walked: string[] = []
    let cursor: string | undefined
    let pages = 0
    do {
      const page = await known(
        openmeter.events.listV2({
          limit: 7,
          filter: JSON.stringify({ source: { $eq: source } }),
          ...(cursor === undefined ? {} : { cursor }),
        }),
      )
      walked.push(...page.items.map(({ event }) => event.id ?? ''))
      cursor = page.nextCursor
      pages += 1
    } while (cursor !== undefined && pages < 20)
    expect(walked.sort()).toEqual([...ids, 'unheard'].sort())
    const found = async (filter: Record<string, unknown>) =>
      (
        await known(openmeter.events.listV2({ filter: JSON.stringify({ source: { $eq: source }, ...filter }) }))
      ).items.map(({ event }) => event.id)
    expect(await found({ id: { $eq: 'e-3' } })).toEqual(['e-3'])
    expect((await found({ subject: { $in: ['s-e-1', 's-e-2'] } })).sort()).toEqual(['e-1', 'e-2'])
    expect(await found({ type: { $eq: 'no.such.type' } })).toEqual(['unheard'])
    expect(await found({ subject: { $ilike: 'S-E-2%' }, id: { $ne: 'e-2' } })).toHaveLength(5)
    expect(await found({ ingestedAt: { $gt: new Date(Date.now() + 60_000) } })).toEqual([])
    const [before, after] = [new Date(Date.now() - 600_000), new Date(Date.now() + 600_000)]
    expect(await found({ time: { $and: [{ $gte: before }, { $lt: after }] } })).toHaveLength(26)
    expect(await found({ time: { $or: [{ $lt: before }, { $gt: after }] } })).toEqual([])
    const wrong = async (filter: string) => {
      const { status, message } = await refused(openmeter.events.listV2({ filter }))
      return [status, message]
    }
    expect(await wrong('{')).toEqual([400, expect.stringContaining('/filter: must be the text of JSON')])
    expect(await wrong('{"colour":{}}')).toEqual([400, expect.stringContaining('/filter/colour: is not a known field')])
    expect((await refused(openmeter.events.listV2({ cursor: 'x' }))).status).toBe(400)
    expect((await known(other.events.listV2({}))).items).toEqual([])
  })

  test('what few events are is found however many others there are', async () => {
    await other.meters.create({ slug: 'many', eventType: 'many', aggregation: 'COUNT' })
    const send = (events: { type: string; id: string }[]) =>
      other.events.ingest(events.map((event) => ({ ...event, source: 'scan', subject: 'one', data: {} })))
    await send([{ type: 'seldom', id: 'first' }])
    await send([{ type: 'many', id: 'wanted' }])
    for (let batch = 0; batch < 11; batch += 1)
      await send(Array.from({ length: 1_000 }, (_, index) => ({ type: 'many', id: `${batch} ${index}` })))
    for (const filter of [{ id: { $in: ['wanted'] } }, { type: { $eq: 'seldom' } }]) {
      const found: unknown[] = []
      let cursor: string | undefined
      for (let page = 0; page === 0 || (cursor !== undefined && page < 5); page += 1) {
        const { items, nextCursor } = await known(
          other.events.listV2({ filter: JSON.stringify(filter), ...(cursor === undefined ? {} : { cursor }) }),
        )
        found.push(...items.map(({ event }) => event.id))
        cursor = nextCursor
      }
      expect([found, cursor]).toEqual([['type' in filter ? 'first' : 'wanted'], undefined])
    }
  })
})

describe('queries', () => {
  test('without an end have what was taken in a little ahead of its time, and may end within a minute', async () => {
    const { slug, eventType: type } = await createMeter()
    const subject = `early-${newId()}`
    const [early, late] = [new Date(Date.now() + 200_000), new Date(Date.now() - 61_000)]
    await openmeter.events.ingest({ type, subject, time: early, data: { tokens: 4, model: 'm' } })
    await openmeter.events.ingest({ type, subject, time: late, data: { tokens: 1, model: 'm' } })
    expect((await openmeter.meters.query(slug)).data).toMatchObject([{ value: 5 }])
    expect(await openmeter.meters.listGroupByValues(slug, 'model')).toEqual(['m'])
    const { id } = await known(openmeter.subjects.get(subject))
    expect(await openmeter.meters.listGroupByValues(slug, 'customer_id')).toEqual([id])
    for (const windowSize of ['MINUTE', 'HOUR'] as const) {
      const to = new Date(late.getTime() + 1)
      expect((await openmeter.meters.query(slug, { windowSize, to })).data).toMatchObject([{ value: 1 }])
    }
  })

  test('windows are told whole, however much of them was asked for', async () => {
    const { slug, eventType: type } = await createMeter()
    await openmeter.events.ingest({ type, subject: 'w', time: new Date(Date.now() - 1_000), data: { tokens: 1 } })
    for (const [windowSize, length] of [
      ['MINUTE', 60_000],
      ['HOUR', 3_600_000],
      ['DAY', 86_400_000],
    ] as const)
      for (const range of [{}, { from: new Date(Date.now() - 30_000), to: new Date() }]) {
        const { data } = await known(openmeter.meters.query(slug, { windowSize, ...range }))
        const [row] = data
        expect(row).toMatchObject({ value: 1 })
        const [start, end] = [row?.windowStart.getTime() ?? 0, row?.windowEnd.getTime() ?? 0]
        expect([windowSize, end - start, start % length]).toEqual([windowSize, length, 0])
      }
    const { data } = await known(
      openmeter.meters.query(slug, { windowSize: 'MONTH', windowTimeZone: 'America/New_York' }),
    )
    expect(data[0]?.windowStart.toLocaleString('en-GB', { timeZone: 'America/New_York' })).toMatch(/^01\/.*00:00:00$/)
    const list = { limit: 0 }
    expect((await refused(openmeter.events.list(list))).message).toContain('/limit')
  })

  test('filter groups in every way that can be asked, and answer as CSV', async () => {
    const { slug, eventType: type } = await createMeter()
    await openmeter.events.ingest(
      ['gpt-4', 'gpt-4o', 'o1'].map((model, index) => ({ type, subject: 'q', data: { model, tokens: 10 ** index } })),
    )
    await openmeter.events.ingest({ type, subject: 'r', data: { model: 'a\rb', tokens: 0 } })
    const sum = async (filter: Record<string, object>) =>
      (await asked(openmeter.meters.queryPost(slug, { advancedMeterGroupByFilters: filter }))).reduce(
        (all, { value }) => all + value,
        0,
      )
    expect(await sum({ model: { $in: ['gpt-4', 'o1'] } })).toBe(101)
    expect(await sum({ model: { $like: 'gpt%' } })).toBe(11)
    expect(await sum({ model: { $ne: 'o1', $nin: ['gpt-4'] } })).toBe(10)
    expect(await sum({ model: { $or: [{ $eq: 'o1' }, { $eq: 'gpt-4o' }] } })).toBe(110)
    expect(
      (await refused(openmeter.meters.queryPost(slug, { advancedMeterGroupByFilters: { model: { $ilike: 'x' } } })))
        .status,
    ).toBe(400)
    expect(
      (await refused(openmeter.meters.queryPost(slug, { advancedMeterGroupByFilters: { colour: { $eq: 'x' } } })))
        .status,
    ).toBe(400)
    const asCsv = (query: string) =>
      ingest.send({
        method: 'GET',
        path: `/compat/openmeter/api/v1/meters/${slug}/query?${query}`,
        headers: { authorization: `Bearer ${acme.api_key}`, accept: 'text/csv' },
      })
    const answer = await asCsv('groupBy=model&groupBy=subject&groupBy=customer_id')
    expect(answer).toMatchObject({ status: 200, headers: { 'content-type': 'text/csv; charset=utf-8' } })
    const [head, ...lines] = String(answer.body).trimEnd().split('\n')
    expect(head).toBe('window_start,window_end,subject,model,customer_id,value')
    expect(lines.find((line) => line.includes(',r,'))).toMatch(/,r,"a\rb",[0-9a-f-]{36},0$/)
    const nothing = await asCsv('groupBy=model&subject=nobody&from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z')
    expect(nothing.body).toBe('window_start,window_end,subject,model,value\n')
  })
})
