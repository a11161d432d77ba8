import { z } from 'zod'
import { readAll } from '@/app/compat/read-all'
import { keepRecord, readRecords } from '@/features/compatibility/services/compat-record-service'
import { featureInput } from '@/features/features/schema'
import {
  archiveFeature,
  createFeature,
  type FeatureRow,
  getFeature,
  listFeatures,
} from '@/features/features/services/feature-service'
import { parseInput } from '@/libs/api-utils/read-json'
import { ApiResponse } from '@/libs/api-utils/tenant-api-wrapper'
import { invalidInput } from '@/libs/errors'
import { createFeatureMeter } from './feature-meter'
import { filterString } from './filter-string'
import { inOrder, openMeterRoute, pageOfAll, readExact, readPaging, readParameters } from './openmeter-route'

/** What is kept of a feature as it was sent: its filters are those of a meter of its own. */
type SentFeature = {
  meterSlug?: string
  meterGroupByFilters?: unknown
  advancedMeterGroupByFilters?: unknown
  unitCost?: unknown
}

const createBody = z.strictObject({
  key: z.string(),
  name: z.string(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
  meterSlug: z.string().optional(),
  meterGroupByFilters: z.record(z.string(), z.string().max(255)).optional(),
  advancedMeterGroupByFilters: z.record(z.string(), filterString).optional(),
  unitCost: z.record(z.string(), z.unknown()).optional(),
})

/** A feature as the wire has it. */
function toOpenMeter({ id, key, name, meter, metadata, created_at, archived_at }: FeatureRow, sent: SentFeature = {}) {
  return {
    id,
    key,
    name,
    ...(meter ? { meterSlug: meter.slug } : {}),
    ...sent,
    metadata,
    createdAt: created_at,
    updatedAt: archived_at ?? created_at,
    ...(archived_at ? { archivedAt: archived_at } : {}),
  }
}

async function shown(rows: readonly FeatureRow[]) {
  const sent: Map<string, SentFeature> = await readRecords(
    'feature',
    rows.map(({ id }) => id),
  )
  return rows.map((row) => toOpenMeter(row, sent.get(row.id)))
}

/** Every feature in use. */
export function readFeatures(): Promise<FeatureRow[]> {
  return readAll((cursor) => listFeatures({ cursor, limit: 200, archived: 'false' }))
}

const READ = { permission: 'tiers:read' } as const
const WRITE = { permission: 'tiers:write' } as const

const create = openMeterRoute(async (request) => {
  const { metadata, meterSlug, meterGroupByFilters, advancedMeterGroupByFilters, unitCost, ...rest } = await readExact(
    request,
    createBody,
  )
  const filters = {
    ...advancedMeterGroupByFilters,
    ...Object.fromEntries(Object.entries(meterGroupByFilters ?? {}).map(([group, $eq]) => [group, { $eq }])),
  }
  const isFiltered = Object.keys(filters).length > 0
  if (isFiltered && meterSlug === undefined) throw invalidInput('/meterSlug', 'is needed: filters are of a meter')
  const input = parseInput(featureInput, { ...rest, metadata: metadata ?? {}, meter: meterSlug ?? null })
  const meter = isFiltered && meterSlug !== undefined ? await createFeatureMeter(meterSlug, input.key, filters) : null
  const row = await createFeature(meter === null ? input : { ...input, meter })
  const sent: SentFeature = {
    ...(meter !== null && meterSlug !== undefined ? { meterSlug } : {}),
    ...(meterGroupByFilters ? { meterGroupByFilters } : {}),
    ...(advancedMeterGroupByFilters ? { advancedMeterGroupByFilters } : {}),
    ...(unitCost ? { unitCost } : {}),
  }
  if (Object.keys(sent).length > 0) await keepRecord('feature', row.id, sent)
  return ApiResponse.created((await shown([row]))[0])
}, WRITE)

const ORDERS = { id: 'id', key: 'key', name: 'name', createdAt: 'createdAt', updatedAt: 'updatedAt' } as const

const list = openMeterRoute(async (request) => {
  const parameters = readParameters(request)
  const archived = parameters.get('includeArchived') === 'true' ? 'all' : 'false'
  const meters = parameters.getAll('meterSlug')
  const rows = await shown(await readAll((cursor) => listFeatures({ cursor, limit: 200, archived })))
  const asked = rows.filter(({ meterSlug }) => meters.length === 0 || meters.includes(meterSlug ?? ''))
  const ordered = inOrder(asked, parameters, ORDERS)
  const page = pageOfAll(ordered, readPaging(parameters))
  return ApiResponse.success(parameters.has('page') ? page : page.items)
}, READ)

const get = openMeterRoute(async (_request, { params }) => {
  const rows = await shown([await getFeature(params.feature ?? '')])
  return ApiResponse.success(rows[0])
}, READ)

const archive = openMeterRoute(async (_request, { params }) => {
  await archiveFeature(params.feature ?? '')
  return ApiResponse.noContent()
}, WRITE)

export const FEATURE_PATHS = [
  ['POST', 'v1/features', create],
  ['GET', 'v1/features', list],
  ['GET', 'v1/features/{feature}', get],
  ['DELETE', 'v1/features/{feature}', archive],
] as const
