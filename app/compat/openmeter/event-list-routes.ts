import { z } from 'zod'
import { zonedMoment } from '@/libs/api-utils/moment'
import { parseInput, parseJson } from '@/libs/api-utils/read-json'
import { ApiResponse, type TenantHandler } from '@/libs/api-utils/tenant-api-wrapper'
import { invalidInput } from '@/libs/errors'
import { findNamedCustomer } from './customer-names'
import { scanEvents } from './event-scan'
import type { Listed } from './event-shape'
import { filterString, passesFilter } from './filter-string'
import { openMeterRoute, readParameters } from './openmeter-route'

/** 255 characters may be twice as many units of UTF-16. */
const part = z.string().max(510)
const limit = z.coerce.number().int().min(1).max(100).default(100)
const READ = { permission: 'usage:read' } as const

const listParameters = z.object({
  ingestedAtFrom: zonedMoment.optional(),
  ingestedAtTo: zonedMoment.optional(),
  id: part.optional(),
  subject: part.trim().optional(),
  customerId: z.array(part).max(100),
  from: zonedMoment.optional(),
  to: zonedMoment.optional(),
  limit,
})

const isWithin = (at: number, from: string | null | undefined, to: string | null | undefined) =>
  (!from || at >= Date.parse(from)) && (!to || at <= Date.parse(to))
const contains = (text: string, wanted: string | undefined) =>
  wanted === undefined || text.toLowerCase().includes(wanted.toLowerCase())

/** Whose events to look through, when a name says so: its id. */
async function customerOf(name: string | undefined): Promise<string | undefined> {
  const row = name === undefined || name === '' ? null : await findNamedCustomer(name)
  return row?.id
}

const list = openMeterRoute(async (request) => {
  const parameters = readParameters(request)
  const asked = parseInput(listParameters, {
    ...Object.fromEntries(parameters),
    customerId: parameters.getAll('customerId'),
  })
  const { id, subject, customerId, from, to, ingestedAtFrom, ingestedAtTo } = asked
  const passes = ({ event, ingestedAt, customerId: whose }: Listed) =>
    isWithin(Date.parse(event.time), from, to) &&
    isWithin(ingestedAt.getTime(), ingestedAtFrom, ingestedAtTo) &&
    (customerId.length === 0 || (whose !== undefined && customerId.includes(whose)))
  const customer = customerId.length === 1 ? await customerOf(customerId[0]) : await customerOf(subject)
  // What is exactly so is found however old it is; else a part of it is enough.
  const exact = await scanEvents({
    customer,
    id,
    limit: asked.limit,
    passes: (listed) =>
      passes(listed) &&
      (id === undefined || listed.event.id === id) &&
      (subject === undefined || listed.event.subject === subject),
  })
  if (exact.items.length > 0 || (id === undefined && subject === undefined)) return ApiResponse.success(exact.items)
  const { items } = await scanEvents({
    limit: asked.limit,
    passes: (listed) => passes(listed) && contains(listed.event.id, id) && contains(listed.event.subject, subject),
  })
  return ApiResponse.success(items)
}, READ)

type Times = {
  $gt?: string | null | undefined
  $gte?: string | null | undefined
  $lt?: string | null | undefined
  $lte?: string | null | undefined
  $and?: Times[] | null | undefined
  $or?: Times[] | null | undefined
}
const times: z.ZodType<Times> = z.lazy(() =>
  z.strictObject({
    $gt: zonedMoment.nullish(),
    $gte: zonedMoment.nullish(),
    $lt: zonedMoment.nullish(),
    $lte: zonedMoment.nullish(),
    $and: z.array(times).max(20).nullish(),
    $or: z.array(times).max(20).nullish(),
  }),
)
const filterBody = z.strictObject({
  id: filterString.optional(),
  source: filterString.optional(),
  subject: filterString.optional(),
  type: filterString.optional(),
  customerId: z.strictObject({ $in: z.array(part).max(100).nullish() }).optional(),
  time: times.optional(),
  ingestedAt: times.optional(),
})

function isAt(at: number, asked: Times | undefined): boolean {
  if (!asked) return true
  const { $gt, $gte, $lt, $lte, $and, $or } = asked
  return (
    isWithin(at, $gte, $lte) &&
    (!$gt || at > Date.parse($gt)) &&
    (!$lt || at < Date.parse($lt)) &&
    ($and?.every((part) => isAt(at, part)) ?? true) &&
    ($or?.some((part) => isAt(at, part)) ?? true)
  )
}

function readFilter(text: string | null): z.infer<typeof filterBody> {
  if (text === null || text === '') return {}
  let value: unknown
  try {
    value = parseJson(text, { verbatim: true })
  } catch {
    throw invalidInput('/filter', 'must be the text of JSON')
  }
  return parseInput(z.object({ filter: filterBody }), { filter: value }).filter
}

const listFiltered: TenantHandler = async (request) => {
  const parameters = readParameters(request)
  const { limit: most } = parseInput(z.object({ limit }), { limit: parameters.get('limit') ?? undefined })
  const filter = readFilter(parameters.get('filter'))
  const customers = filter.customerId?.$in
  const { items, cursor } = await scanEvents({
    customer:
      customers?.length === 1 ? await customerOf(customers[0]) : await customerOf(filter.subject?.$eq ?? undefined),
    id: filter.id?.$eq ?? undefined,
    limit: most,
    cursor: parameters.get('cursor') ?? undefined,
    passes: ({ event, ingestedAt, customerId }) =>
      passesFilter(event.id, filter.id ?? {}) &&
      passesFilter(event.source, filter.source ?? {}) &&
      passesFilter(event.subject, filter.subject ?? {}) &&
      passesFilter(event.type, filter.type ?? {}) &&
      (!customers || (customerId !== undefined && customers.includes(customerId))) &&
      isAt(Date.parse(event.time), filter.time) &&
      isAt(ingestedAt.getTime(), filter.ingestedAt),
  })
  return ApiResponse.success({ items, ...(cursor === null ? {} : { nextCursor: cursor }) })
}
const listV2 = openMeterRoute(listFiltered, READ, ['filter'])

export const EVENT_LIST_PATHS = [
  ['GET', 'v1/events', list],
  ['GET', 'v2/events', listV2],
] as const
