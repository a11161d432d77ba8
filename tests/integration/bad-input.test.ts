// Input that is wrong, over HTTP to the running process and to the routes of reports: a precise answer for what is wrong and where,
// neighbours counted all the same, never a 5xx, and quickly. What single services refuse is tested with each of them.
import { randomBytes } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { GET as periodsRoute } from '@/app/api/v1/billing-periods/route'
import { POST as postGrant } from '@/app/api/v1/customers/[id]/grants/route'
import { GET as customersRoute } from '@/app/api/v1/customers/route'
import { GET as membersRoute } from '@/app/api/v1/members/route'
import { POST as postMeter } from '@/app/api/v1/meters/route'
import { POST as postTier } from '@/app/api/v1/tiers/route'
import { POST as correctRoute } from '@/app/api/v1/usage/correct/route'
import { GET as dailyRoute } from '@/app/api/v1/usage/daily/route'
import { GET as eventsRoute } from '@/app/api/v1/usage/events/route'
import { GET as queryRoute } from '@/app/api/v1/usage/query/route'
import { GET as getRejections } from '@/app/api/v1/usage/rejections/route'
import { GET as usageRoute } from '@/app/api/v1/usage/route'
import { GET as trendsRoute } from '@/app/api/v1/usage/trends/route'
import { encodeCursor } from '@/libs/api-utils/page'
import type { RouteHandler } from '@/libs/api-utils/route-handler'
import { newId } from '@/libs/ids'
import { type IngestProcess, startIngestProcess } from '../support/ingest-process'
import { asSuperuser, call, createTenant, createWorld } from '../support/world'

const { acme } = await createWorld()
const berlin = await createTenant('berlin', { time_zone: 'Europe/Berlin' })
const MIB = 1_048_576
const DAY = 86_400_000
let ingest: IngestProcess
let made = 0
const newName = (prefix: string): string => `${prefix}-${++made}`

beforeAll(async () => {
  for (const tenant of [acme, berlin])
    for (const meter of [
      { slug: 'calls' },
      { slug: 'credits', allows_negative: true },
      { slug: 'devices', aggregation: 'UNIQUE_COUNT', value_property: 'device' },
      { slug: 'seconds', aggregation: 'MAX', value_property: 'duration', allows_negative: true, group_by: ['region'] },
      { slug: 'paid', filter: { property: 'plan', operator: 'eq', value: 'pro' }, value_property: 'amount' },
    ])
      expect(
        await call(postMeter, 'POST', '/api/v1/meters', { as: tenant.api_key, body: { name: meter.slug, ...meter } }),
      ).toMatchObject({ status: 201 })
  ingest = await startIngestProcess()
})
afterAll(async () => {
  await ingest?.end()
})
// Whatever was thrown at it: it lives, and counts what comes next.
afterEach(async () => {
  expect(await send('track', event('survivor'))).toMatchObject({ status: 200, body: { inserted: 1 } })
})

const event = (user: unknown, extra: object = {}) => ({ meter_id: 'calls', user_id: user, ...extra })
async function send(path: string, body: unknown, headers: Record<string, string> = {}) {
  const answer = await ingest.send({
    path: `/api/v1/usage/${path}`,
    headers: { authorization: `Bearer ${acme.api_key}`, ...headers },
    body,
  })
  expect(answer.status).toBeLessThan(500)
  if (answer.status >= 400) {
    expect(answer.headers['content-type']).toBe('application/problem+json')
    expect(answer.body).toMatchObject({
      status: answer.status,
      code: expect.any(String),
      title: expect.any(String),
      detail: expect.any(String),
    })
  }
  return answer
}
/** Counted events of a customer, and what the counter says. */
async function counted(user: string, tenant = acme): Promise<{ events: number; used: number }> {
  const [row] = await asSuperuser<{ events: number; used: number }>(
    `select (select count(*)::int from usage_events e where e.tenant_id = $1 and e.customer_id = c.id) as events,
       (select coalesce(sum(used), 0)::float8 from usage_counters k where k.tenant_id = $1 and k.customer_id = c.id and period = 'day') as used
     from customers c where c.tenant_id = $1 and c.external_id = $2`,
    [tenant.id, user],
  )
  return row ?? { events: 0, used: 0 }
}

const nine = '9'.repeat(400)
/** An item of a batch as JSON text, because not all of it can be said in JSON.stringify. */
const ITEMS: [what: string, code: string, item: string][] = [
  ['an unknown meter', 'unknown_meter', '{"meter_id":"nothing","user_id":"x"}'],
  ['a meter id of nobody', 'unknown_meter', `{"meter_id":"${newId()}","user_id":"x"}`],
  [
    'a meter id that breaks out of quotes',
    'invalid_meter_id',
    `{"meter_id":"calls'; drop table meters --","user_id":"x"}`,
  ],
  ['a number for a meter', 'invalid_meter_id', '{"meter_id":7,"user_id":"x"}'],
  ['null for a user', 'invalid_user_id', '{"meter_id":"calls","user_id":null}'],
  ['true for a user', 'invalid_user_id', '{"meter_id":"calls","user_id":true}'],
  ['a fraction for a user', 'invalid_user_id', '{"meter_id":"calls","user_id":1.5}'],
  ['256 characters of user', 'invalid_user_id', `{"meter_id":"calls","user_id":"${'u'.repeat(256)}"}`],
  ['null for a value', 'invalid_value', '{"meter_id":"calls","user_id":"x","event_value":null}'],
  ['"NaN"', 'invalid_value', '{"meter_id":"calls","user_id":"x","event_value":"NaN"}'],
  ['"-Infinity"', 'invalid_value', '{"meter_id":"calls","user_id":"x","event_value":"-Infinity"}'],
  ['1e999, which JSON reads as infinite', 'invalid_value', '{"meter_id":"calls","user_id":"x","event_value":1e999}'],
  ['-1e999', 'invalid_value', '{"meter_id":"credits","user_id":"x","event_value":-1e999}'],
  ['1e-300', 'invalid_value', '{"meter_id":"calls","user_id":"x","event_value":1e-300}'],
  ['400 digits', 'invalid_value', `{"meter_id":"calls","user_id":"x","event_value":${nine}}`],
  ['400 digits as text', 'invalid_value', `{"meter_id":"calls","user_id":"x","event_value":"${nine}"}`],
  ['400 digits after the point', 'invalid_value', `{"meter_id":"calls","user_id":"x","event_value":"0.${nine}"}`],
  ['an exponent as text', 'invalid_value', '{"meter_id":"calls","user_id":"x","event_value":"1e3"}'],
  ['a comma', 'invalid_value', '{"meter_id":"calls","user_id":"x","event_value":"1,5"}'],
  ['blanks', 'invalid_value', '{"meter_id":"calls","user_id":"x","event_value":" 1 "}'],
  ['an empty text', 'invalid_value', '{"meter_id":"calls","user_id":"x","event_value":""}'],
  ['true', 'invalid_value', '{"meter_id":"calls","user_id":"x","event_value":true}'],
  ['digits of another script', 'invalid_value', '{"meter_id":"calls","user_id":"x","event_value":"\u0661\u0662"}'],
  ['a negative value', 'negative_value', '{"meter_id":"calls","user_id":"x","event_value":-0.1}'],
  ['text for properties', 'invalid_properties', '{"meter_id":"calls","user_id":"x","properties":"a"}'],
  ['a number for properties', 'invalid_properties', '{"meter_id":"calls","user_id":"x","properties":5}'],
  ['an object in a property', 'invalid_properties', '{"meter_id":"calls","user_id":"x","properties":{"a":{}}}'],
  ['a list in a property', 'invalid_properties', '{"meter_id":"calls","user_id":"x","properties":{"a":[]}}'],
  ['an infinite property', 'invalid_properties', '{"meter_id":"calls","user_id":"x","properties":{"a":1e999}}'],
  [
    '65 properties',
    'invalid_properties',
    `{"meter_id":"calls","user_id":"x","properties":${JSON.stringify(Object.fromEntries(Array.from({ length: 65 }, (_, at) => [`p${at}`, at])))}}`,
  ],
  ['no device', 'invalid_property', '{"meter_id":"devices","user_id":"x"}'],
  ['null for the device', 'invalid_property', '{"meter_id":"devices","user_id":"x","properties":{"device":null}}'],
  ['no duration', 'invalid_property', '{"meter_id":"seconds","user_id":"x","properties":{"region":"eu"}}'],
  [
    'text for the duration',
    'invalid_property',
    '{"meter_id":"seconds","user_id":"x","properties":{"duration":"long"}}',
  ],
  ['true for the duration', 'invalid_property', '{"meter_id":"seconds","user_id":"x","properties":{"duration":true}}'],
  [
    '1e300 for the duration',
    'invalid_property',
    '{"meter_id":"seconds","user_id":"x","properties":{"duration":1e300}}',
  ],
  [
    '400 digits for the duration',
    'invalid_property',
    `{"meter_id":"seconds","user_id":"x","properties":{"duration":"${nine}"}}`,
  ],
  [
    'a negative amount in a property',
    'negative_value',
    '{"meter_id":"paid","user_id":"x","properties":{"plan":"pro","amount":-1}}',
  ],
  ['a time before 1970', 'timestamp_too_old', '{"meter_id":"calls","user_id":"x","timestamp":"1969-12-31T23:59:59Z"}'],
  ['-1 for a time', 'invalid_timestamp', '{"meter_id":"calls","user_id":"x","timestamp":-1}'],
  ['1e999 for a time', 'invalid_timestamp', '{"meter_id":"calls","user_id":"x","timestamp":1e999}'],
  [
    'a year of five digits',
    'invalid_timestamp',
    '{"meter_id":"calls","user_id":"x","timestamp":"12026-01-01T00:00:00Z"}',
  ],
  ['25 hours', 'invalid_timestamp', '{"meter_id":"calls","user_id":"x","timestamp":"2026-01-01T25:00:00Z"}'],
  ['a leap second', 'invalid_timestamp', '{"meter_id":"calls","user_id":"x","timestamp":"2026-06-30T23:59:60Z"}'],
  [
    'a zone of 15 hours',
    'invalid_timestamp',
    '{"meter_id":"calls","user_id":"x","timestamp":"2026-01-01T00:00:00+15:00"}',
  ],
  [
    'a zone by name',
    'invalid_timestamp',
    '{"meter_id":"calls","user_id":"x","timestamp":"2026-01-01T00:00:00[Mars/Olympus]"}',
  ],
  [
    '29 February of a common year',
    'invalid_timestamp',
    '{"meter_id":"calls","user_id":"x","timestamp":"2026-02-29T00:00:00Z"}',
  ],
  [
    'a time of last year',
    'timestamp_too_old',
    `{"meter_id":"calls","user_id":"x","timestamp":${Date.now() - 366 * DAY}}`,
  ],
  [
    'a time of next year',
    'timestamp_in_future',
    `{"meter_id":"calls","user_id":"x","timestamp":${Date.now() + 366 * DAY}}`,
  ],
  ['an id with a line feed', 'invalid_event_id', '{"meter_id":"calls","user_id":"x","event_id":"a\\nb"}'],
  ['true for an id', 'invalid_event_id', '{"meter_id":"calls","user_id":"x","event_id":true}'],
  ['256 characters of id', 'invalid_event_id', `{"meter_id":"calls","user_id":"x","event_id":"${'i'.repeat(256)}"}`],
  ['an empty source', 'invalid_source', '{"meter_id":"calls","user_id":"x","source":""}'],
  ['__proto__', 'unknown_field', '{"meter_id":"calls","user_id":"x","__proto__":{"event_value":5}}'],
  ['a list in the list', 'invalid_event', '[{"meter_id":"calls","user_id":"x"}]'],
  ['a number', 'invalid_event', '5'],
  ['null', 'invalid_event', 'null'],
  ['an infinite number', 'invalid_event', '1e999'],
]

describe('an item of a batch', () => {
  test.each(ITEMS)('%s: %s', async (_what, code, item) => {
    const user = newName('neighbour')
    const good = JSON.stringify(event(user))
    const answer = await send('track', `[${good},${item},${good}]`)
    expect(answer).toMatchObject({ status: 200, body: { inserted: 2, duplicates: 0, rejected: [{ index: 1, code }] } })
    expect(answer.body.rejected).toHaveLength(1)
    expect(answer.body.rejected[0].detail.length).toBeGreaterThan(10)
    expect(await counted(user)).toEqual({ events: 2, used: 2 })
  })

  test('all of them at once, each under its own index, with good ones in between', async () => {
    const user = newName('neighbour')
    const good = JSON.stringify(event(user))
    const answer = await send('track', `[${ITEMS.map(([, , item]) => `${good},${item}`).join(',')}]`)
    expect(answer.body).toMatchObject({ inserted: ITEMS.length, duplicates: 0 })
    expect(answer.body.rejected.map(({ index, code }: { index: number; code: string }) => [index, code])).toEqual(
      ITEMS.map(([, code], at) => [2 * at + 1, code]),
    )
    expect(await counted(user)).toEqual({ events: ITEMS.length, used: ITEMS.length })
  })

  test('long ones are kept cut, wherever the cut falls', async () => {
    const events = ['', 'x'].map((start) => ({
      meter_id: 'nobody-knows',
      user_id: 'long',
      properties: { note: start + '😀'.repeat(1_100) },
    }))
    expect((await send('track', JSON.stringify(events))).status).toBe(200)
    const { body } = await call(getRejections, 'GET', '/api/v1/usage/rejections?limit=2', { as: acme.api_key })
    const kept = body.data.map(({ event }: { event: { shortened?: string } }) => event.shortened ?? '')
    expect(kept.map((text: string) => [text.length >= 1_999, text.isWellFormed()])).toEqual(Array(2).fill([true, true]))
  })

  test('null and what is no number are kept to be looked at, beside their neighbours', async () => {
    const user = newName('neighbour')
    const code = newName('meter')
    const answer = await send('track', `[null,{"meter_id":"${code}","user_id":"${user}"},1e999]`)
    expect(answer.body.rejected).toHaveLength(3)
    const kept = await asSuperuser<{ code: string; event: unknown }>(
      'select code, event from usage_rejections where tenant_id = $1 and request_id = $2 order by id',
      [acme.id, answer.headers['x-request-id']],
    )
    expect(kept).toEqual([
      { code: 'invalid_event', event: 'null' },
      { code: 'unknown_meter', event: { meter_id: code, user_id: user, event_value: '1' } },
      { code: 'invalid_event', event: 'Infinity' },
    ])
  })

  test('strict: nothing at all, with a pointer to each', async () => {
    const user = newName('neighbour')
    const good = JSON.stringify(event(user))
    for (const [, code, item] of ITEMS) {
      const answer = await send('track?strict=true', `[${good},${item}]`)
      expect(answer).toMatchObject({
        status: 422,
        body: { code: 'invalid_input', errors: [{ pointer: '/1' }], rejected: [{ index: 1, code }] },
      })
    }
    expect((await counted(user)).events).toBe(0)
  })

  test('what fails the filter of its meter is taken, whatever its amount, and moves nothing', async () => {
    const user = newName('free')
    const item = { meter_id: 'paid', user_id: user, properties: { plan: 'free', amount: 'none' } }
    expect((await send('track', [item])).body).toMatchObject({ inserted: 1, rejected: [] })
    expect(await counted(user)).toEqual({ events: 1, used: 0 })
  })
})

describe('the same id', () => {
  test('three times in a batch counts once, with other content is a conflict, and both leave their neighbours alone', async () => {
    const user = newName('user')
    const event_id = newName('id')
    const answer = await send('track', [
      event(user, { event_id, event_value: 2 }),
      event(user),
      event(user, { event_id, event_value: 2 }),
      event(user, { event_id, event_value: 3 }),
      event(user, { event_id, event_value: '2.00' }),
      event(user, { event_id, meter_id: 'credits', event_value: 2 }),
    ])
    expect(answer.body).toMatchObject({
      inserted: 2,
      duplicates: 2,
      rejected: [
        { index: 3, code: 'conflict' },
        { index: 5, code: 'conflict' },
      ],
    })
    expect(await counted(user)).toEqual({ events: 2, used: 3 })
  })

  test('a thousand times in one batch counts once', async () => {
    const user = newName('user')
    const event_id = newName('id')
    const answer = await send(
      'track',
      Array.from({ length: 1_000 }, () => event(user, { event_id })),
    )
    expect(answer.body).toMatchObject({ inserted: 1, duplicates: 999, rejected: [] })
    expect(await counted(user)).toEqual({ events: 1, used: 1 })
  })

  test('first in a form that is refused, then in one that is good: the good one counts', async () => {
    const user = newName('user')
    const event_id = newName('id')
    const answer = await send('track', [
      event(user, { event_id, event_value: 'many' }),
      event(user, { event_id, event_value: -1 }),
      event(user, { event_id, event_value: 4 }),
      event(user, { event_id, event_value: 4 }),
    ])
    expect(answer.body).toMatchObject({
      inserted: 1,
      duplicates: 1,
      rejected: [
        { index: 0, code: 'invalid_value' },
        { index: 1, code: 'negative_value' },
      ],
    })
    expect(await counted(user)).toEqual({ events: 1, used: 4 })
  })

  test('with other content from many at once: one of them wins, wholly', async () => {
    const user = newName('user')
    const event_id = newName('id')
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, at) => send('track', event(user, { event_id, event_value: 1 + (at % 4) }))),
    )
    const winner = answers.findIndex(({ body }) => body.inserted === 1)
    expect(answers.filter(({ body }) => body.inserted === 1)).toHaveLength(1)
    for (const [at, { body }] of answers.entries()) {
      if (at === winner) continue
      if (at % 4 === winner % 4) expect(body).toMatchObject({ duplicates: 1, rejected: [] })
      else expect(body).toMatchObject({ duplicates: 0, rejected: [{ code: 'conflict' }] })
    }
    expect(await counted(user)).toEqual({ events: 1, used: 1 + (winner % 4) })
  })
})

describe('a body', () => {
  const many = (count: number, user: string) => Array.from({ length: count }, () => event(user))
  const packed = gzipSync(JSON.stringify(event('x')))
  test.each([
    ['1,001 events', 422, () => many(1_001, 'crowd'), {}],
    ['1,001 events as {events}', 422, () => ({ events: many(1_001, 'crowd') }), {}],
    ['no events', 422, () => [], {}],
    ['{events: null}', 422, () => ({ events: null }), {}],
    ['2 MiB', 413, () => JSON.stringify([event('x', { properties: { a: 'x'.repeat(2 * MIB) } })]), {}],
    ['2 MiB of blanks', 413, () => ' '.repeat(2 * MIB), {}],
    ['one byte more than 1 MiB', 413, () => `${JSON.stringify(event('x'))}${' '.repeat(MIB)}`, {}],
    ['2 MiB that says it is gzip', 413, () => randomBytes(2 * MIB), { 'content-encoding': 'gzip' }],
    ['noise that says it is gzip', 400, () => randomBytes(1_000), { 'content-encoding': 'gzip' }],
    ['half of a gzip', 400, () => packed.subarray(0, packed.length / 2), { 'content-encoding': 'gzip' }],
    ['gzip with one bit wrong', 400, () => damaged(packed), { 'content-encoding': 'gzip' }],
    ['nothing that says it is gzip', 400, () => '', { 'content-encoding': 'gzip' }],
    ['a gzip bomb', 413, () => gzipSync(Buffer.alloc(512 * MIB)), { 'content-encoding': 'gzip' }],
    [
      'a bomb in many members',
      413,
      () => Buffer.concat(Array(64).fill(gzipSync(Buffer.alloc(MIB, 32)))),
      { 'content-encoding': 'gzip' },
    ],
    ['gzip twice', 400, () => gzipSync(packed), { 'content-encoding': 'gzip' }],
    ['deflate', 415, () => '{}', { 'content-encoding': 'deflate' }],
    ['bytes that are no UTF-8', 400, () => Buffer.from([0x22, 0xff, 0xfe, 0x22]), {}],
    ['JSON with more behind it', 400, () => `${JSON.stringify(event('x'))}{}`, {}],
    ['NaN as a word', 400, () => '{"meter_id":"calls","user_id":"x","event_value":NaN}', {}],
    ['Infinity as a word', 400, () => '{"meter_id":"calls","user_id":"x","event_value":-Infinity}', {}],
    ['100,000 levels', 400, () => '['.repeat(100_000), {}],
    ['XML', 415, () => '<event/>', { 'content-type': 'application/xml' }],
    ['an empty Idempotency-Key', 400, () => event('x'), { 'idempotency-key': ' ' }],
    ['an Idempotency-Key of 256', 400, () => event('x'), { 'idempotency-key': 'k'.repeat(256) }],
  ] as [string, number, () => unknown, Record<string, string>][])('%s: %i', async (_what, status, body, headers) => {
    const answer = await send('track', body(), headers)
    expect(answer.status).toBe(status)
    expect((await counted('crowd')).events).toBe(0)
  })
  test('text that cannot be kept, and a field in both spellings, refuse their event alone and are listed', async () => {
    const user = newName('user')
    const good = JSON.stringify(event(user))
    const answer = await send(
      'track',
      `[{"meter_id":"calls","user_id":"a\\u0000"}, ${good}, {"meter_id":"calls","user_id":"${user}","properties":{"a":"half \\ud800"}},
        {"meter_id":"calls","user_id":"${user}","no\\u0000ne":1}, {"meter_id":"calls","meterId":"credits","user_id":"${user}"},
        {"meter_id":"calls","user_id":"${user}","event_id":"\\udfff"}, ${good}]`,
    )
    expect(answer).toMatchObject({
      status: 200,
      body: {
        inserted: 2,
        rejected: [
          { index: 0, code: 'invalid_user_id' },
          { index: 2, code: 'invalid_properties' },
          { index: 3, code: 'unknown_field' },
          { index: 4, code: 'unknown_field' },
          { index: 5, code: 'invalid_event_id' },
        ],
      },
    })
    expect(await counted(user)).toEqual({ events: 2, used: 2 })
    const listed = await call(getRejections, 'GET', '/api/v1/usage/rejections?limit=5', { as: acme.api_key })
    const half = listed.body.data.find(({ code }: { code: string }) => code === 'invalid_properties')
    expect(half.event).toEqual({ meter_id: 'calls', user_id: user, properties: { a: 'half \ufffd' } })
    expect(listed.body.data.map(({ code }: { code: string }) => code)).toContain('unknown_field')
    const corrected = await call(correctRoute, 'POST', '/api/v1/usage/correct', {
      as: acme.api_key,
      body: [
        { action: 'cancel', event_id: 'a\0' },
        { action: 'cancel', event_id: 'none', reason: '\ud800' },
        { action: 'cancel', event_id: 'none' },
      ],
    })
    expect(corrected.body.rejected).toMatchObject([
      { code: 'invalid_event_id' },
      { code: 'invalid_reason' },
      { code: 'not_found' },
    ])
  })
  test('a field that nobody knows is named as it was sent', async () => {
    const rejected = [{ index: 0, code: 'unknown_field', detail: expect.stringMatching(/^costCentre is not a field /) }]
    const tracked = await send('track', JSON.stringify({ ...event('x'), costCentre: 'sales' }))
    expect(tracked.body).toMatchObject({ inserted: 0, rejected })
    expect((await send('track', JSON.stringify({ events: [event('x')], costCentre: 'sales' }))).body.errors).toEqual([
      { pointer: '/costCentre', detail: 'is not a known field' },
    ])
    const corrected = await call(correctRoute, 'POST', '/api/v1/usage/correct', {
      as: acme.api_key,
      body: [{ action: 'cancel', eventId: 'none', costCentre: 'sales' }],
    })
    expect(corrected.body).toMatchObject({ corrected: 0, rejected })
  })
  test('a field that a service refuses is named as it was sent', async () => {
    const { api_key: as } = acme
    const params = { id: newName('named') }
    await send('track', event(params.id))
    const refused = async (pointer: string, answer: ReturnType<typeof call>) =>
      expect((await answer).body).toMatchObject({
        code: 'invalid_input',
        detail: `Check ${pointer}.`,
        errors: [{ pointer, detail: expect.any(String) }],
      })
    for (const [camel, snake] of [
      ['effectiveAt', 'effective_at'],
      ['expiresAt', 'expires_at'],
    ] as const)
      for (const name of [camel, snake]) {
        const body = { meter: 'calls', amount: 1, [name]: '2001-01-01T00:00:00Z' }
        await refused(`/${name}`, call(postGrant, 'POST', '/api/v1/customers/x/grants', { as, params, body }))
      }
    for (const name of ['timeRange', 'time_range'])
      await refused(
        `/${name}`,
        call(usageRoute, 'GET', `/api/v1/usage?${name}=7d&from=2026-01-01&to=2026-01-02`, { as }),
      )
    for (const name of ['timeZone', 'time_zone'])
      await refused(`/${name}`, call(queryRoute, 'GET', `/api/v1/usage/query?meter=calls&${name}=Mars/Phobos`, { as }))
    for (const [caps, overage] of [
      ['usageCaps', 'preserveOverage'],
      ['usage_caps', 'preserve_overage'],
      ['usageCaps', 'preserve_overage'],
    ] as const) {
      const body = { name: newName('tier'), [caps]: { seconds: { limit: 1, [overage]: true } } }
      await refused(`/${caps}/seconds/${overage}`, call(postTier, 'POST', '/api/v1/tiers', { as, body }))
    }
  })
  test('options that are none', async () => {
    for (const query of ['?strict=perhaps', '?enforce=1', '?nothing=1'])
      expect(await send(`track${query}`, event('x'))).toMatchObject({
        status: 422,
        body: { errors: [{ pointer: expect.stringMatching(/^\/(strict|enforce|nothing)$/) }] },
      })
  })
  test('exactly 1,000 events and exactly 1 MiB are taken', async () => {
    const user = newName('full')
    expect((await send('track', many(1_000, user))).body).toMatchObject({ inserted: 1_000, rejected: [] })
    const text = JSON.stringify(event(user))
    expect((await send('track', `${text}${' '.repeat(MIB - text.length)}`)).body).toMatchObject({ inserted: 1 })
    expect(await counted(user)).toEqual({ events: 1_001, used: 1_001 })
  })
})

function damaged(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes)
  const last = copy.length - 6
  copy[last] = (copy[last] ?? 0) ^ 1
  return copy
}

describe('check, reserve, settle, release', () => {
  const wrongAmounts: unknown[] = [
    -1,
    '-1',
    'many',
    null,
    true,
    {},
    [],
    'NaN',
    'Infinity',
    '1e5',
    nine,
    1e300,
    '',
    ' 1',
  ]
  test.each(wrongAmounts.map((amount) => [amount]))('an amount of %j', async (amount) => {
    for (const path of ['check', 'reserve']) {
      const answer = await send(path, { ...event('asker'), amount })
      expect(answer).toMatchObject({ status: 422, body: { code: 'invalid_input' } })
      expect(new Set(answer.body.errors.map((error: { pointer: string }) => error.pointer))).toEqual(
        new Set(['/amount']),
      )
    }
    expect(await send('settle', { reservation_id: newId(), amount: amount === null ? -1 : amount })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/amount' }] },
    })
  })
  test('1e999, which no JSON.stringify writes', async () => {
    for (const path of ['check', 'reserve'])
      expect(await send(path, '{"meter_id":"calls","user_id":"x","amount":1e999}')).toMatchObject({ status: 422 })
  })
  test.each([
    [{ user_id: 'x' }, '/meter_id'],
    [{ meter_id: 7, user_id: 'x' }, '/meter_id'],
    [{ meter_id: 'calls' }, '/user_id'],
    [{ meter_id: 'calls', user_id: {} }, '/user_id'],
    [{ meter_id: 'calls', user_id: '' }, '/user_id'],
    [{ meter_id: 'calls', user_id: 'a\u0007b' }, '/user_id'],
    [{ meter_id: 'calls', user_id: 'u'.repeat(256) }, '/user_id'],
    [{ meter_id: 'calls', user_id: 'x', more: 1 }, '/more'],
  ])('%j is invalid at %s', async (body, pointer) => {
    for (const path of ['check', 'reserve']) {
      const answer = await send(path, body)
      expect(answer).toMatchObject({ status: 422, body: { code: 'invalid_input' } })
      expect(answer.body.errors).toContainEqual({ pointer, detail: expect.any(String) })
    }
  })
  test('whom an event may name can be asked for, counted in characters', async () => {
    for (const path of ['track', 'check', 'reserve'])
      expect((await send(path, { meter_id: 'calls', user_id: '🦄'.repeat(255) })).status).toBeLessThan(300)
  })
  test.each([[[]], ['text'], [5], [null], ['{']])('a body of %j', async (body) => {
    for (const path of ['check', 'reserve', 'settle', 'release'])
      expect([400, 422]).toContain((await send(path, body === '{' ? body : JSON.stringify(body))).status)
  })
  test('what is not there is an answer', async () => {
    expect((await send('check', { meter_id: 'nothing', user_id: 'x' })).body).toMatchObject({
      allowed: false,
      code: 'NOT_FOUND',
    })
    expect((await send('reserve', { meter_id: 'nothing', user_id: 'x' })).body).toMatchObject({
      allowed: false,
      code: 'NOT_FOUND',
      reservation: null,
    })
    for (const path of ['settle', 'release'])
      expect(await send(path, { reservation_id: newId() })).toMatchObject({ status: 404, body: { code: 'not_found' } })
  })
  const hold = async (amount: number) => {
    const user_id = newName('holder')
    const { body } = await send('reserve', { meter_id: 'calls', user_id, amount })
    expect(body).toMatchObject({ allowed: true, reservation: { amount } })
    return { user_id, reservation_id: body.reservation.id as string }
  }
  test('settled twice is counted once; with another amount it is a conflict; released after that as well', async () => {
    const { user_id, reservation_id } = await hold(5)
    const answers = await Promise.all(Array.from({ length: 8 }, () => send('settle', { reservation_id })))
    expect(answers.every(({ status, body }) => status === 200 && body.settled === 5)).toBe(true)
    expect(await send('settle', { reservation_id, amount: 4 })).toMatchObject({
      status: 409,
      body: { code: 'conflict', reason: 'settled', settled: 5 },
    })
    expect(await send('release', { reservation_id })).toMatchObject({ status: 409, body: { code: 'conflict' } })
    expect(await counted(user_id)).toEqual({ events: 1, used: 5 })
  })
  test('settled after its expiry, or after release, it counts nothing', async () => {
    const late = await hold(5)
    await asSuperuser(
      "update reservations set expires_at = now() - interval '1 second' where tenant_id = $1 and id = $2",
      [acme.id, late.reservation_id],
    )
    expect(await send('settle', { reservation_id: late.reservation_id })).toMatchObject({
      status: 409,
      body: { code: 'reservation_expired' },
    })
    const given = await hold(5)
    expect((await send('release', { reservation_id: given.reservation_id })).status).toBe(200)
    expect(await send('settle', { reservation_id: given.reservation_id })).toMatchObject({
      status: 409,
      body: { code: 'conflict', reason: 'released' },
    })
    for (const { user_id } of [late, given]) expect(await counted(user_id)).toEqual({ events: 0, used: 0 })
  })
})

describe('a correction', () => {
  test('that is wrong leaves its neighbours alone', async () => {
    const user = newName('corrected')
    const [first, second] = [newName('id'), newName('id')]
    await send('track', [
      event(user, { event_id: first, event_value: 5 }),
      event(user, { event_id: second, event_value: 7 }),
    ])
    const answer = await call(correctRoute, 'POST', '/api/v1/usage/correct', {
      as: acme.api_key,
      body: [
        { action: 'cancel', event_id: first },
        { action: 'undo', event_id: second },
        { action: 'cancel', event_id: 'nothing' },
        { action: 'amend', event_id: second },
        { action: 'amend', event_id: second, event_value: 'NaN' },
        { action: 'amend', event_id: second, event_value: nine },
        { action: 'amend', event_id: second, event_value: -1 },
        { action: 'amend', event_id: second, meter_id: 'nothing' },
        { action: 'amend', event_id: second, timestamp: '2026-02-30T00:00:00Z' },
        { action: 'amend', event_id: second, timestamp: Date.now() + 366 * DAY },
        { action: 'amend', event_id: second, properties: { a: [] } },
        { action: 'cancel', id: 'x' },
        null,
        { action: 'amend', event_id: second, event_value: 8 },
      ],
    })
    expect(answer).toMatchObject({ status: 200, body: { corrected: 2, duplicates: 0 } })
    expect(answer.body.rejected.map(({ index }: { index: number }) => index)).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
    ])
    expect((await counted(user)).used).toBe(8)
  })
})

describe('a cursor that was made up', () => {
  const id = newId()
  const lists: [string, RouteHandler, (moment: string) => string[]][] = [
    ['/api/v1/customers', customersRoute, (moment) => [moment, id]],
    ['/api/v1/members', membersRoute, (moment) => [moment, id]],
    ['/api/v1/usage/events', eventsRoute, (moment) => [moment, id]],
    ['/api/v1/billing-periods', periodsRoute, (moment) => [moment]],
  ]
  test.each(['0000-01-01', '2026-02-30', '2026-11-01T00:00:00+23:59', 'infinity', '9'.repeat(400), "2026-11-01'"])(
    'of %j is refused as none of ours',
    async (moment) => {
      for (const [path, route, values] of lists) {
        const address = `${path}?cursor=${encodeCursor(values(moment))}`
        expect(await call(route, 'GET', address, { as: acme.users.owner, tenant: acme })).toMatchObject({
          status: 400,
          body: { code: 'bad_request' },
        })
      }
    },
  )
})

describe('a question', () => {
  const routes: [string, RouteHandler][] = [
    ['/api/v1/usage', usageRoute],
    ['/api/v1/usage/daily', dailyRoute],
    ['/api/v1/usage/trends', trendsRoute],
    ['/api/v1/usage/query', queryRoute],
    ['/api/v1/usage/events', eventsRoute],
  ]
  const ask = async (path: string, route: RouteHandler, query: string) => {
    const answer = await call(route, 'GET', `${path}?${query}`, { as: acme.api_key })
    // A statement that looks at too much is broken off, and would be a 503.
    expect(answer.status).toBeLessThan(500)
    return answer
  }
  test.each([
    'from=2026-11-02&to=2026-11-01',
    'from=2026-11-02&to=2026-11-02',
    'from=2026-11-02T00:00:00Z&to=2026-11-01T23:59:59Z',
    'from=2026-02-30',
    'from=yesterday',
    'from=2026-13-01',
    'from=2026-11-01T24:00:00Z',
    'from=2026-11-01T24:00:01Z',
    'from=2026-11-01T23:59:60Z',
    'from=2026-11-01T23:60:00Z',
    'from=0001-01-01',
    'from=1e999',
    'to=2026-11-01',
    'time_range=1d',
    'time_range=30d&from=2026-11-01',
    'from=2026-11-01T00:00:00',
    'from=2026-11-01T00:00:00%2B23:59',
    'from=2026-11-01T00:00:00-15:00',
    'from=0000-01-01',
    'from=0000-12-31T23:59:59Z',
    'from=275760-09-13',
  ])('of a range %s is refused everywhere', async (query) => {
    for (const [path, route] of routes) {
      const name = path.endsWith('/query') ? `meter=calls&${query}` : query
      expect(await ask(path, route, name)).toMatchObject({
        status: 422,
        body: { code: 'invalid_input', errors: [{ pointer: expect.stringMatching(/^\/(from|to|time_range)$/) }] },
      })
    }
  })
  test('about a meter or customer that is not there is told which', async () => {
    for (const [path, route] of routes) {
      const answer = await ask(path, route, 'meter=nothing')
      expect(answer).toMatchObject({ status: 404, body: { code: 'not_found' } })
      expect(answer.body.detail).toMatch(/there is no such meter/i)
      expect(await ask(path, route, 'meter=calls&customer=nobody')).toMatchObject({
        status: 404,
        body: {
          code: 'not_found',
          errors: [{ pointer: '/customer', detail: expect.stringMatching(/^there is no such customer(: nobody)?$/) }],
        },
      })
    }
  })
  test.each([
    'Mars/Olympus',
    'UTC+3',
    '+05:30',
    'Europe/Berlin%00',
    '',
    'posix/UTC',
    '../etc/passwd',
    'z'.repeat(500),
    "UTC' or 1",
  ])('in the time zone %j is refused', async (zone) => {
    const answer = await ask(
      '/api/v1/usage/query',
      queryRoute,
      `meter=calls&time_zone=${zone.includes('%') ? zone : encodeURIComponent(zone)}`,
    )
    expect([400, 422]).toContain(answer.status)
  })
  test.each([
    ['meter=seconds&group_by=nothing', '/group_by', 'region'],
    ['meter=calls&group_by=region', '/group_by', 'customer'],
    ['meter=seconds&group_by=region,region,nothing', '/group_by', 'region'],
    ['meter=seconds&filter[nothing]=x', '/filter', 'region'],
  ])('%s is refused at %s', async (query, pointer, named) => {
    expect(await ask('/api/v1/usage/query', queryRoute, query)).toMatchObject({
      status: 422,
      body: { errors: [{ pointer, detail: expect.stringContaining(named) }] },
    })
  })
  test.each(['meter=nothing', `meter=${newId()}`, 'meter=%27;--', `meter=${'m'.repeat(500)}`])(
    'about %s finds no meter',
    async (query) => {
      for (const [path, route] of routes) expect([404, 422]).toContain((await ask(path, route, query)).status)
    },
  )
  test.each(['customer=nobody', `customer=${'c'.repeat(300)}`, 'customer=a%00b'])(
    'about %s finds nobody',
    async (query) => {
      for (const [path, route] of routes) {
        const answer = await ask(path, route, path.endsWith('/query') ? `meter=calls&${query}` : query)
        expect([200, 400, 404, 422]).toContain(answer.status)
        if (answer.status === 200) expect(answer.body.data).toEqual([])
      }
    },
  )
  test.each(['limit=0', 'limit=-1', 'limit=1e9', 'limit=x', 'cursor=x', `cursor=${'c'.repeat(5_000)}`])(
    'for a page %s is refused',
    async (query) => {
      expect([400, 422]).toContain((await ask('/api/v1/usage/events', eventsRoute, query)).status)
    },
  )
})
