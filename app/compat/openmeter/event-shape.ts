import type { EventRow } from '@/features/usage-tracking/services/usage-event-service'
import type { RejectionRow } from '@/features/usage-tracking/services/usage-rejection-service'
import { isExactNumber } from '@/libs/ingest/exact-number'
import { DOTTED_PROPERTY, readDots } from './dotted-names'

/** The property that tells of an event which of its customer's names it was sent under. */
export const SUBJECT_PROPERTY = '$subject'

export type Listed = {
  event: {
    id: string
    source: string
    specversion: '1.0'
    type: string
    subject: string
    time: string
    data: unknown
  }
  customerId?: string
  validationError?: string
  ingestedAt: Date
  storedAt: Date
}
/** What of a meter tells how its events were sent. */
export type SentTo = { type: string; moved: readonly string[] }

/** An event that was counted, as it was sent; of its data what was kept, put together again by the paths of its names. */
export function toListedEvent(row: EventRow, { type, moved }: SentTo): Listed {
  const suffix = `#${row.meter}`
  const id = row.event_id ?? row.id
  const { [SUBJECT_PROPERTY]: subject, ...properties } = row.properties ?? {}
  return {
    event: {
      id: id.endsWith(suffix) ? id.slice(0, -suffix.length) : id,
      source: row.source ?? '',
      specversion: '1.0',
      type,
      subject: typeof subject === 'string' ? subject : row.user_id,
      time: row.occurred_at.toISOString(),
      data: row.properties === null ? { value: row.value } : nest(properties, moved),
    },
    customerId: row.customer_id,
    ingestedAt: row.received_at,
    storedAt: row.received_at,
  }
}

function nest(properties: Readonly<Record<string, unknown>>, moved: readonly string[]): Record<string, unknown> {
  const data: Record<string, unknown> = {}
  const dotted = readDots(properties[DOTTED_PROPERTY])
  for (const [path, value] of Object.entries(properties)) {
    // A group that has a path of its own stands there.
    if (moved.includes(path) || (dotted && path === DOTTED_PROPERTY)) continue
    const parts = [...(dotted?.get(path) ?? path.split('.'))]
    const last = parts.pop() ?? path
    let place: Record<string, unknown> | null = data
    for (const part of parts) place = place && stepInto(place, part)
    if (place && !Object.hasOwn(place, last)) define(place, last, value)
    else define(data, path, value)
  }
  return data
}

function stepInto(object: Record<string, unknown>, name: string): Record<string, unknown> | null {
  if (!Object.hasOwn(object, name)) define(object, name, {})
  const inner = object[name]
  return typeof inner === 'object' && inner !== null && !isExactNumber(inner)
    ? (inner as Record<string, unknown>)
    : null
}

function define(object: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true })
}

/** An event that was taken in and not counted, with the reason. */
export function toRefusedEvent(
  { id, received_at, detail, event }: RejectionRow,
  sentTo: (slug: string) => SentTo,
): Listed {
  const sent: Record<string, unknown> = typeof event === 'object' && event !== null ? { ...event } : {}
  const text = (value: unknown, otherwise: string) => (typeof value === 'string' ? value : otherwise)
  const meter = text(sent.meter_id, '')
  const suffix = `#${meter}`
  const eventId = text(sent.event_id, id)
  const { type, moved } = sentTo(meter)
  // What no meter is for is kept as it came, the rest as its meter would have counted it.
  const found = sent.data ?? sent.properties
  const { [SUBJECT_PROPERTY]: subject, ...data } = (typeof found === 'object' && found !== null ? found : {}) as Record<
    string,
    unknown
  >
  if (sent.data !== undefined && readDots(data[DOTTED_PROPERTY])) delete data[DOTTED_PROPERTY]
  return {
    event: {
      id: meter !== '' && eventId.endsWith(suffix) ? eventId.slice(0, -suffix.length) : eventId,
      source: text(sent.source, ''),
      specversion: '1.0',
      type: text(sent.type, type),
      subject: text(subject, text(sent.user_id, '')),
      time: text(sent.timestamp, received_at.toISOString()),
      data: sent.data === undefined ? nest(data, moved) : data,
    },
    validationError: detail,
    ingestedAt: received_at,
    storedAt: received_at,
  }
}
