import { z } from 'zod'
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
import { openMeterRoute, pageOfAll, readAll, readExact, readPaging, readParameters } from './openmeter-route'

const whole = z.never({ error: 'is not possible: a feature is counted by its whole meter; make a meter with a filter' })
const createBody = z
  .strictObject({
    key: z.string(),
    name: z.string(),
    metadata: z.record(z.string(), z.unknown()).nullish(),
    meterSlug: z.string().optional(),
    meterGroupByFilters: whole.optional(),
    advancedMeterGroupByFilters: whole.optional(),
    unitCost: z.never({ error: 'is not kept here' }).optional(),
  })
  .transform(({ key, name, metadata, meterSlug }) => ({
    key,
    name,
    metadata: metadata ?? {},
    meter: meterSlug ?? null,
  }))

/** A feature as the wire has it. */
function toOpenMeter({ id, key, name, meter, metadata, created_at, archived_at }: FeatureRow) {
  return {
    id,
    key,
    name,
    ...(meter ? { meterSlug: meter.slug } : {}),
    metadata,
    createdAt: created_at,
    updatedAt: archived_at ?? created_at,
    ...(archived_at ? { archivedAt: archived_at } : {}),
  }
}

/** Every feature in use. */
export function readFeatures(): Promise<FeatureRow[]> {
  return readAll((cursor) => listFeatures({ cursor, limit: 200, archived: 'false' }))
}

const READ = { permission: 'tiers:read' } as const
const WRITE = { permission: 'tiers:write' } as const

const create = openMeterRoute(async (request) => {
  const input = parseInput(featureInput, await readExact(request, createBody))
  return ApiResponse.created(toOpenMeter(await createFeature(input)))
}, WRITE)

const list = openMeterRoute(async (request) => {
  const parameters = readParameters(request)
  const archived = parameters.get('includeArchived') === 'true' ? 'all' : 'false'
  const meters = parameters.getAll('meterSlug')
  const rows = await readAll((cursor) => listFeatures({ cursor, limit: 200, archived }))
  const asked = rows.filter(({ meter }) => meters.length === 0 || meters.includes(meter?.slug ?? ''))
  const page = pageOfAll(asked.map(toOpenMeter), readPaging(parameters))
  return ApiResponse.success(parameters.has('page') ? page : page.items)
}, READ)

const get = openMeterRoute(
  async (_request, { params }) => ApiResponse.success(toOpenMeter(await getFeature(params.feature ?? ''))),
  READ,
)

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
