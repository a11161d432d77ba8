import { sql } from 'kysely'
import { containsPattern } from '@/libs/db/like-pattern'
import { tenantDb } from '@/libs/db/tenant-db'
import { invalidInput } from '@/libs/errors'

/** What a record is about; its key is the id of that. */
export type RecordKind = 'meter' | 'entitlement' | 'grant' | 'feature' | 'api' | 'permission' | 'role' | 'identity'
export type CompatRecord = { key: string; data: Record<string, unknown>; created_at: Date; updated_at: Date }

const LONGEST = 16_384

/** What the wire said of things of one kind, by their keys. */
export async function readRecords(
  kind: RecordKind,
  keys: readonly string[],
): Promise<Map<string, Record<string, unknown>>> {
  if (keys.length === 0) return new Map()
  const rows = await selectRecords(kind)
    .where('key', 'in', [...keys])
    .execute()
  return new Map(rows.map(({ key, data }) => [key, data]))
}

/** One record, or null. */
export async function findRecord(kind: RecordKind, key: string): Promise<CompatRecord | null> {
  const row = await selectRecords(kind).where('key', '=', key).executeTakeFirst()
  return row ?? null
}

/** Records of one kind, the oldest first, after a key of theirs. */
export async function listRecords(
  kind: RecordKind,
  { after, limit, search }: { after?: string | undefined; limit: number; search?: string | undefined },
): Promise<CompatRecord[]> {
  let query = selectRecords(kind).orderBy('key').limit(limit)
  if (after !== undefined) query = query.where('key', '>', after)
  if (search) {
    const pattern = containsPattern(search)
    query = query.where(sql<boolean>`(key ilike ${pattern} or data::text ilike ${pattern})`)
  }
  return query.execute()
}

function selectRecords(kind: RecordKind) {
  return tenantDb()
    .selectFrom('compat_records')
    .select(['key', sql<Record<string, unknown>>`data`.as('data'), 'created_at', 'updated_at'])
    .where('kind', '=', kind)
}

/** Keeps a record where there is none, and says whether there was none. @throws AppError invalid_input beyond 16 KB. */
export async function addRecord(
  kind: RecordKind,
  key: string,
  data: Readonly<Record<string, unknown>>,
): Promise<boolean> {
  const row = await tenantDb()
    .insertInto('compat_records')
    .values({ kind, key, data: sql`${toText(data)}::jsonb` })
    .onConflict((conflict) => conflict.columns(['tenant_id', 'kind', 'key']).doNothing())
    .returning('key')
    .executeTakeFirst()
  return row !== undefined
}

/** Keeps a record in place of an earlier one; null removes it. @throws AppError invalid_input beyond 16 KB. */
export async function keepRecord(
  kind: RecordKind,
  key: string,
  data: Readonly<Record<string, unknown>> | null,
): Promise<void> {
  if (data === null) {
    await tenantDb().deleteFrom('compat_records').where('kind', '=', kind).where('key', '=', key).execute()
    return
  }
  await tenantDb()
    .insertInto('compat_records')
    .values({ kind, key, data: sql`${toText(data)}::jsonb` })
    .onConflict((conflict) =>
      conflict
        .columns(['tenant_id', 'kind', 'key'])
        .doUpdateSet({ data: sql`excluded.data`, updated_at: sql<Date>`clock_timestamp()` }),
    )
    .execute()
}

function toText(data: Readonly<Record<string, unknown>>): string {
  const text = JSON.stringify(data)
  if (text.length > LONGEST) throw invalidInput('/metadata', `is longer than ${LONGEST} characters`)
  return text
}
