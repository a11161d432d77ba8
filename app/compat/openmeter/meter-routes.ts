import { z } from 'zod'
import { readAll } from '@/app/compat/read-all'
import { keepRecord, readRecords } from '@/features/compatibility/services/compat-record-service'
import { AGGREGATIONS, meterInput } from '@/features/meters/schema'
import { createMeter, getMeter, listMeters, type MeterRow, updateMeter } from '@/features/meters/services/meter-service'
import { parseInput } from '@/libs/api-utils/read-json'
import { ApiResponse } from '@/libs/api-utils/tenant-api-wrapper'
import { invalidInput } from '@/libs/errors'
import { toJsonPath, toProperty } from './json-path'
import { inOrder, openMeterRoute, pageOfAll, readExact, readPaging, readParameters } from './openmeter-route'

/** What is kept of a meter as it was sent; one that only counts for a feature is not listed. */
export type SentMeter = { metadata?: unknown; feature?: string }

/** What says whose usage it is, of which no property can be told apart. */
const OF_THE_CUSTOMER = new Set(['subject', 'customer', 'customer_id'])
const NAME = /^[A-Za-z0-9]+(?:_[A-Za-z0-9]+)*$/
const path = z.string().transform((text, context) => {
  const property = toProperty(text)
  if (property !== null) return property
  context.addIssue({ code: 'custom', message: 'must be a plain JSONPath of at most 128 characters, such as $.tokens' })
  return z.NEVER
})
const groupBy = z.record(z.string().regex(NAME, 'must be letters, digits and single _ between'), path)
const described = {
  name: z.string().optional(),
  description: z.string().optional(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
}
const createBody = z.strictObject({
  ...described,
  slug: z
    .string()
    .max(64)
    .regex(/^[a-z0-9]+(?:_[a-z0-9]+)*$/, 'must be lower-case letters and digits, with single _ between'),
  aggregation: z.enum(AGGREGATIONS),
  eventType: z.string(),
  eventFrom: z.never({ error: 'is not possible: a meter counts what comes in from its creation on' }).optional(),
  valueProperty: path.optional(),
  groupBy: groupBy.optional(),
})
const updateBody = z.strictObject({ ...described, groupBy: z.record(z.string(), z.string()).optional() })

/** A meter as the wire has it. */
function toOpenMeter(row: MeterRow, sent: SentMeter | undefined) {
  return {
    id: row.id,
    slug: row.slug,
    name: row.name,
    ...(row.description ? { description: row.description } : {}),
    aggregation: row.aggregation,
    eventType: row.event_type ?? row.slug,
    ...(row.value_property === null ? {} : { valueProperty: toJsonPath(row.value_property) }),
    groupBy: groupPaths(row),
    ...(sent?.metadata ? { metadata: sent.metadata } : {}),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    ...(row.archived_at ? { deletedAt: row.archived_at } : {}),
  }
}

/** Meters as the wire has them, without those that only count for a feature. */
async function shown(rows: readonly MeterRow[]) {
  const sent: Map<string, SentMeter> = await readRecords(
    'meter',
    rows.map(({ id }) => id),
  )
  return rows
    .map((row) => ({ row, sent: sent.get(row.id) }))
    .map(({ row, sent }) => ({ shown: toOpenMeter(row, sent), sent }))
}

async function showOne(row: MeterRow): Promise<Response> {
  const [one] = await shown([row])
  return ApiResponse.success(one?.shown)
}

function groupPaths({ group_by, property_paths }: MeterRow): Record<string, string> {
  return Object.fromEntries(group_by.map((name) => [name, toJsonPath(property_paths?.[name] ?? name)]))
}

const create = openMeterRoute(
  async (request) => {
    const { metadata, ...sent } = await readExact(request, createBody)
    const { slug, name, description, aggregation, eventType, valueProperty, groupBy } = sent
    const groups = Object.entries(groupBy ?? {})
    const reserved = groups.find(([group]) => OF_THE_CUSTOMER.has(group))
    if (reserved)
      throw invalidInput(
        `/groupBy/${reserved[0]}`,
        'is reserved: usage can be grouped by subject and customer_id as it is',
      )
    const moved = groups.filter(([group, property]) => group !== property)
    const input = {
      slug,
      name: name ?? slug,
      description: description ?? '',
      aggregation,
      event_type: eventType,
      value_property: aggregation === 'COUNT' ? null : (valueProperty ?? null),
      group_by: groups.map(([group]) => group),
      // A correction is an event of a negative amount there.
      allows_negative: aggregation !== 'COUNT' && aggregation !== 'UNIQUE_COUNT',
      ...(moved.length > 0 ? { property_paths: Object.fromEntries(moved) } : {}),
    }
    if (aggregation !== 'COUNT' && valueProperty === undefined)
      throw invalidInput('/valueProperty', 'is needed: where the value of an event is')
    const row = await createMeter(parseInput(meterInput, input))
    if (metadata) await keepRecord('meter', row.id, { metadata })
    return showOne(row)
  },
  { permission: 'meters:write' },
)

const ORDERS = {
  key: 'slug',
  name: 'name',
  aggregation: 'aggregation',
  createdAt: 'createdAt',
  updatedAt: 'updatedAt',
} as const

const list = openMeterRoute(
  async (request) => {
    const parameters = readParameters(request)
    const paging = readPaging(parameters)
    const archived = parameters.get('includeDeleted') === 'true' ? 'all' : 'false'
    const rows = await readAll((cursor) => listMeters({ cursor, limit: 200, archived }))
    const listed = (await shown(rows)).filter(({ sent }) => sent?.feature === undefined).map(({ shown }) => shown)
    return ApiResponse.success(pageOfAll(inOrder(listed, parameters, ORDERS), paging).items)
  },
  { permission: 'meters:read' },
)

const get = openMeterRoute(async (_request, { params }) => showOne(await getMeter(params.meter ?? '')), {
  permission: 'meters:read',
})

const update = openMeterRoute(
  async (request, { params }) => {
    const { name, description, groupBy, metadata } = await readExact(request, updateBody)
    const present = await getMeter(params.meter ?? '')
    if (groupBy !== undefined && !isSame(groupBy, groupPaths(present)))
      throw invalidInput('/groupBy', 'never changes, because what was counted rests on it; make another meter')
    const patch = { ...(name === undefined ? {} : { name }), ...(description === undefined ? {} : { description }) }
    const row = await updateMeter(present.id, parseInput(patchBody, patch))
    if (metadata !== undefined) await keepRecord('meter', row.id, metadata && { metadata })
    return showOne(row)
  },
  { permission: 'meters:write' },
)
const patchBody = z.object({ name: meterInput.shape.name, description: z.string().trim().max(2_000) }).partial()

function isSame(left: Record<string, string>, right: Record<string, string>): boolean {
  const names = Object.keys(left)
  return names.length === Object.keys(right).length && names.every((name) => left[name] === right[name])
}

const archive = openMeterRoute(
  async (_request, { params }) => {
    await updateMeter(params.meter ?? '', { archived: true })
    return ApiResponse.noContent()
  },
  { permission: 'meters:write' },
)

export const METER_PATHS = [
  ['POST', 'v1/meters', create],
  ['GET', 'v1/meters', list],
  ['GET', 'v1/meters/{meter}', get],
  ['PUT', 'v1/meters/{meter}', update],
  ['DELETE', 'v1/meters/{meter}', archive],
] as const
