import { z } from 'zod'
import { type TypedRejection, trackTypedEvents } from '@/features/usage-tracking/services/typed-event-service'
import { correctUsage, findMetersOf } from '@/features/usage-tracking/services/usage-correction-service'
import { readIdempotencyKey } from '@/libs/api-utils/idempotency'
import { pointerOf } from '@/libs/api-utils/input-errors'
import { ApiResponse } from '@/libs/api-utils/tenant-api-wrapper'
import { AppError, unauthenticated } from '@/libs/errors'
import { newId } from '@/libs/ids'
import { readMeters } from './meter-routes'
import { isLive, readFields, readJsonFields, refuse, seconds, stripeRoute, toSeconds } from './stripe-route'

const name = (sentence: string, longest = 255) =>
  z
    .string({ error: `is needed: ${sentence}` })
    .min(1, 'must not be empty')
    .max(longest, `must be at most ${longest} characters`)
    .regex(/^[^\p{Cc}]*$/u, 'must not hold control characters')

const eventFields = z.strictObject({
  event_name: name('which meters it is for', 100),
  payload: z.record(z.string(), z.string(), { error: 'is needed: payload[stripe_customer_id] and payload[value]' }),
  identifier: name('its own', 100).optional(),
  timestamp: seconds.optional(),
})

/** What is refused here as there. What is left — a cap of the customer — is taken in, not counted, and listed with its reason. */
const REFUSED: Readonly<Record<string, readonly [pointer: string, code: string, detail?: string]>> = {
  unknown_meter: ['/event_name', 'resource_missing'],
  meter_archived: ['/event_name', 'archived_meter'],
  unknown_customer: ['/payload/stripe_customer_id', 'resource_missing'],
  customer_archived: ['/payload/stripe_customer_id', 'resource_missing'],
  invalid_user_id: [
    '/payload/stripe_customer_id',
    'parameter_invalid',
    'must be 1 to 255 characters without control characters',
  ],
  invalid_properties: ['/payload', 'parameter_invalid'],
  timestamp_too_old: ['/timestamp', 'timestamp_too_far_in_past'],
  timestamp_in_future: ['/timestamp', 'timestamp_in_future'],
  invalid_timestamp: ['/timestamp', 'parameter_invalid'],
  conflict: [
    '/identifier',
    'resource_already_exists',
    'an event with this identifier was counted before with other content',
  ],
}
/** What is wrong with the value, under whatever key its meter has it. */
const OF_VALUE = new Set(['invalid_value', 'invalid_property', 'negative_value'])

/** Before the year 2000 is before anything is accepted. */
const EARLIEST = 946_684_800

type SentEvent = {
  event_name: string
  payload: Readonly<Record<string, string>>
  identifier?: string | undefined
  timestamp?: number | string | undefined
}

/** Counts one event, and gives what it is known by. @throws AppError invalid_input for what cannot be counted. */
async function takeIn(request: Request, { event_name, payload, timestamp, ...sent }: SentEvent): Promise<string> {
  const { stripe_customer_id: customer, ...data } = payload
  if (customer === undefined || customer === '')
    throw refuse('/payload/stripe_customer_id', 'is needed: whose usage it is', 'parameter_missing')
  // Without an identifier the key of the request is what makes it safe to repeat.
  const identifier = sent.identifier ?? readIdempotencyKey(request) ?? newId()
  const event = { type: event_name, user_id: customer, event_id: identifier, data }
  if (typeof timestamp === 'number' && timestamp < EARLIEST)
    throw refuse('/timestamp', 'lies further back than is accepted', 'timestamp_too_far_in_past')
  // A number alone would have to be guessed to be seconds or milliseconds.
  const at = typeof timestamp === 'number' ? new Date(timestamp * 1_000).toISOString() : timestamp
  const result = await trackTypedEvents([at === undefined ? event : { ...event, timestamp: at }])
  const [first] = result.rejected
  if (first && result.inserted + result.duplicates === 0) refuseEvent(first, data, sent.identifier === undefined)
  return identifier
}

const eventBody = eventFields.extend({
  timestamp: z.iso.datetime({ offset: true, error: 'must be RFC 3339 with a zone' }).optional(),
})

const SESSION_MS = 15 * 60_000

/** The token of a session is the key that asked for it: nothing is stored, and it works for as long as the key does. */
const openSession = stripeRoute(
  async (request) => {
    const [, token] = /^Bearer (\S+)$/i.exec(request.headers.get('authorization') ?? '') ?? []
    if (token === undefined) throw unauthenticated()
    const created = Date.now()
    return ApiResponse.success({
      id: newId(),
      object: 'v2.billing.meter_event_session',
      authentication_token: token,
      created: new Date(created).toISOString(),
      expires_at: new Date(created + SESSION_MS).toISOString(),
      livemode: isLive(request),
    })
  },
  { permission: 'usage:write', transaction: 'none' },
)

const streamBody = z.strictObject({
  events: z
    .array(
      eventBody.extend({
        payload: z
          .object({ stripe_customer_id: name('whose usage it is') }, { error: 'is needed: whose usage it is' })
          .catchall(z.string()),
      }),
    )
    .min(1)
    .max(1_000),
})

/** Events of a session: what cannot be counted is listed among the refused and takes none of the others along. */
const stream = stripeRoute(
  async (request) => {
    const { events } = await readJsonFields(request, streamBody)
    const key = readIdempotencyKey(request)
    await trackTypedEvents(
      events.map(({ event_name, payload: { stripe_customer_id, ...data }, identifier, timestamp }, index) => ({
        type: event_name,
        user_id: stripe_customer_id,
        event_id: identifier ?? (key === null ? newId() : `${key.slice(0, 200)}#${index}`),
        data,
        ...(timestamp === undefined ? {} : { timestamp }),
      })),
    )
    return ApiResponse.success({})
  },
  { permission: 'usage:write', transaction: 'none' },
)

/** One event, in the words and with the clock of a version of the wire. */
const trackAs = (object: string, read: (request: Request) => Promise<SentEvent>, now: () => number | string) =>
  stripeRoute(
    async (request) => {
      const sent = await read(request)
      const identifier = await takeIn(request, sent)
      const created = now()
      const { event_name, payload, timestamp = created } = sent
      const livemode = isLive(request)
      return ApiResponse.success({ object, created, event_name, identifier, livemode, payload, timestamp })
    },
    { permission: 'usage:write', transaction: 'none' },
  )

const track = trackAs(
  'billing.meter_event',
  (request) => readFields(request, eventFields),
  () => toSeconds(new Date()),
)
const trackV2 = trackAs(
  'v2.billing.meter_event',
  (request) => readJsonFields(request, eventBody),
  () => new Date().toISOString(),
)

function refuseEvent(rejection: TypedRejection, data: Readonly<Record<string, string>>, byKey: boolean): void {
  const { code } = rejection
  if (code === 'conflict' && byKey)
    throw new AppError('idempotency_mismatch', 'This Idempotency-Key was used before with another request.')
  if (OF_VALUE.has(code)) throw refuseValue(rejection, data)
  const [pointer, name, detail = rejection.detail] = REFUSED[code] ?? []
  if (pointer !== undefined) throw refuse(pointer, detail, name)
}

function refuseValue(
  { code, detail, value_property }: TypedRejection,
  data: Readonly<Record<string, string>>,
): AppError {
  const key = value_property ?? 'value'
  const value = Object.hasOwn(data, key) ? data[key] : undefined
  const pointer = pointerOf(['payload', key])
  if (value === undefined) return refuse(pointer, 'is needed: what its meter counts', 'meter_event_value_not_found')
  if (code === 'negative_value') return refuse(pointer, detail, 'meter_event_invalid_value')
  return /^[+-]?\d+(?:\.\d+)?$/.test(value)
    ? refuse(pointer, 'has more than 30 digits before the point, or 20 after it', 'meter_event_value_too_many_digits')
    : refuse(pointer, 'must be a number such as 25 or 0.5', 'meter_event_invalid_value')
}

const adjustmentFields = z.strictObject({
  event_name: name('which meters it is for', 100),
  type: z.literal('cancel', 'must be cancel'),
  cancel: z.strictObject({ identifier: name('the event to cancel') }, { error: 'is needed: cancel[identifier]' }),
})

type Adjustment = z.infer<typeof adjustmentFields>

/** Cancels an event in every meter of its name. @throws AppError invalid_input when there is none. */
async function cancelEvent({ event_name, cancel }: Adjustment): Promise<void> {
  const meters = (await readMeters()).filter((meter) => (meter.event_type ?? meter.slug) === event_name).reverse()
  if (meters.length === 0) throw refuse('/event_name', 'no meter counts events of this name', 'resource_missing')
  // The oldest meter knows an event by its identifier, the others by that and their slug.
  const names = meters.map(({ id, slug }, index) => ({
    meter_id: id,
    event_id: index === 0 ? cancel.identifier : `${cancel.identifier}#${slug}`,
  }))
  const counted = await findMetersOf(names.map(({ event_id }) => event_id))
  // What goes by the same name elsewhere is another event.
  const events = names.filter(({ event_id, meter_id }) => counted.get(event_id) === meter_id)
  if (events.length === 0) throw refuse('/cancel/identifier', 'there is no such event', 'resource_missing')
  const { corrected, duplicates, rejected } = await correctUsage(
    events.map(({ event_id }) => ({ action: 'cancel', event_id })),
  )
  if (corrected + duplicates === 0)
    throw refuse('/cancel/identifier', rejected[0]?.detail ?? 'there is no such event', 'resource_missing')
}

/** The cancelling of one event; what only one version of the wire says of it is `more`. */
const adjustAs = (object: string, read: (request: Request) => Promise<Adjustment>, more: () => object = () => ({})) =>
  stripeRoute(
    async (request) => {
      const sent = await read(request)
      await cancelEvent(sent)
      return ApiResponse.success({ ...more(), object, ...sent, livemode: isLive(request), status: 'complete' })
    },
    { permission: 'usage:write' },
  )

const adjust = adjustAs('billing.meter_event_adjustment', (request) => readFields(request, adjustmentFields))
const adjustV2 = adjustAs(
  'v2.billing.meter_event_adjustment',
  (request) => readJsonFields(request, adjustmentFields),
  () => ({ id: newId(), created: new Date().toISOString() }),
)

export const EVENT_PATHS = [
  ['POST', 'v1/billing/meter_events', track],
  ['POST', 'v1/billing/meter_event_adjustments', adjust],
  ['POST', 'v2/billing/meter_events', trackV2],
  ['POST', 'v2/billing/meter_event_adjustments', adjustV2],
  ['POST', 'v2/billing/meter_event_session', openSession],
  ['POST', 'v2/billing/meter_event_stream', stream],
] as const
