import { z } from 'zod'
import { resolveSubjects } from '@/features/compatibility/services/customer-subject-service'
import { trackTypedEvents } from '@/features/usage-tracking/services/typed-event-service'
import { readIdempotencyKey } from '@/libs/api-utils/idempotency'
import { zonedMoment } from '@/libs/api-utils/moment'
import { parseInput, parseJson, readBody } from '@/libs/api-utils/read-json'
import { takeNumbers } from '@/libs/api-utils/taken-numbers'
import { ApiResponse } from '@/libs/api-utils/tenant-api-wrapper'
import { customerNameInput, givenNameInput } from '@/libs/api-utils/text-input'
import { newId } from '@/libs/ids'
import { DOTTED_PROPERTY, describeDots } from './dotted-names'
import { SUBJECT_PROPERTY } from './event-shape'
import { openMeterRoute } from './openmeter-route'

const name = givenNameInput(255)
// CloudEvents may carry further attributes; they are let pass.
const cloudEvent = z.looseObject({
  id: name.optional(),
  source: name.optional(),
  specversion: z.literal('1.0').optional(),
  type: name,
  subject: customerNameInput(),
  time: zonedMoment.nullish(),
  datacontenttype: z.literal('application/json').nullish(),
  data: z.preprocess(takeNumbers, z.record(z.string(), z.unknown())).nullish(),
})
const eventsBody = z.union([z.array(cloudEvent).min(1).max(1_000), cloudEvent.transform((event) => [event])])

const ingest = openMeterRoute(
  async (request) => {
    const body = parseJson(await readBody(request), { verbatim: true })
    // Which of the two it is decides what is said to be wrong with it.
    const events = parseInput(Array.isArray(body) ? eventsBody.options[0] : eventsBody.options[1], body)
    // Events without ids are told apart by the key of the request.
    const key = readIdempotencyKey(request)
    const named = await resolveSubjects([...new Set(events.map(({ subject }) => subject))])
    await trackTypedEvents(
      events.map(({ id, source, type, subject, time, data }, index) => ({
        type,
        user_id: named.get(subject) ?? subject,
        event_id: id ?? (key === null ? newId() : `${key.slice(0, 200)}#${index}`),
        ...(source === undefined ? {} : { source }),
        ...(time ? { timestamp: time } : {}),
        data: withNames(named.has(subject) ? subject : null, data ?? {}),
      })),
    )
    return ApiResponse.noContent()
  },
  { permission: 'usage:write', transaction: 'none' },
)

/**
 * What its properties alone would not tell is kept with the data: a subject that is another name of its customer, and
 * which names have dots. First, because of what no meter needs only as much is kept as there is room for.
 */
function withNames(subject: string | null, data: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const dots = describeDots(data)
  if (subject === null && dots === null) return data
  const told = {
    ...(subject === null ? {} : { [SUBJECT_PROPERTY]: subject }),
    ...(dots === null ? {} : { [DOTTED_PROPERTY]: dots }),
  }
  return { ...told, ...data, ...told }
}

export const EVENT_PATHS = [['POST', 'v1/events', ingest]] as const
