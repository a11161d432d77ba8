import { cutPage, isAnyText, type Page, readCursor } from '@/libs/api-utils/page'
import { containsPattern } from '@/libs/db/like-pattern'
import { tenantDb } from '@/libs/db/tenant-db'
import { AppError, invalidInput, notFound } from '@/libs/errors'
import { isUuid, newId } from '@/libs/ids'
import { slugOf } from '@/libs/ingest/slug'
import type { MeterInput, MeterListQuery, MeterPatch } from '../schema'

const COLUMNS = [
  'id',
  'slug',
  'name',
  'description',
  'unit',
  'aggregation',
  'value_property',
  'group_by',
  'filter',
  'event_type',
  'property_paths',
  'allows_negative',
  'created_at',
  'updated_at',
  'archived_at',
] as const

export type MeterRow = {
  id: string
  slug: string
  name: string
  description: string
  unit: string
  aggregation: string
  value_property: string | null
  group_by: string[]
  filter: unknown
  event_type: string | null
  property_paths: Record<string, string> | null
  allows_negative: boolean
  created_at: Date
  updated_at: Date
  archived_at: Date | null
}

/** Makes a meter. @throws AppError conflict when the slug is taken, invalid_input when the name gives none. */
export async function createMeter(input: MeterInput): Promise<MeterRow> {
  const slug = input.slug ?? slugOf(input.name)
  if (!slug) {
    throw invalidInput('/slug', 'is needed: the name gives none')
  }
  const row = await tenantDb()
    .insertInto('meters')
    .values({
      id: newId(),
      ...input,
      filter: input.filter && JSON.stringify(input.filter),
      property_paths: input.property_paths ? JSON.stringify(input.property_paths) : null,
      slug,
    })
    .onConflict((conflict) => conflict.columns(['tenant_id', 'slug']).doNothing())
    .returning(COLUMNS)
    .$castTo<MeterRow>()
    .executeTakeFirst()
  if (!row) throw new AppError('conflict', `A meter with the slug ${slug} exists already.`)
  return row
}

/** Meters by slug; archived ones only when asked for. */
export async function listMeters({ cursor, limit, q, archived }: MeterListQuery): Promise<Page<MeterRow>> {
  let query = tenantDb()
    .selectFrom('meters')
    .select(COLUMNS)
    .$castTo<MeterRow>()
    .orderBy('slug')
    .limit(limit + 1)
  if (archived !== 'all') query = query.where('archived_at', archived === 'true' ? 'is not' : 'is', null)
  const [after] = readCursor(cursor, isAnyText)
  if (after !== null) query = query.where('slug', '>', after)
  if (q) {
    const pattern = containsPattern(q)
    query = query.where((where) => where.or([where('name', 'ilike', pattern), where('slug', 'ilike', pattern)]))
  }
  return cutPage(await query.execute(), limit, (row) => [row.slug])
}

/** One meter by id or slug. @throws AppError not_found. */
export async function getMeter(ref: string): Promise<MeterRow> {
  const row = await tenantDb()
    .selectFrom('meters')
    .select(COLUMNS)
    .$castTo<MeterRow>()
    .where(isUuid(ref) ? 'id' : 'slug', '=', ref.toLowerCase())
    .executeTakeFirst()
  if (!row) throw notFound()
  return row
}

/** Changes a meter, archives it or brings it back. @throws AppError not_found. */
export async function updateMeter(
  ref: string,
  { archived, name, description, unit, allows_negative }: MeterPatch,
): Promise<MeterRow> {
  const present = await getMeter(ref)
  const isArchived = present.archived_at !== null
  const row = await tenantDb()
    .updateTable('meters')
    .set({
      name,
      description,
      unit,
      allows_negative,
      ...(archived === undefined || archived === isArchived ? {} : { archived_at: archived ? new Date() : null }),
      updated_at: new Date(),
    })
    .where('id', '=', present.id)
    .returning(COLUMNS)
    .$castTo<MeterRow>()
    .executeTakeFirst()
  if (!row) throw notFound()
  return row
}
