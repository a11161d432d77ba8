import { cutPage, isAnyText, type Page, readCursor } from '@/libs/api-utils/page'
import { containsPattern } from '@/libs/db/like-pattern'
import { tenantQuery } from '@/libs/db/tenant-db'
import { AppError, notFound } from '@/libs/errors'
import { isUuid, newId } from '@/libs/ids'
import { requireMeter, resolveMeterFilter } from '@/libs/metering/find-meter'
import { currentContext } from '@/libs/tenancy/tenant-context'
import type { FeatureInput, FeatureListQuery, FeaturePatch } from '../schema'

export type FeatureRow = {
  id: string
  key: string
  name: string
  meter: { id: string; slug: string; name: string; unit: string } | null
  metadata: Record<string, unknown>
  created_at: Date
  archived_at: Date | null
}

const SELECT = `
  select f.id, f.key, f.name, f.metadata, f.created_at, f.archived_at,
    case when m.id is not null then jsonb_build_object('id', m.id, 'slug', m.slug, 'name', m.name, 'unit', m.unit) end as meter
  from features f
  left join meters m on m.tenant_id = $1 and m.id = f.meter_id
  where f.tenant_id = $1`

/** Names a feature. @throws AppError conflict when the key is taken, invalid_input when there is no such meter. */
export async function createFeature({ key, name, meter, metadata }: FeatureInput): Promise<FeatureRow> {
  const { tenantId } = currentContext()
  const meterId = meter === null ? null : (await requireMeter(meter)).id
  const id = newId()
  const rows = await tenantQuery(
    `insert into features (tenant_id, id, key, name, meter_id, metadata) values ($1, $2, $3, $4, $5, $6)
     on conflict (tenant_id, key) where archived_at is null do nothing returning id`,
    [tenantId, id, key, name ?? key, meterId, JSON.stringify(metadata)],
  )
  if (rows.length === 0) throw new AppError('conflict', `A feature with the key ${key} exists already.`)
  return getFeature(id)
}

/** Features by key; archived ones only when asked for. @throws AppError not_found for a meter that is not there. */
export async function listFeatures({ cursor, limit, q, meter, archived }: FeatureListQuery): Promise<Page<FeatureRow>> {
  const [key, id] = readCursor(cursor, isAnyText, isUuid)
  const pattern = q ? containsPattern(q) : null
  const rows = await tenantQuery<FeatureRow>(
    `${SELECT} and ($2 = 'all' or (f.archived_at is not null) = ($2 = 'true'))
       and ($3::uuid is null or f.meter_id = $3)
       and ($4::text is null or (f.key, f.id) > ($4, $5))
       and ($6::text is null or f.name ilike $6 or f.key ilike $6)
     order by f.key, f.id limit $7`,
    [currentContext().tenantId, archived, await resolveMeterFilter(meter), key, id, pattern, limit + 1],
  )
  return cutPage(rows, limit, (row) => [row.key, row.id])
}

/** One feature by id, or by key among those in use; null when there is none. */
export async function findFeature(reference: string): Promise<FeatureRow | null> {
  const [row] = await tenantQuery<FeatureRow>(
    `${SELECT} and (f.id = $3 or (f.key = $2 and f.archived_at is null)) order by f.id = $3 desc nulls last limit 1`,
    [currentContext().tenantId, reference, isUuid(reference) ? reference : null],
  )
  return row ?? null
}

/** One feature by id, or by key among those in use. @throws AppError not_found. */
export async function getFeature(reference: string): Promise<FeatureRow> {
  const row = await findFeature(reference)
  if (!row) throw notFound()
  return row
}

/**
 * Changes a feature, archives it or brings it back. @throws AppError not_found; conflict when its key was given to another
 * one meanwhile.
 */
export async function updateFeature(
  reference: string,
  { name, metadata, archived }: FeaturePatch,
): Promise<FeatureRow> {
  const { tenantId } = currentContext()
  const { id, key, archived_at } = await getFeature(reference)
  if (name !== undefined || metadata !== undefined) {
    await tenantQuery(
      'update features set name = coalesce($3, name), metadata = coalesce($4::jsonb, metadata) where tenant_id = $1 and id = $2',
      [tenantId, id, name ?? null, metadata ? JSON.stringify(metadata) : null],
    )
  }
  if (archived) return archiveFeature(id)
  if (archived === undefined || archived_at === null) return getFeature(id)
  const rows = await tenantQuery(
    `update features f set archived_at = null where tenant_id = $1 and id = $2 and not exists
       (select from features o where o.tenant_id = $1 and o.key = f.key and o.archived_at is null) returning id`,
    [tenantId, id],
  )
  if (rows.length === 0) throw new AppError('conflict', `A feature with the key ${key} exists already.`)
  return getFeature(id)
}

/** Archives a feature, which gives its key free. Safe to repeat by id. @throws AppError not_found. */
export async function archiveFeature(reference: string): Promise<FeatureRow> {
  const { id } = await getFeature(reference)
  await tenantQuery(
    'update features set archived_at = now() where tenant_id = $1 and id = $2 and archived_at is null',
    [currentContext().tenantId, id],
  )
  return getFeature(id)
}
