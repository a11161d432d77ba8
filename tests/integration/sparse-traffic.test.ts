// One event and one question alone take a shorter way: whatever they meet, they come to what the statement for a crowd says.
import { beforeAll, describe, expect, test } from 'vitest'
import { DELETE as archiveCustomer } from '@/app/api/v1/customers/[id]/route'
import { PUT as putSubscription } from '@/app/api/v1/customers/[id]/subscription/route'
import { POST as postCustomer } from '@/app/api/v1/customers/route'
import { POST as postMeter } from '@/app/api/v1/meters/route'
import { POST as postTier } from '@/app/api/v1/tiers/route'
import { POST as track } from '@/app/api/v1/usage/track/route'
import { tenantQuery } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'
import { runInTenant, systemActor } from '@/libs/tenancy/tenant-context'
import { call, createTenant, createWorld } from '../support/world'

await createWorld()
const tenant = await createTenant('sparse', { time_zone: 'Asia/Kolkata' })

class RolledBack extends Error {
  readonly result: { answer: unknown; state: unknown }

  constructor(result: RolledBack['result']) {
    super('rolled back')
    this.result = result
  }
}

/** What a statement answers and leaves behind, undone afterwards. */
async function attempt(text: string, values: unknown[]): Promise<{ answer: unknown; state: unknown }> {
  try {
    await runInTenant(tenant.id, systemActor(), async () => {
      const [row] = await tenantQuery<{ value: unknown }>(text, values)
      const [state] = await tenantQuery<{ value: unknown }>(
        `select jsonb_build_object(
           'counters', (select jsonb_agg(to_jsonb(c) order by c.period, c.meter_id, c.starts_on, c.customer_id) from usage_counters c),
           'totals', (select jsonb_agg(to_jsonb(t) order by t.meter_id, t.day) from usage_totals t),
           'quarters', (select jsonb_agg(to_jsonb(q) order by q.meter_id, q.quarter) from usage_quarters q),
           'events', (select jsonb_agg(to_jsonb(e) - 'occurred_at' - 'received_at' order by e.id) from usage_events e)) as value`,
      )
      throw new RolledBack({ answer: row?.value, state: state?.value })
    })
  } catch (error) {
    if (error instanceof RolledBack) return error.result
    throw error
  }
  throw new Error('An attempt is always rolled back.')
}

type Event = { meter: string; user: string; value?: string; event_id?: string; properties?: string }
const many = (length: number) => Array.from({ length }, (_, index) => `$${index + 1}`).join(', ')

const quarterHour = () => Math.floor(Date.now() / 900_000)
const monthAt = (moment: number) => new Date(moment).toISOString().slice(0, 7)
/** For five minutes before and after a month ends in UTC, nothing is recorded the short way. */
const monthTurns = () => monthAt(Date.now() - 300_000) !== monthAt(Date.now() + 300_000)

/** Both ways, within one quarter of an hour and day of the tenant, so that they have the same to write. */
async function both(event: Event, enforce: boolean) {
  for (;;) {
    const began = quarterHour()
    const results = await bothOnce(event, enforce)
    if (began === quarterHour()) return results
  }
}

function bothOnce({ meter, user, value = '1', event_id, properties }: Event, enforce: boolean, zone = 'Asia/Kolkata') {
  const key = newId()
  return Promise.all([
    attempt(`select app.record_one(${many(11)}) as value`, [
      tenant.id,
      zone,
      meter,
      user,
      value,
      key,
      event_id ?? null,
      null,
      properties ?? null,
      true,
      enforce,
    ]),
    attempt(`select app.record_usage(${many(18)}) as value`, [
      tenant.id,
      zone,
      [meter],
      [user],
      [1],
      [1],
      [value],
      [key],
      event_id ? [event_id] : null,
      null,
      null,
      properties ? [properties] : null,
      null,
      false,
      false,
      false,
      true,
      enforce,
    ]),
  ])
}

const post = async (handler: Parameters<typeof call>[0], path: string, body: unknown) => {
  const answer = await call(handler, 'POST', path, { as: tenant.api_key, body })
  expect(answer.status).toBeLessThan(300)
  return answer.body
}

const METERS = [
  { slug: 'sum', name: 'Sum' },
  { slug: 'credit', name: 'Credit', allows_negative: true },
  { slug: 'count', name: 'Count', aggregation: 'COUNT' },
  { slug: 'soft', name: 'Soft' },
  { slug: 'free', name: 'Free' },
  { slug: 'most', name: 'Most', aggregation: 'MAX' },
  { slug: 'filtered', name: 'Filtered', filter: { property: 'a', operator: 'eq', value: 'b' } },
  { slug: 'grouped', name: 'Grouped', group_by: ['a'] },
  { slug: 'rolling', name: 'Rolling' },
]
const USERS = ['small', 'late', 'by-default', 'gone', 'unknown']

beforeAll(async () => {
  for (const meter of METERS) await post(postMeter, '/api/v1/meters', meter)
  await post(postTier, '/api/v1/tiers', {
    name: 'Small',
    usage_caps: {
      sum: { limit: 10 },
      credit: { limit: 10, behaviour: 'cap' },
      count: { limit: 3, period: 'day' },
      soft: { limit: 3, period: 'day', behaviour: 'overflow' },
      grouped: 5,
      rolling: { limit: 5, rollover: { max: 5 } },
    },
  })
  await post(postTier, '/api/v1/tiers', {
    name: 'Wide',
    is_default: true,
    usage_caps: { sum: { limit: 4, behaviour: 'overflow' }, count: { limit: 5 } },
  })
  for (const external_id of ['small', 'late', 'gone']) {
    const { id } = await post(postCustomer, '/api/v1/customers', { external_id, tier: 'small' })
    if (external_id === 'late') {
      const answer = await call(putSubscription, 'PUT', `/api/v1/customers/${id}/subscription`, {
        as: tenant.api_key,
        body: { tier: 'small', anchor_day: 31 },
        params: { id },
      })
      expect(answer.status).toBeLessThan(300)
    }
    if (external_id === 'gone') {
      const answer = await call(archiveCustomer, 'DELETE', `/api/v1/customers/${id}`, {
        as: tenant.api_key,
        params: { id },
      })
      expect(answer.status).toBeLessThan(300)
    }
  }
  await post(postCustomer, '/api/v1/customers', { external_id: 'by-default' })
  for (const user_id of ['small', 'late', 'by-default'])
    await post(track, '/api/v1/usage/track', [
      { meter_id: 'sum', user_id, event_value: 3 },
      { meter_id: 'credit', user_id, event_value: '9.5' },
      { meter_id: 'count', user_id },
    ])
})

describe('an event alone', () => {
  const values = ['1', '7', '7.000000001', '-2', '0', '0.5']
  const events = METERS.flatMap(({ slug }) =>
    USERS.flatMap((user) => values.map((value): Event => ({ meter: slug, user, value }))),
  )

  test.each([false, true])('comes to the same, enforced: %s', async (enforce) => {
    let alone = 0
    const turning = monthTurns()
    for (const event of events) {
      const [one, crowd] = await both(event, enforce)
      if (one.answer === null) continue
      alone += 1
      expect({ event, ...one }).toEqual({ event, ...crowd })
    }
    // Of plain meters, known customers and what fits: the short way is taken, and taken often.
    if (turning === monthTurns()) expect([alone > 30, alone === 0]).toEqual([!turning, turning])
  })

  test('the short way leaves alone what is not simple', async () => {
    const left: Event[] = [
      { meter: 'nothing', user: 'small' },
      { meter: 'most', user: 'small' },
      { meter: 'filtered', user: 'small', properties: '{"a": "b"}' },
      { meter: 'grouped', user: 'small' },
      { meter: 'rolling', user: 'small' },
      { meter: 'sum', user: 'unknown' },
      { meter: 'sum', user: 'gone' },
      { meter: 'sum', user: 'small', value: '7.1' },
      { meter: 'sum', user: 'small', value: '-1' },
    ]
    const [before] = [await attempt('select null as value', [])]
    for (const event of left) {
      const [one] = await both(event, false)
      expect({ event, ...one }).toEqual({ event, answer: null, state: before.state })
    }
  })

  test('what is here already is left to who tells duplicates from conflicts', async () => {
    const event = { meter_id: 'sum', user_id: 'by-default', event_value: 1, event_id: 'once' }
    const send = (body: unknown) => post(track, '/api/v1/usage/track', body)
    expect(await send(event)).toMatchObject({ inserted: 1, duplicates: 0 })
    expect(await send(event)).toMatchObject({ inserted: 0, duplicates: 1 })
    expect(await send({ ...event, event_value: 2 })).toMatchObject({ inserted: 0, rejected: [{ code: 'conflict' }] })
    expect(await send({ ...event, event_id: 'twice' })).toMatchObject({
      inserted: 1,
      usage: [{ meter: 'sum', used: 5, limit: 4, overage: 1 }],
    })
  })
})

test('a question alone is answered like one of several', async () => {
  const read = 'select app.read_usage($1, $2, $3, $4, $5) as value'
  for (const { slug } of METERS)
    for (const user of USERS)
      for (const amount of ['0', '1', '7', '7.5', '100']) {
        const question = { slug, user, amount }
        const one = await attempt(read, [tenant.id, 'Asia/Kolkata', [slug], [user], [amount]])
        const two = await attempt(read, [tenant.id, 'Asia/Kolkata', [slug, slug], [user, user], [amount, amount]])
        const [first] = two.answer as unknown[]
        expect({ question, answer: one.answer }).toEqual({ question, answer: [first] })
      }
})

/** A zone, as POSIX writes them, in which the clock goes back from one to midnight when this day ends, and that first midnight. */
function zoneOfTwoMidnights(): { zone: string; midnight: number } {
  const here = new Date(Date.now() + 3_600_000)
  const tomorrow = Date.UTC(here.getUTCFullYear(), here.getUTCMonth(), here.getUTCDate() + 1)
  const day = (tomorrow - Date.UTC(new Date(tomorrow).getUTCFullYear(), 0, 1)) / 86_400_000
  return { zone: `AAA0BBB-1,${(day + 180) % 365}/0,${day}/1`, midnight: tomorrow / 1_000 - 3_600 }
}

test('a day ends at the first of two midnights', async () => {
  const { zone, midnight } = zoneOfTwoMidnights()
  const read = 'select app.read_usage($1, $2, $3, $4, $5) as value'
  const asked = await attempt(read, [tenant.id, zone, ['soft'], ['small'], ['1']])
  const together = await attempt(read, [tenant.id, zone, ['soft', 'soft'], ['small', 'small'], ['1', '1']])
  const ends = [...(asked.answer as unknown[][]), ...(together.answer as unknown[][])].map((answer) => answer[5])
  // A cap that refuses leaves the first event of its day, and here a day of another zone may begin, to the long way.
  const recorded = await bothOnce({ meter: 'soft', user: 'small' }, false, zone)
  const lines = recorded.flatMap(({ answer }) => (answer ? [(answer as { usage: unknown[][] }).usage[0]?.[6]] : []))
  expect(lines).toHaveLength(monthTurns() ? 1 : 2)
  expect(new Set([...ends, ...lines])).toEqual(new Set([midnight]))
})
