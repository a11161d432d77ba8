// What was counted by mistake is taken back or replaced: every running total, balance and set of values moves with it, once.
import { beforeAll, describe, expect, test } from 'vitest'
import { POST as correctRoute } from '@/app/api/v1/usage/correct/route'
import { POST as trackRoute } from '@/app/api/v1/usage/track/route'
import { tenantQuery } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'
import { insertMeters, type TestMeter } from '../support/meters'
import {
  type Answer,
  asSuperuser,
  asSystem,
  call,
  createApiKey,
  createTenant,
  createWorld,
  type RequestOptions,
} from '../support/world'

const { acme, globex, stranger } = await createWorld()
const BERLIN = 'Europe/Berlin'
const initech = await createTenant('initech', { time_zone: BERLIN })

const METERS: readonly TestMeter[] = [
  { slug: 'sum', aggregation: 'SUM', group_by: ['region'] },
  { slug: 'count', aggregation: 'COUNT', group_by: ['region', 'plan'] },
  { slug: 'unique', aggregation: 'UNIQUE_COUNT', value_property: 'device' },
  { slug: 'min', aggregation: 'MIN', group_by: ['region'] },
  { slug: 'max', aggregation: 'MAX', group_by: ['region'] },
  { slug: 'avg', aggregation: 'AVG', value_property: 'ms' },
  { slug: 'latest', aggregation: 'LATEST', group_by: ['region'] },
  { slug: 'level', aggregation: 'WEIGHTED_SUM' },
  { slug: 'paid', aggregation: 'SUM', filter: { property: 'region', operator: 'eq', value: 'eu' } },
]

const arrange = (tenant: { id: string }): Promise<void> => asSystem(tenant, () => insertMeters(METERS))

const track = (body: unknown, as = acme.api_key): Promise<Answer> =>
  call(trackRoute, 'POST', '/api/v1/usage/track', { as, body })
const correct = (body: unknown, options: RequestOptions & { query?: string } = { as: acme.api_key }): Promise<Answer> =>
  call(correctRoute, 'POST', `/api/v1/usage/correct${options.query ?? ''}`, { ...options, body })
const drift = (tenant: { id: string }, zone = 'UTC') =>
  asSystem(tenant, () =>
    tenantQuery<{ table_name: string }>(
      'select * from app.find_usage_drift($1, $2, null, null) where table_name is not null',
      [tenant.id, zone],
    ),
  )
async function used(user: string, meter: string, period = 'month'): Promise<{ used: string; events: string }[]> {
  return asSuperuser(
    `select trim_scale(k.used)::text as used, k.events::text from usage_counters k join meters m on m.tenant_id = k.tenant_id and m.id = k.meter_id
     join customers c on c.tenant_id = k.tenant_id and c.id = k.customer_id
     where k.tenant_id = $1 and c.external_id = $2 and m.slug = $3 and k.period = $4 order by k.starts_on`,
    [acme.id, user, meter, period],
  )
}
let made = 0
const name = (prefix: string): string => `${prefix}-${++made}`

beforeAll(async () => {
  await arrange(acme)
  await arrange(initech)
})

describe('who may', () => {
  test.each([
    ['nobody', { tenant: acme }, 401],
    ['a stranger', { as: stranger, tenant: acme }, 404],
    ['a member of another tenant', { as: globex.users.owner, tenant: acme }, 404],
    ['a customer', { as: acme.users.customer, tenant: acme }, 403],
    ['a member', { as: acme.users.member, tenant: acme }, 403],
    ['a compliance officer', { as: acme.users.compliance, tenant: acme }, 403],
    ['an admin', { as: acme.users.admin, tenant: acme }, 200],
  ] as [string, RequestOptions, number][])('%s: %s', async (_who, options, status) => {
    expect((await correct({ action: 'cancel', event_id: 'nothing' }, options)).status).toBe(status)
  })
  test('a key that may only read: 403', async () => {
    const { key } = await createApiKey(acme, ['usage:read'])
    expect((await correct({ action: 'cancel', event_id: 'nothing' }, { as: key })).status).toBe(403)
  })
  test('the events of another tenant are not there', async () => {
    const event_id = name('theirs')
    await track({ meter_id: 'sum', user_id: 'x', event_id }, initech.api_key)
    expect((await correct({ action: 'cancel', event_id })).body.rejected).toMatchObject([{ code: 'not_found' }])
  })
})

describe('cancel', () => {
  test('takes the event back everywhere, once', async () => {
    const [user, event_id] = [name('user'), name('event')]
    await track([
      { meter_id: 'sum', user_id: user, event_value: '2.5', event_id, properties: { region: 'eu' } },
      { meter_id: 'sum', user_id: user, event_value: 4 },
    ])
    const first = await correct({ action: 'cancel', event_id, reason: 'Sent by a test machine' })
    expect(first).toMatchObject({
      status: 200,
      body: {
        corrected: 1,
        duplicates: 0,
        rejected: [],
        results: [{ index: 0, status: 'canceled', replaced_by: null }],
      },
    })
    expect(await used(user, 'sum')).toEqual([{ used: '4', events: '1' }])
    expect(await used(user, 'sum', 'day')).toEqual([{ used: '4', events: '1' }])
    const again = await correct({ action: 'cancel', event_id })
    expect(again.body).toMatchObject({ corrected: 0, duplicates: 1, results: [{ status: 'duplicate' }] })
    expect(await used(user, 'sum')).toEqual([{ used: '4', events: '1' }])
    // Sending it again is still sending it again.
    const resent = await track({
      meter_id: 'sum',
      user_id: user,
      event_value: '2.5',
      event_id,
      properties: { region: 'eu' },
    })
    expect(resent.body.inserted).toBe(0)
    expect(await drift(acme)).toEqual([])
  })
  test('the compensating row repeats the event and names it', async () => {
    const [user, event_id] = [name('user'), name('event')]
    await track({
      meter_id: 'max',
      user_id: user,
      event_value: 7,
      event_id,
      source: 'till',
      properties: { region: 'us' },
    })
    const { body } = await correct({ action: 'cancel', event_id, source: 'till' })
    const [result] = body.results
    const rows = await asSuperuser(
      'select weight, value::text, event_id, source, properties, corrects from usage_events where tenant_id = $1 and (id = $2 or corrects = $2) order by weight',
      [acme.id, result.id],
    )
    expect(rows).toEqual([
      { weight: -1, value: '7', event_id, source: 'till', properties: { region: 'us' }, corrects: result.id },
      { weight: 1, value: '7', event_id, source: 'till', properties: { region: 'us' }, corrects: null },
    ])
    expect(await used(user, 'max')).toEqual([{ used: '0', events: '0' }])
  })
  test('by the id of the event here', async () => {
    const user = name('user')
    await track({ meter_id: 'count', user_id: user })
    const [row] = await asSuperuser<{ id: string }>(
      'select e.id from usage_events e join customers c on c.tenant_id = e.tenant_id and c.id = e.customer_id where e.tenant_id = $1 and external_id = $2',
      [acme.id, user],
    )
    expect((await correct({ action: 'cancel', id: row?.id })).body.corrected).toBe(1)
    expect(await used(user, 'count')).toEqual([{ used: '0', events: '0' }])
  })
  test('an event that did not pass the filter is taken back without moving anything', async () => {
    const [user, event_id] = [name('user'), name('event')]
    await track({ meter_id: 'paid', user_id: user, event_value: 3, event_id, properties: { region: 'us' } })
    expect((await correct({ action: 'cancel', event_id })).body.corrected).toBe(1)
    expect(await used(user, 'paid')).toEqual([])
    expect(await drift(acme)).toEqual([])
  })
  test('many at once cancel an event once', async () => {
    const [user, event_id] = [name('user'), name('event')]
    await track({ meter_id: 'sum', user_id: user, event_value: 9, event_id })
    const answers = await Promise.all(Array.from({ length: 8 }, () => correct({ action: 'cancel', event_id })))
    expect(answers.map(({ body }) => body.corrected).sort()).toEqual([0, 0, 0, 0, 0, 0, 0, 1])
    expect(await used(user, 'sum')).toEqual([{ used: '0', events: '0' }])
  })
  test('is on record with who, what and why', async () => {
    const event_id = name('event')
    await track({ meter_id: 'sum', user_id: 'recorded', event_value: 5, event_id })
    const { body } = await correct(
      { action: 'cancel', event_id, reason: 'Twice' },
      { as: acme.users.admin, tenant: acme },
    )
    const logged = await asSuperuser(
      `select l.action, l.actor_id, d.before ->> 'event_value' as value, d.after, d.metadata ->> 'reason' as reason from audit_logs l
       join audit_details d using (tenant_id, id) where l.tenant_id = $1 and l.target_id = $2`,
      [acme.id, body.results[0].id],
    )
    expect(logged).toEqual([
      { action: 'usage.corrected', actor_id: acme.users.admin.id, value: '5', after: null, reason: 'Twice' },
    ])
  })
  test('what a customer has left comes back', async () => {
    const [user, event_id] = [name('user'), name('event')]
    await track({ meter_id: 'sum', user_id: user, event_value: 0 })
    await asSystem(acme, () =>
      tenantQuery(
        `select app.add_grant($1, 'UTC', now(), $2, c.id, m.id, 10, 1, now(), null, null, 0, 0, null)
         from customers c, meters m where c.tenant_id = $1 and m.tenant_id = $1 and c.external_id = $3 and m.slug = 'sum'`,
        [acme.id, newId(), user],
      ),
    )
    const balance = () =>
      asSuperuser(
        `select trim_scale(b.used)::text as used, trim_scale(b.granted + b.overage - b.used)::text as balance from balances b
         join customers c on c.tenant_id = b.tenant_id and c.id = b.customer_id where b.tenant_id = $1 and c.external_id = $2`,
        [acme.id, user],
      )
    const [before] = await balance()
    await track({ meter_id: 'sum', user_id: user, event_value: 4, event_id })
    expect(await balance()).not.toEqual([before])
    await correct({ action: 'cancel', event_id })
    expect(await balance()).toEqual([before])
    expect(await drift(acme)).toEqual([])
  })
})

describe('amend', () => {
  test('an event may ask for less, also of whoever is past a cap by now; for more it may not', async () => {
    const tenant = await createTenant(name('lowered'))
    await asSystem(tenant, () => insertMeters(METERS))
    const as = tenant.api_key
    const tier = (limit: number) =>
      asSuperuser(
        `with t as (insert into tiers (tenant_id, id, slug, name, is_default) select $1, gen_random_uuid(), 'only', 'Only', true
           where not exists (select from tiers where tenant_id = $1) returning id),
         c as (insert into tier_caps (tenant_id, id, tier_id, meter_id, cap_limit, behaviour)
           select $1, gen_random_uuid(), t.id, m.id, $2, 'reject' from t, meters m where m.tenant_id = $1 and m.slug = 'sum')
         update tier_caps set cap_limit = $2 where tenant_id = $1`,
        [tenant.id, limit],
      )
    await tier(100)
    for (const [event_id, event_value] of [
      ['one', 50],
      ['two', 30],
    ])
      await track({ meter_id: 'sum', user_id: 'a', event_value, event_id }, as)
    await tier(20)
    expect((await correct({ action: 'amend', event_id: 'two', event_value: 5 }, { as })).body).toMatchObject({
      results: [{ status: 'amended' }],
      rejected: [],
    })
    expect((await correct({ action: 'amend', event_id: 'two', event_value: 6 }, { as })).body).toMatchObject({
      results: [],
      rejected: [{ code: 'usage_exceeded' }],
    })
    expect(await drift(tenant)).toEqual([])
  })

  test('replaces the event; the same again changes nothing; the next amendment builds on it', async () => {
    const [user, event_id] = [name('user'), name('event')]
    await track({ meter_id: 'sum', user_id: user, event_value: 100, event_id, properties: { region: 'eu' } })
    const first = await correct({ action: 'amend', event_id, event_value: 10 })
    expect(first.body).toMatchObject({ corrected: 1, results: [{ status: 'amended' }] })
    expect(await used(user, 'sum')).toEqual([{ used: '10', events: '1' }])
    expect((await correct({ action: 'amend', event_id, event_value: '10.0' })).body).toMatchObject({
      corrected: 0,
      duplicates: 1,
    })
    await correct({ action: 'amend', event_id, properties: { region: 'us' } })
    await correct({ action: 'amend', event_id, event_value: 100 })
    expect(await used(user, 'sum')).toEqual([{ used: '100', events: '1' }])
    const groups = await asSuperuser(
      `select g.group_values ->> 'region' as region, trim_scale(g.used)::text as used, g.events::text from usage_groups g
       join customers c on c.tenant_id = g.tenant_id and c.id = g.customer_id where g.tenant_id = $1 and c.external_id = $2 order by 1`,
      [acme.id, user],
    )
    expect(groups).toEqual([
      { region: 'eu', used: '0', events: '0' },
      { region: 'us', used: '100', events: '1' },
    ])
    expect((await correct({ action: 'cancel', event_id })).body.corrected).toBe(1)
    expect((await correct({ action: 'cancel', event_id })).body.duplicates).toBe(1)
    expect((await correct({ action: 'amend', event_id, event_value: 1 })).body.rejected).toMatchObject([
      { code: 'canceled' },
    ])
    expect(await used(user, 'sum')).toEqual([{ used: '0', events: '0' }])
    expect(await drift(acme)).toEqual([])
  })
  test('may move it to another meter, customer and time', async () => {
    const [user, other, event_id] = [name('user'), name('other'), name('event')]
    await track({ meter_id: 'sum', user_id: user, event_value: 3, event_id })
    const timestamp = new Date(Date.now() - 5 * 86_400_000).toISOString()
    const answer = await correct({ action: 'amend', event_id, meter_id: 'max', user_id: other, timestamp })
    expect(answer.body).toMatchObject({ corrected: 1, rejected: [] })
    expect(await used(user, 'sum')).toEqual([{ used: '0', events: '0' }])
    expect(await used(other, 'max')).toEqual([{ used: '3', events: '1' }])
    expect(await drift(acme)).toEqual([])
  })
})

describe('what is wrong', () => {
  const event_id = 'problems'
  beforeAll(async () => {
    await track({ meter_id: 'sum', user_id: 'problems', event_value: 5, event_id })
  })
  test.each([
    [null, 'invalid_correction'],
    ['cancel', 'invalid_correction'],
    [{ event_id }, 'invalid_action'],
    [{ action: 'undo', event_id }, 'invalid_action'],
    [{ action: 'cancel' }, 'invalid_event_id'],
    [{ action: 'cancel', event_id, id: newId() }, 'invalid_event_id'],
    [{ action: 'cancel', event_id: '' }, 'invalid_event_id'],
    [{ action: 'cancel', event_id: null }, 'invalid_event_id'],
    [{ action: 'cancel', event_id: null, id: null }, 'invalid_event_id'],
    [{ action: 'cancel', event_id: { a: 1 } }, 'invalid_event_id'],
    [{ action: 'cancel', id: 'x' }, 'invalid_id'],
    [{ action: 'cancel', event_id, source: 5 }, 'invalid_source'],
    [{ action: 'cancel', event_id, reason: '' }, 'invalid_reason'],
    [{ action: 'cancel', event_id, event_value: 1 }, 'unknown_field'],
    [{ action: 'amend', event_id, colour: 'red' }, 'unknown_field'],
    [{ action: 'cancel', event_id, source: 'elsewhere' }, 'not_found'],
    [{ action: 'cancel', id: newId() }, 'not_found'],
    [{ action: 'amend', event_id }, 'unchanged'],
    [{ action: 'amend', event_id, event_value: 5 }, 'unchanged'],
    [{ action: 'amend', event_id, event_value: '5.00', user_id: 'problems', meter_id: 'sum' }, 'unchanged'],
    [{ action: 'amend', event_id, event_value: 'NaN' }, 'invalid_value'],
    [{ action: 'amend', event_id, event_value: null }, 'invalid_value'],
    [{ action: 'amend', event_id, event_value: '9'.repeat(400) }, 'invalid_value'],
    [{ action: 'amend', event_id, timestamp: 'yesterday' }, 'invalid_timestamp'],
    [{ action: 'amend', event_id, timestamp: null }, 'invalid_timestamp'],
    [{ action: 'amend', event_id, timestamp: '2020-01-01T00:00:00Z' }, 'timestamp_too_old'],
    [{ action: 'amend', event_id, timestamp: new Date(Date.now() + 3_600_000).toISOString() }, 'timestamp_in_future'],
    [{ action: 'amend', event_id, properties: [] }, 'invalid_properties'],
    [{ action: 'amend', event_id, meter_id: 'no_such_meter' }, 'unknown_meter'],
    [{ action: 'amend', event_id, meter_id: 'unique' }, 'invalid_property'],
  ] as [unknown, string][])('%j: %s', async (item, code) => {
    const good = name('good')
    await track({ meter_id: 'sum', user_id: 'neighbour', event_id: good })
    const { status, body } = await correct([item, { action: 'cancel', event_id: good, id: null, source: null }])
    expect({ status, ...body }).toMatchObject({ status: 200, corrected: 1, rejected: [{ index: 0, code }] })
    expect(body.rejected[0].detail).toMatch(/\w/)
    expect(await used('problems', 'sum')).toEqual([{ used: '5', events: '1' }])
  })
  test('a correction cannot be corrected', async () => {
    const id = name('event')
    await track({ meter_id: 'sum', user_id: 'twice', event_id: id })
    const { body } = await correct({ action: 'cancel', event_id: id })
    const answer = await correct({ action: 'cancel', id: body.results[0].canceled_by })
    expect(answer.body.rejected).toMatchObject([{ code: 'is_correction' }])
  })
  test('strict: all or nothing', async () => {
    const good = name('good')
    await track({ meter_id: 'sum', user_id: 'strict', event_value: 2, event_id: good })
    const items = [
      { action: 'cancel', event_id: good },
      { action: 'cancel', event_id: 'nothing' },
    ]
    const answer = await correct(items, { as: acme.api_key, query: '?strict=true' })
    expect(answer).toMatchObject({
      status: 422,
      body: { code: 'invalid_input', errors: [{ pointer: '/1' }], rejected: [{ index: 1, code: 'not_found' }] },
    })
    expect(await used('strict', 'sum')).toEqual([{ used: '2', events: '1' }])
  })
  test('none, more than a hundred, not JSON, an unknown parameter', async () => {
    expect((await correct([])).status).toBe(422)
    expect((await correct(Array.from({ length: 101 }, () => ({ action: 'cancel', event_id: 'x' })))).status).toBe(422)
    expect(
      (await correct({ action: 'cancel', event_id: 'x' }, { as: acme.api_key, query: '?really=true' })).status,
    ).toBe(422)
  })
  test('an amendment over a hard cap is refused and the event stands', async () => {
    const [user, id] = [name('user'), name('event')]
    await track({ meter_id: 'sum', user_id: user, event_value: 5, event_id: id })
    await asSystem(acme, () =>
      tenantQuery(
        `insert into entitlements (id, customer_id, kind, feature_key, meter_id, cap_limit)
         select $2, c.id, 'metered', 'sum', m.id, 8 from customers c, meters m
         where c.tenant_id = $1 and m.tenant_id = $1 and c.external_id = $3 and m.slug = 'sum'`,
        [acme.id, newId(), user],
      ),
    )
    const refused = await correct({ action: 'amend', event_id: id, event_value: 9 })
    expect(refused.body.rejected).toMatchObject([{ index: 0, code: 'usage_exceeded', limit: 8 }])
    expect(await used(user, 'sum')).toEqual([{ used: '5', events: '1' }])
    expect((await correct({ action: 'amend', event_id: id, event_value: 8 })).body.corrected).toBe(1)
    expect(await used(user, 'sum')).toEqual([{ used: '8', events: '1' }])
  })
})

describe('any events, any corrections', () => {
  /** Repeatable numbers from a seed: failures can be looked at again. */
  function createRandom(seed: number) {
    let state = seed
    return (below: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return Math.floor((state / 2 ** 32) * below)
    }
  }
  type Sent = {
    id: string
    meter: string
    user: string
    value: number
    time: number
    region: string
    device: string
    gone: boolean
  }

  function expectedOf(meter: TestMeter, rows: readonly Sent[]): { used: string; events: string } {
    const values = rows.map(({ value }) => value)
    const last = rows.reduce<Sent | undefined>(
      (best, row) => (best === undefined || row.time > best.time ? row : best),
      undefined,
    )
    const sum = values.reduce((total, value) => total + value, 0)
    const amount: Record<string, number> = {
      COUNT: rows.length,
      UNIQUE_COUNT: new Set(rows.map(({ device }) => device)).size,
      MIN: Math.min(...values),
      MAX: Math.max(...values),
      LATEST: last?.value ?? 0,
    }
    return { used: String(rows.length === 0 ? 0 : (amount[meter.aggregation] ?? sum)), events: String(rows.length) }
  }

  test.each([11, 12, 13])('totals equal a plain model, and the events (%i)', async (seed) => {
    const random = createRandom(seed)
    const now = Date.now() - 60_000
    const sent: Sent[] = []
    const users = [`p${seed}-a`, `p${seed}-b`]
    for (let index = 0; index < 160; index += 1) {
      const meter = METERS[random(METERS.length)]?.slug ?? 'sum'
      sent.push({
        id: `p${seed}-${index}`,
        meter,
        user: users[random(2)] ?? '',
        value: random(40) - 5,
        // Distinct moments over five weeks, crowded around a few days.
        time: now - random(3) * 864_000_000 - random(48) * 3_600_000 - index * 1_000,
        region: ['eu', 'us', 'ap'][random(3)] ?? 'eu',
        device: `d${random(4)}`,
        gone: false,
      })
    }
    const toEvent = (row: Sent) => ({
      meter_id: row.meter,
      user_id: row.user,
      event_value: row.value,
      event_id: row.id,
      timestamp: row.time,
      properties: { region: row.region, device: row.device, plan: 'pro', ms: row.value },
    })
    for (let from = 0; from < sent.length; from += 40) {
      const { body } = await track(sent.slice(from, from + 40).map(toEvent), initech.api_key)
      expect(body).toMatchObject({ rejected: [] })
      const items = Array.from({ length: 12 }, () => {
        const row = sent[random(from + 40)]
        if (!row) throw new Error('There is such a row.')
        if (random(2) === 0) {
          row.gone = true
          return { action: 'cancel', event_id: row.id }
        }
        const change = { value: random(40) - 5, region: ['eu', 'us'][random(2)] ?? 'eu', device: `d${random(4)}` }
        if (!row.gone) Object.assign(row, change)
        const { event_value, properties } = toEvent({ ...row, ...change })
        return { action: 'amend', event_id: row.id, event_value, properties }
      })
      const answers = await Promise.all([items.slice(0, 6), items.slice(6)].map((part) => Promise.resolve(part)))
      for (const part of answers) {
        const { status, body: result } = await correct(part, { as: initech.api_key })
        expect(status).toBe(200)
        for (const { code } of result.rejected) expect(['canceled', 'unchanged']).toContain(code)
      }
    }
    for (const meter of METERS) {
      for (const user of users) {
        const rows = sent.filter(
          (row) =>
            row.meter === meter.slug &&
            row.user === user &&
            !row.gone &&
            (meter.slug !== 'paid' || row.region === 'eu'),
        )
        const days = new Map<string, Sent[]>()
        for (const row of rows) {
          const day = new Intl.DateTimeFormat('en-CA', { timeZone: BERLIN }).format(row.time)
          days.set(day, [...(days.get(day) ?? []), row])
        }
        const stored = await asSuperuser<{ day: string; used: string; events: string }>(
          `select k.starts_on::text as day, trim_scale(k.used)::text as used, k.events::text from usage_counters k
           join meters m on m.tenant_id = k.tenant_id and m.id = k.meter_id join customers c on c.tenant_id = k.tenant_id and c.id = k.customer_id
           where k.tenant_id = $1 and c.external_id = $2 and m.slug = $3 and k.period = 'day' and k.events > 0 order by 1`,
          [initech.id, user, meter.slug],
        )
        const expected = [...days].sort().map(([day, dayRows]) => ({ day, ...expectedOf(meter, dayRows) }))
        expect({ meter: meter.slug, user, days: stored }).toEqual({ meter: meter.slug, user, days: expected })
      }
    }
    expect(await drift(initech, BERLIN)).toEqual([])
  })
})
