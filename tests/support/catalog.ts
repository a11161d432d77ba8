import { randomBytes, randomUUID } from 'node:crypto'
import type pg from 'pg'

export type Column = {
  name: string
  type: string
  required: boolean
  generated: boolean
  labels: string[] | null
  /** What the group app_tenant may do with it. */
  may_insert: boolean
  may_update: boolean
}

/** A table of schema public as the catalog shows it. */
export type Table = {
  name: string
  /** Class in its comment; null where there is none. A partition has that of its parent. */
  class: string | null
  partition: boolean
  /** Column that says whose row it is: `tenant_id`, for the tenants themselves `id`; null for tables of the platform. */
  key: 'tenant_id' | 'id' | null
  may_select: boolean
  may_delete: boolean
  columns: Column[]
}

const TABLES = `
  select c.relname as name, c.relispartition as partition,
    substring(obj_description(coalesce(p.inhparent, c.oid), 'pg_class') from '^@(tenant|control|reference)') as class,
    has_table_privilege('app_tenant', c.oid, 'SELECT') as may_select,
    has_table_privilege('app_tenant', c.oid, 'DELETE') as may_delete,
    (select jsonb_agg(jsonb_build_object('name', a.attname, 'type', t.typname, 'required', a.attnotnull and not a.atthasdef,
        'generated', a.attgenerated <> '' or a.attidentity <> '',
        'labels', (select jsonb_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = a.atttypid),
        'may_insert', has_column_privilege('app_tenant', c.oid, a.attnum, 'INSERT'),
        'may_update', has_column_privilege('app_tenant', c.oid, a.attnum, 'UPDATE')) order by a.attnum)
      from pg_attribute a join pg_type t on t.oid = a.atttypid
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
  from pg_class c join pg_namespace n on n.oid = c.relnamespace left join pg_inherits p on p.inhrelid = c.oid and c.relispartition
  where n.nspname = 'public' and c.relkind in ('r', 'p')
  order by c.relname`

/** Every table of schema public, partitions included. */
export async function readTables(client: pg.Client): Promise<Table[]> {
  const { rows } = await client.query<Omit<Table, 'key'>>(TABLES)
  return rows.map((table) => {
    const scoped = table.columns.some(({ name }) => name === 'tenant_id')
    return { ...table, key: scoped ? 'tenant_id' : table.name === 'tenants' ? 'id' : null }
  })
}

/** A row of a table: one value for each column that needs one. */
export type Row = Record<string, unknown>

/** A plausible value of a type. @throws Error for a type it does not know, so that a new one is noticed. */
function sampleOf({ name, type, labels }: Column): unknown {
  if (labels) return labels[0]
  if (type.startsWith('_')) return []
  const firstOfMonth = `${new Date().toISOString().slice(0, 7)}-01`
  switch (type) {
    case 'uuid':
      return randomUUID()
    case 'text':
    case 'varchar':
      return `planted-${randomBytes(4).toString('hex')}`
    case 'int2':
    case 'int4':
    case 'int8':
    case 'numeric':
      return 1
    case 'bool':
      return false
    case 'jsonb':
      return '{}'
    case 'timestamptz':
      return new Date()
    case 'date':
      return firstOfMonth
    case 'bytea':
      return randomBytes(32)
    case 'inet':
      return '192.0.2.1'
    default:
      throw new Error(`No value for column ${name} of type ${type}: teach tests/support/catalog.ts.`)
  }
}

/** A row for a table, every column filled, belonging to `owner` where the table has owners. */
export function makeRow(table: Table, owner: string): Row {
  const row: Row = {}
  for (const column of table.columns) if (!column.generated) row[column.name] = sampleOf(column)
  if (table.key) row[table.key] = owner
  return row
}

/** `insert into <table>` of a row, with the values as parameters. */
export function insertStatement(table: string, row: Row, suffix = ''): { text: string; values: unknown[] } {
  const names = Object.keys(row)
  const places = names.map((_, index) => `$${index + 1}`)
  return {
    text: `insert into public.${table} (${names.join(', ')}) values (${places.join(', ')}) ${suffix}`,
    values: Object.values(row),
  }
}
