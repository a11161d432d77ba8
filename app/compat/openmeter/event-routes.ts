import { z } from 'zod'
import { getCustomer } from '@/features/customers/services/customer-service'
import { listMeters } from '@/features/meters/services/meter-service'
import { trackTypedEvents } from '@/features/usage-tracking/services/typed-event-service'
import { type EventRow, listEvents } from '@/features/usage-tracking/services/usage-event-service'
import { listRejections, type RejectionRow } from '@/features/usage-tracking/services/usage-rejection-service'
import { readIdempotencyKey } from '@/libs/api-utils/idempotency'
import { parseInput } from '@/libs/api-utils/read-json'
import { ApiResponse } from '@/libs/api-utils/tenant-api-wrapper'
import { AppError } from '@/libs/errors'
import { newId } from '@/libs/ids'
import { openMeterRoute, readAll, readExact, readParameters } from './openmeter-route'

const name = z
  .string()
  .min(1)
  .max(255)
  .regex(/^[^\p{Cc}]*$/u, 'must not hold control characters')
const moment = z.iso.datetime({ offset: true, error: 'must be RFC 3339 with a zone' })
// CloudEvents may carry further attributes; they are let pass.
const cloudEvent = z.looseObject({
  id: name.optional(),
  source: name.optional(),
  specversion: z.literal('1.0').optional(),
  type: name,
  subject: name,
  time: moment.nullish(),
  datacontenttype: z.literal('application/json').nullish(),
  data: z.record(z.string(), z.unknown()).nullish(),
})
const eventsBody = z.union([z.array(cloudEvent).min(1).max(1_000), cloudEvent.transform((event) => [event])])

const ingest = openMeterRoute(
  async (request) => {
    const body = await readExact(request, z.unknown())
    // Which of the two it is decides what is said to be wrong with it.
    const events = parseInput(Array.isArray(body) ? eventsBody.options[0] : eventsBody.options[1], body)
    // Events without ids are told apart by the key of the request.
    const key = readIdempotencyKey(request)
    await trackTypedEvents(
      events.map(({ id, source, type, subject, time, data }, index) => ({
        type,
        user_id: subject,
        event_id: id ?? (key === null ? newId() : `${key.slice(0, 200)}#${index}`),
        ...(source === undefined ? {} : { source }),
        ...(time ? { timestamp: time } : {}),
        data: data ?? {},
      })),
    )
    return ApiResponse.noContent()
  },
  { permission: 'usage:write', transaction: 'none' },
)

const PAGES = 20
const listParameters = z.object({
  clientId: z.string().optional(),
  ingestedAtFrom: moment.optional(),
  ingestedAtTo: moment.optional(),
  id: name.optional(),
  subject: name.optional(),
  customerId: z.string().max(255).optional(),
  from: moment.optional(),
  to: moment.optional(),
  limit: z.coerce.number().int().min(1).max(100).default(100),
})
type Parameters = z.infer<typeof listParameters>
type Listed = {
  event: Record<string, unknown> & { id: string; subject: string; time: string }
  customerId?: string
  validationError?: string
  ingestedAt: Date
  storedAt: Date
}

const list = openMeterRoute(
  async (request) => {
    const asked = parseInput(listParameters, Object.fromEntries(readParameters(request)))
    const customer = asked.customerId ?? asked.subject
    // Somebody nothing was counted for may have events that were refused.
    const isKnown = customer === undefined || (await isCustomer(customer))
    const counted = isKnown ? await listCounted(asked, customer) : []
    const refused = await listRefused(asked)
    const rows = [...counted, ...refused].sort((a, b) => b.ingestedAt.getTime() - a.ingestedAt.getTime())
    return ApiResponse.success(rows.slice(0, asked.limit))
  },
  { permission: 'usage:read' },
)

async function isCustomer(reference: string): Promise<boolean> {
  try {
    await getCustomer(reference)
    return true
  } catch (error) {
    if (error instanceof AppError && error.code === 'not_found') return false
    throw error
  }
}

function isAsked(listed: Listed, { from, to, ingestedAtFrom, ingestedAtTo }: Parameters): boolean {
  const within = (at: number, start: string | undefined, end: string | undefined) =>
    (start === undefined || at >= Date.parse(start)) && (end === undefined || at <= Date.parse(end))
  return (
    within(Date.parse(listed.event.time), from, to) && within(listed.ingestedAt.getTime(), ingestedAtFrom, ingestedAtTo)
  )
}

/** Events that were counted, each once however many meters it has. */
async function listCounted(asked: Parameters, customer: string | undefined): Promise<Listed[]> {
  const meters = await readAll((cursor) => listMeters({ cursor, limit: 200, archived: 'all' }))
  const bySlug = new Map(meters.map((meter) => [meter.slug, meter]))
  const found = new Map<string, Listed>()
  let cursor: string | undefined
  for (let page = 0; page < PAGES && found.size < asked.limit; page += 1) {
    const { data, next_cursor } = await listEvents({
      cursor,
      limit: 200,
      ...(customer === undefined ? {} : { customer }),
      ...(asked.id === undefined ? {} : { event_id: asked.id }),
      ...(asked.ingestedAtFrom === undefined ? {} : { from: asked.ingestedAtFrom }),
    })
    for (const row of data) {
      if (row.corrects !== null) continue
      const listed = toListed(row, bySlug.get(row.meter)?.event_type ?? row.meter)
      const key = JSON.stringify([listed.event.source, listed.event.id])
      if (!found.has(key) && isAsked(listed, asked)) found.set(key, listed)
    }
    if (next_cursor === null) break
    cursor = next_cursor
  }
  return [...found.values()]
}

function toListed(row: EventRow, type: string): Listed {
  const suffix = `#${row.meter}`
  const id = row.event_id ?? row.id
  return {
    event: {
      id: id.endsWith(suffix) ? id.slice(0, -suffix.length) : id,
      source: row.source ?? '',
      specversion: '1.0',
      type,
      subject: row.user_id,
      time: row.occurred_at.toISOString(),
      data: row.properties ?? { value: row.value },
    },
    customerId: row.customer_id,
    ingestedAt: row.received_at,
    storedAt: row.received_at,
  }
}

/** Events that were taken in and not counted, with the reason. */
async function listRefused(asked: Parameters): Promise<Listed[]> {
  if (asked.customerId !== undefined) return []
  const { data } = await listRejections({ limit: 200 })
  return data
    .map(toRefused)
    .filter(
      (listed) =>
        (asked.id === undefined || listed.event.id === asked.id) &&
        (asked.subject === undefined || listed.event.subject === asked.subject) &&
        isAsked(listed, asked),
    )
}

function toRefused({ id, received_at, detail, event }: RejectionRow): Listed {
  const sent: Record<string, unknown> = typeof event === 'object' && event !== null ? { ...event } : {}
  const text = (value: unknown, otherwise: string) => (typeof value === 'string' ? value : otherwise)
  return {
    event: {
      id: text(sent.event_id, id),
      source: text(sent.source, ''),
      specversion: '1.0',
      type: text(sent.type ?? sent.meter_id, ''),
      subject: text(sent.user_id, ''),
      time: text(sent.timestamp, received_at.toISOString()),
      data: sent.data ?? sent.properties ?? {},
    },
    validationError: detail,
    ingestedAt: received_at,
    storedAt: received_at,
  }
}

export const EVENT_PATHS = [
  ['POST', 'v1/events', ingest],
  ['GET', 'v1/events', list],
] as const
