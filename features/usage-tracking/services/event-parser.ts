import { hash } from 'node:crypto'
import { asSent } from '@/libs/api-utils/field-names'
import { pointerOf } from '@/libs/api-utils/input-errors'
import { cutText, toStorable } from '@/libs/cut-text'
import { AppError, invalidInput } from '@/libs/errors'
import { newId } from '@/libs/ids'
import { expandNumber } from '@/libs/ingest/decimal'
import { digitsOf, isExactNumber, parseExactly } from '@/libs/ingest/exact-number'
import { readTime, TIMES } from './event-time'

/** Most events of one request. */
export const MAX_EVENTS = 1_000

/** A usage event that is well formed, ready for the database. */
export type UsageEvent = {
  /** Position in the request. */
  index: number
  meter: string
  user: string
  /** Exact decimal text. */
  value: string
  /** Primary key: from source and event_id, so that the same event has the same key, else a new one. */
  key: string
  event_id: string | null
  source: string | null
  /** RFC 3339, or null for the moment of reception. */
  time: string | null
  /** JSON text, or null. */
  properties: string | null
  /** Event this one replaces. */
  corrects?: string
}

/** An event that is refused, by its position in the request. */
export type Rejection = { index: number; code: string; detail: string }

export type ParsedEvents = {
  events: UsageEvent[]
  rejected: Rejection[]
  /** What was refused here, by its position. The rest of what was sent is let go of: a queue of it is work for the garbage collector. */
  refused: Map<number, unknown>
}

const UNREADABLE = Symbol('unreadable')
/** No control characters, and no half ones. */
const TEXT = /^[^\p{Cc}\p{Cs}]{1,255}$/u
const METER = /^[a-z0-9][a-z0-9_-]{0,63}$/i
const DECIMAL = /^[+-]?\d{1,30}(?:\.\d{1,20})?$/
/** In JSON text: NUL, or a surrogate without its other half. */
const UNSTORABLE = /(?<!\\)((?:\\\\)*)\\u(?:0000|d[89a-f][\da-f]{2})/
const EACH_UNSTORABLE = new RegExp(UNSTORABLE, 'g')
const FIELDS = new Set(['meter_id', 'user_id', 'event_value', 'properties', 'event_id', 'source', 'timestamp'])
const MAX_PROPERTIES = 64
const MAX_PROPERTIES_LENGTH = 8_192

/**
 * The events of a request body: one event, a list of them, or `{events: [...]}`. What is wrong with one event refuses
 * that event alone. @throws AppError invalid_input when there is none, or more than a thousand.
 */
export function parseEvents(body: unknown): ParsedEvents {
  const raw = listOf(body)
  if (raw.length === 0) {
    throw new AppError('invalid_input', 'Send at least one event.', {
      errors: [{ pointer: '', detail: 'holds no event' }],
    })
  }
  if (raw.length > MAX_EVENTS) {
    throw new AppError('invalid_input', `Send at most ${MAX_EVENTS} events in one request.`, {
      errors: [{ pointer: '', detail: `holds ${raw.length} events, ${MAX_EVENTS} are allowed` }],
    })
  }
  const events: UsageEvent[] = []
  const rejected: Rejection[] = []
  const refused = new Map<number, unknown>()
  for (let index = 0; index < raw.length; index += 1) {
    const parsed = parseEvent(raw[index], index)
    if ('code' in parsed) {
      rejected.push(parsed)
      refused.set(index, toStorableJson(raw[index]))
    } else events.push(parsed)
  }
  return { events, rejected, refused }
}

function listOf(body: unknown): readonly unknown[] {
  if (Array.isArray(body)) return body
  if (typeof body === 'object' && body !== null && 'events' in body && !('meter_id' in body)) {
    const unknown = Object.keys(body).find((name) => name !== 'events')
    if (unknown !== undefined)
      throw invalidInput(asSent(body, { pointer: pointerOf([unknown]), detail: '' }).pointer, 'is not a known field')
    if (Array.isArray(body.events)) return body.events
    throw invalidInput('/events', 'must be a list')
  }
  return [body]
}

function parseEvent(input: unknown, index: number): UsageEvent | Rejection {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    return refuse(index, 'invalid_event', 'An event must be an object.')
  }
  const event = input as Record<string, unknown>
  for (const name in event)
    if (!FIELDS.has(name))
      return isExactNumber(event)
        ? refuse(index, 'invalid_event', 'An event must be an object.')
        : refuse(index, 'unknown_field', `${nameSent(event, name)} is not a field of an event.`)

  const { meter_id: meter } = event
  if (typeof meter !== 'string' || !METER.test(meter)) {
    return refuse(index, 'invalid_meter_id', 'meter_id must be the id or slug of a meter.')
  }
  const user = readName(typeof event.user_id === 'string' ? event.user_id.trim() : event.user_id)
  if (user === null || user === UNREADABLE) {
    return refuse(index, 'invalid_user_id', 'user_id must be 1 to 255 characters without control characters.')
  }
  const value = readValue(event.event_value)
  if (value === null) {
    return refuse(
      index,
      'invalid_value',
      'event_value must be a number or decimal text of at most 30 digits before and 20 after the point.',
    )
  }
  const eventId = readName(event.event_id)
  if (eventId === UNREADABLE) {
    return refuse(index, 'invalid_event_id', 'event_id must be 1 to 255 characters without control characters.')
  }
  const source = readName(event.source)
  if (source === UNREADABLE || (source !== null && typeof event.source !== 'string')) {
    return refuse(index, 'invalid_source', 'source must be 1 to 255 characters without control characters.')
  }
  const time = readTime(event.timestamp)
  if (typeof time === 'object' && time !== null) return refuse(index, time.wrong, TIMES[time.wrong])
  const properties = readProperties(event.properties)
  if (properties !== null && typeof properties === 'object')
    return refuse(index, 'invalid_properties', properties.wrong)
  return {
    index,
    meter: meter.toLowerCase(),
    user,
    value,
    key: eventId === null ? newId() : eventKey(source, eventId),
    event_id: eventId,
    source,
    time,
    properties,
  }
}

function refuse(index: number, code: string, detail: string): Rejection {
  return { index, code, detail }
}

/** An event as its sender would recognise it. */
export function describeEvent({ meter, user, value, event_id, source, time, properties }: UsageEvent): unknown {
  return {
    meter_id: meter,
    user_id: user,
    event_value: value,
    ...(event_id === null ? {} : { event_id }),
    ...(source === null ? {} : { source }),
    ...(time === null ? {} : { timestamp: time }),
    ...(properties === null ? {} : { properties: parseExactly(properties) }),
  }
}

/** Key of an event that has an id of its own: 122 bits of SHA-256 as a UUID version 8. */
export function eventKey(source: string | null, eventId: string): string {
  const hex = hash('sha256', `${source ?? ''}\n${eventId}`, 'hex')
  const variant = '89ab'[Number.parseInt(hex.charAt(16), 16) & 3]
  return `${hex.slice(0, 12)}8${hex.slice(13, 16)}${variant}${hex.slice(17, 32)}`
}

/** A name as text: whole numbers are taken as well, nothing is null. */
function readName(input: unknown): string | null | typeof UNREADABLE {
  if (input === undefined || input === null) return null
  if (typeof input === 'string') return TEXT.test(input) ? input : UNREADABLE
  return Number.isSafeInteger(input) ? String(input) : UNREADABLE
}

/** An amount as exact decimal text, 1 when there is none, null when it is not an amount. */
function readValue(input: unknown): string | null {
  if (input === undefined) return '1'
  if (typeof input === 'string') return DECIMAL.test(input) ? input : null
  if (typeof input !== 'number') return isExactNumber(input) && DECIMAL.test(digitsOf(input)) ? digitsOf(input) : null
  if (!Number.isFinite(input)) return null
  const size = Math.abs(input)
  if (size >= 1e30) return null
  return size === 0 || size >= 1e-18 || DECIMAL.test(expandNumber(input)) ? String(input) : null
}

function readProperties(input: unknown): string | null | { wrong: string } {
  if (input === undefined || input === null) return null
  if (typeof input !== 'object' || Array.isArray(input) || isExactNumber(input))
    return { wrong: 'properties must be an object.' }
  let count = 0
  const properties = input as Record<string, unknown>
  for (const name in properties) {
    count += 1
    const value = properties[name]
    if (name.length > 128) return { wrong: 'A property name may have at most 128 characters.' }
    if (typeof value === 'object' && value !== null && !isExactNumber(value))
      return { wrong: `${clip(name)} must be text, a number, true, false or null.` }
    if (typeof value === 'number' && !Number.isFinite(value)) return { wrong: `${clip(name)} is not a finite number.` }
  }
  if (count === 0) return null
  if (count > MAX_PROPERTIES) return { wrong: `At most ${MAX_PROPERTIES} properties are allowed.` }
  const text = JSON.stringify(properties)
  if (text.includes('\\u') && UNSTORABLE.test(text))
    return { wrong: 'properties must not hold NUL or half a character.' }
  if (text.length > MAX_PROPERTIES_LENGTH)
    return { wrong: `properties may be at most ${MAX_PROPERTIES_LENGTH} characters.` }
  return text
}

/** What a field was called by its sender, as it can be told. */
export function nameSent(fields: Readonly<Record<string, unknown>>, name: string): string {
  return clip(asSent(fields, { pointer: `/${name}`, detail: '' }).pointer.slice(1))
}

/** A name as it can be told and kept. */
function clip(name: string): string {
  const text = toStorable(name)
  return text.length > 64 ? `${cutText(text, 64)}…` : text
}

/** What was refused, so that it can be kept: what Postgres cannot take in is a replacement character. */
function toStorableJson(input: unknown): unknown {
  const text = JSON.stringify(input)
  return UNSTORABLE.test(text) ? parseExactly(text.replace(EACH_UNSTORABLE, '$1\\ufffd')) : input
}
