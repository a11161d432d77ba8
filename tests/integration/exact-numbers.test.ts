// Numbers of JSON beyond what a double holds, from the wire to the totals: counted to the last digit.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { POST as postMeter } from '@/app/api/v1/meters/route'
import { POST as correctRoute } from '@/app/api/v1/usage/correct/route'
import { GET as oneRoute } from '@/app/api/v1/usage/events/[id]/route'
import { GET as eventsRoute } from '@/app/api/v1/usage/events/route'
import { GET as rejectionsRoute } from '@/app/api/v1/usage/rejections/route'
import { GET as openMeterRoute } from '@/app/compat/openmeter/api/[...path]/route'
import { type IngestProcess, startIngestProcess } from '../support/ingest-process'
import { asSuperuser, call, createWorld } from '../support/world'

const { acme } = await createWorld()
let ingest: IngestProcess
const send = (path: string, body: string) =>
  ingest.send({ path: `/api/v1/usage/${path}`, headers: { authorization: `Bearer ${acme.api_key}` }, body })
const usedBy = async (meter: string, user: string) =>
  (await send('check', `{"meter_id":"${meter}","user_id":"${user}","amount":0}`)).body.used

beforeAll(async () => {
  for (const meter of [
    { slug: 'units' },
    { slug: 'devices', aggregation: 'UNIQUE_COUNT', value_property: 'device' },
    { slug: 'paid', value_property: 'amount' },
  ])
    await call(postMeter, 'POST', '/api/v1/meters', { as: acme.api_key, body: { name: meter.slug, ...meter } })
  ingest = await startIngestProcess()
})
afterAll(() => ingest?.end())

test('values add up, and are corrected', async () => {
  const one = (value: string, id: string) =>
    `{"meter_id":"units","user_id":"u","event_id":"${id}","event_value":${value}}`
  const batch = [one('9007199254740993', 'a'), one('0.12345678901234567891', 'b'), one('1', 'c')].join(',')
  expect((await send('track', `[${batch}]`)).body).toMatchObject({ inserted: 3, rejected: [] })
  expect((await send('track', `[${batch}]`)).body).toMatchObject({ inserted: 0, duplicates: 3 })
  expect((await send('track', one('9007199254740992', 'a'))).body.rejected).toMatchObject([{ code: 'conflict' }])
  expect(await usedBy('units', 'u')).toBe('9007199254740994.12345678901234567891')
  const request = new Request('http://localhost:3000/api/v1/usage/correct', {
    method: 'POST',
    headers: { authorization: `Bearer ${acme.api_key}`, 'content-type': 'application/json' },
    body: '{"action":"amend","event_id":"a","event_value":9007199254740995,"properties":{"id":9007199254740997}}',
  })
  expect(await (await correctRoute(request)).json()).toMatchObject({ corrected: 1, rejected: [] })
  expect(await usedBy('units', 'u')).toBe('9007199254740996.12345678901234567891')
  const kept = await asSuperuser("select properties ->> 'id' as id from usage_events where properties ? 'id'")
  expect(kept).toEqual([{ id: '9007199254740997' }])
})

test('properties are told apart and added up', async () => {
  const device = (id: string) => `{"meter_id":"devices","user_id":"d","properties":{"device":${id}}}`
  await send('track', `[${['9007199254740992', '9007199254740993', '9007199254740993'].map(device).join(',')}]`)
  expect(await usedBy('devices', 'd')).toBe(2)
  const paid = (amount: string) => `{"meter_id":"paid","user_id":"p","properties":{"amount":${amount}}}`
  await send('track', `[${['12345678901234567890', '0.00000000000000000001'].map(paid).join(',')}]`)
  expect(await usedBy('paid', 'p')).toBe('12345678901234567890.00000000000000000001')
})

test('what is held and settled', async () => {
  const held = await send('reserve', '{"meter_id":"units","user_id":"r","amount":9007199254740993}')
  expect(held.body.reservation.amount).toBe('9007199254740993')
  const settled = await send('settle', `{"reservation_id":"${held.body.reservation.id}","amount":9007199254740991.5}`)
  expect(settled.body).toMatchObject({ settled: '9007199254740991.5', used: '9007199254740991.5' })
})

test('events that came in, and refused ones, are shown as they were sent', async () => {
  const kept = [
    '"a":9007199254740993',
    '"b":-12345678901234567890.125',
    '"c":1.5',
    '"d":"9007199254740993"',
    '"a.f":90071992547409931',
  ]
  const event = (meter: string, value: string) =>
    `{"meter_id":"${meter}","user_id":"seen","event_id":"seen","event_value":${value},"properties":{${kept.join(',')}}}`
  await send('track', event('units', '1'))
  await send('track', event('nothing', '9007199254740993'))
  const shown = async (handler: Parameters<typeof call>[0], path: string, params: Record<string, string> = {}) => {
    const { status, text } = await call(handler, 'GET', `/api/v1/usage/${path}`, { as: acme.api_key, params })
    expect(status).toBe(200)
    return text
  }
  const whole = (text: string) => kept.filter((each) => !text.includes(each))
  const list = await shown(eventsRoute, 'events?event_id=seen')
  expect(whole(list)).toEqual([])
  const [{ id }] = JSON.parse(list).data
  expect(whole(await shown(oneRoute, `events/${id}`, { id }))).toEqual([])
  // Another value leaves the rest as it was.
  const amended = await call(correctRoute, 'POST', '/api/v1/usage/correct', {
    as: acme.api_key,
    body: { action: 'amend', id, event_value: 2 },
  })
  expect(amended.body).toMatchObject({ corrected: 1 })
  const [{ replaced_by }] = amended.body.results
  expect(whole(await shown(oneRoute, `events/${replaced_by}`, { id: replaced_by }))).toEqual([])
  const refused = await shown(rejectionsRoute, 'rejections')
  expect([...whole(refused), refused.includes('9007199254740993')]).toEqual([true])
  const { text } = await call(openMeterRoute, 'GET', '/compat/openmeter/api/v1/events', { as: acme.api_key })
  expect(whole(text)).toEqual([])
})
