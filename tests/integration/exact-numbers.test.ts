// Numbers of JSON beyond what a double holds, from the wire to the totals: counted to the last digit.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { POST as postMeter } from '@/app/api/v1/meters/route'
import { POST as correctRoute } from '@/app/api/v1/usage/correct/route'
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
