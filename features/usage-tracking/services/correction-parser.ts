import { AppError } from '@/libs/errors'
import { isUuid } from '@/libs/ids'
import { isExactNumber, parseExactly } from '@/libs/ingest/exact-number'
import { eventKey, nameSent, parseEvents, type Rejection, type UsageEvent } from './event-parser'

/** Most corrections of one request. */
const MAX_CORRECTIONS = 100

/** A correction that is well formed, as app.correct_usage takes it; only what is to change is there. */
export type Correction = {
  index: number
  action: 'cancel' | 'amend'
  key: string
  reason?: string
  meter_id?: string
  user_id?: string
  event_value?: string
  timestamp?: string
  properties?: unknown
}

const NAMING = ['action', 'id', 'event_id', 'source', 'reason']
const AMENDABLE = ['event_value', 'properties', 'timestamp', 'meter_id', 'user_id']
const REASON = /^[^\p{Cc}\p{Cs}]{1,500}$/u

/**
 * The corrections of a request body: one, or a list of them. What is wrong with one refuses that one alone.
 * @throws AppError invalid_input when there is none, or more than a hundred.
 */
export function parseCorrections(body: unknown): { corrections: Correction[]; rejected: Rejection[] } {
  const raw: readonly unknown[] = Array.isArray(body) ? body : [body]
  if (raw.length === 0) {
    throw new AppError('invalid_input', 'Send at least one correction.', {
      errors: [{ pointer: '', detail: 'holds no correction' }],
    })
  }
  if (raw.length > MAX_CORRECTIONS) {
    throw new AppError('invalid_input', `Send at most ${MAX_CORRECTIONS} corrections in one request.`, {
      errors: [{ pointer: '', detail: `holds ${raw.length} corrections, ${MAX_CORRECTIONS} are allowed` }],
    })
  }
  const corrections: Correction[] = []
  const rejected: Rejection[] = []
  for (const [index, input] of raw.entries()) {
    const parsed = parseCorrection(input, index)
    if ('code' in parsed) rejected.push(parsed)
    else corrections.push(parsed)
  }
  return { corrections, rejected }
}

function parseCorrection(input: unknown, index: number): Correction | Rejection {
  const refuse = (code: string, detail: string): Rejection => ({ index, code, detail })
  if (typeof input !== 'object' || input === null || Array.isArray(input) || isExactNumber(input))
    return refuse('invalid_correction', 'A correction must be an object.')
  const fields = input as Record<string, unknown>
  // What names an event may be null, as in events.
  const { action, reason, id = null, event_id = null } = fields
  if (action !== 'cancel' && action !== 'amend') return refuse('invalid_action', 'action must be cancel or amend.')
  const known = action === 'amend' ? [...NAMING, ...AMENDABLE] : NAMING
  const unknown = Object.keys(fields).find((name) => !known.includes(name))
  if (unknown !== undefined) {
    const why = AMENDABLE.includes(unknown) ? 'is for amend alone' : 'is not a field of a correction'
    return refuse('unknown_field', `${nameSent(fields, unknown)} ${why}.`)
  }
  if (reason !== undefined && (typeof reason !== 'string' || !REASON.test(reason)))
    return refuse('invalid_reason', 'reason must be 1 to 500 characters without control characters.')
  if ((id === null) === (event_id === null))
    return refuse('invalid_event_id', 'Name the event by its event_id (with its source, if it has one), or by its id.')
  if (id !== null && (typeof id !== 'string' || !isUuid(id))) return refuse('invalid_id', 'id must be a UUID.')
  const changed = AMENDABLE.filter((name) => fields[name] !== undefined)
  if (action === 'amend' && changed.length === 0)
    return refuse('unchanged', `Say what is to change: ${AMENDABLE.join(', ')}.`)
  if (fields.timestamp === null) return refuse('invalid_timestamp', 'An event cannot lose its timestamp.')

  // The rules for fields are those of events.
  const [event, wrong] = readFields(fields)
  if (!event) return { ...wrong, index }
  const correction: Correction = {
    index,
    action,
    key: typeof id === 'string' ? id.toLowerCase() : eventKey(event.source, event.event_id ?? ''),
  }
  if (typeof reason === 'string') correction.reason = reason
  if (changed.includes('meter_id')) correction.meter_id = event.meter
  if (changed.includes('user_id')) correction.user_id = event.user
  if (changed.includes('event_value')) correction.event_value = event.value
  if (changed.includes('timestamp') && event.time !== null) correction.timestamp = event.time
  if (changed.includes('properties'))
    correction.properties = event.properties === null ? null : parseExactly(event.properties)
  return correction
}

function readFields(fields: Record<string, unknown>): [UsageEvent, null] | [null, Rejection] {
  const { action: _action, id: _id, reason: _reason, ...rest } = fields
  const { events, rejected } = parseEvents([{ meter_id: 'unchanged', user_id: 'unchanged', ...rest }])
  const [event] = events
  if (event) return [event, null]
  return [null, rejected[0] ?? { index: 0, code: 'invalid_correction', detail: 'The correction cannot be read.' }]
}
