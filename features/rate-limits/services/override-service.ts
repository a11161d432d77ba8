import { sql } from 'kysely'
import { cutPage, isAnyText, type Page, readCursor } from '@/libs/api-utils/page'
import { containsPattern } from '@/libs/db/like-pattern'
import { tenantDb, tenantQuery } from '@/libs/db/tenant-db'
import { AppError, notFound } from '@/libs/errors'
import { isUuid, newId } from '@/libs/ids'
import { MOST_OVERRIDES } from '@/libs/rate-limit/overrides'
import type { OverrideInput, OverrideListQuery, OverridePatch } from '../schema'

export type OverrideRow = {
  id: string
  namespace: string
  identifier: string
  limit: number
  duration: number
  created_at: Date
  updated_at: Date
}

const COLUMNS = [
  'id',
  'namespace',
  'identifier',
  'call_limit as limit',
  'duration_ms as duration',
  'created_at',
  'updated_at',
] as const

/**
 * Sets the limit of an identifier or pattern in a namespace, in place of an earlier one; it holds within a tenth of a
 * second everywhere. `created` says whether it is new. @throws AppError conflict when the namespace has too many.
 */
export async function setOverride(input: OverrideInput): Promise<{ override: OverrideRow; created: boolean }> {
  const { namespace, identifier, limit, duration } = input
  const [row] = await tenantQuery<OverrideRow & { created: boolean }>(
    `insert into rate_limit_overrides as o (tenant_id, id, namespace, identifier, call_limit, duration_ms)
     select (select app.tenant_id()), $1, $2, $3, $4, $5
     where (select count(*) from rate_limit_overrides x
       where x.tenant_id = (select app.tenant_id()) and x.namespace = $2 and x.identifier <> $3) < ${MOST_OVERRIDES}
     on conflict (tenant_id, namespace, identifier) do update
       set call_limit = excluded.call_limit, duration_ms = excluded.duration_ms, updated_at = clock_timestamp()
     returning o.id, o.namespace, o.identifier, o.call_limit as limit, o.duration_ms as duration, o.created_at, o.updated_at,
       o.id = $1 as created`,
    [newId(), namespace, identifier, limit, duration],
  )
  if (!row) throw new AppError('conflict', `A namespace has at most ${MOST_OVERRIDES} overrides; use patterns.`)
  const { created, ...override } = row
  return { override, created }
}

/** Overrides by namespace and identifier. */
export async function listOverrides({ cursor, limit, namespace, q }: OverrideListQuery): Promise<Page<OverrideRow>> {
  let query = tenantDb()
    .selectFrom('rate_limit_overrides')
    .select(COLUMNS)
    .orderBy('namespace')
    .orderBy('identifier')
    .limit(limit + 1)
  if (namespace !== undefined) query = query.where('namespace', '=', namespace)
  if (q) {
    const pattern = containsPattern(q)
    query = query.where((where) =>
      where.or([where('identifier', 'ilike', pattern), where('namespace', 'ilike', pattern)]),
    )
  }
  const [after, last] = readCursor(cursor, isAnyText, isAnyText)
  if (after !== null) query = query.where(sql<boolean>`(namespace, identifier) > (${after}::text, ${last}::text)`)
  return cutPage(await query.execute(), limit, (row) => [row.namespace, row.identifier])
}

/** The override of exactly this identifier or pattern, or null. */
export async function findOverrideOf(namespace: string, identifier: string): Promise<OverrideRow | null> {
  const row = await tenantDb()
    .selectFrom('rate_limit_overrides')
    .select(COLUMNS)
    .where('namespace', '=', namespace)
    .where('identifier', '=', identifier)
    .executeTakeFirst()
  return row ?? null
}

/** One override. @throws AppError not_found. */
export async function getOverride(id: string): Promise<OverrideRow> {
  const row = isUuid(id)
    ? await tenantDb().selectFrom('rate_limit_overrides').select(COLUMNS).where('id', '=', id).executeTakeFirst()
    : undefined
  if (!row) throw notFound()
  return row
}

/** Changes what an override allows. @throws AppError not_found. */
export async function updateOverride(id: string, { limit, duration }: OverridePatch): Promise<OverrideRow> {
  await getOverride(id)
  const row = await tenantDb()
    .updateTable('rate_limit_overrides')
    .set({
      ...(limit === undefined ? {} : { call_limit: limit }),
      ...(duration === undefined ? {} : { duration_ms: duration }),
      updated_at: sql<Date>`clock_timestamp()`,
    })
    .where('id', '=', id)
    .returning(COLUMNS)
    .executeTakeFirst()
  if (!row) throw notFound()
  return row
}

/** Ends an override: what callers ask for holds again. @throws AppError not_found. */
export async function deleteOverride(id: string): Promise<void> {
  await getOverride(id)
  await tenantDb().deleteFrom('rate_limit_overrides').where('id', '=', id).execute()
}
