import { tenantQuery } from '@/libs/db/tenant-db'
import { newId } from '@/libs/ids'

export type TestMeter = {
  slug: string
  aggregation: string
  value_property?: string
  group_by?: readonly string[]
  filter?: unknown
}

/** One meter for each way of counting. */
export const EVERY_AGGREGATION: readonly TestMeter[] = [
  { slug: 'sum', aggregation: 'SUM' },
  { slug: 'count', aggregation: 'COUNT' },
  { slug: 'unique', aggregation: 'UNIQUE_COUNT', value_property: 'device' },
  { slug: 'min', aggregation: 'MIN' },
  { slug: 'max', aggregation: 'MAX' },
  { slug: 'avg', aggregation: 'AVG' },
  { slug: 'latest', aggregation: 'LATEST' },
  { slug: 'level', aggregation: 'WEIGHTED_SUM' },
]

/** Meters of the current tenant, past the API: called as their slug is, for any values. */
export async function insertMeters(meters: readonly TestMeter[]): Promise<void> {
  for (const { slug, aggregation, value_property = null, group_by = [], filter = null } of meters)
    await tenantQuery(
      `insert into meters (id, slug, name, unit, aggregation, allows_negative, value_property, group_by, filter)
       values ($1, $2, $2, '', $3, true, $4, $5, $6)`,
      [newId(), slug, aggregation, value_property, group_by, filter === null ? null : JSON.stringify(filter)],
    )
}
