import { type CompiledQuery, sql } from 'kysely'
import { type Asked, exportRows, type RowFile } from '@/libs/audit/export-rows'
import { escapeFormula } from '@/libs/csv-cell'
import { CSV_TYPE, toCsv } from '@/libs/csv-file'
import type { AuditLogExportInput, AuditLogFilters } from '../schema'
import { auditLine, filterAuditLogs } from './audit-log-query'

const CSV_COLUMNS = [
  'id',
  'created_at',
  'action',
  'outcome',
  'actor_kind',
  'actor_id',
  'actor_label',
  'on_behalf_of',
  'target_type',
  'target_id',
  'request_id',
  'ip',
  'user_agent',
  'before',
  'after',
  'metadata',
] as const

type Format = AuditLogExportInput['format']

/**
 * All rows that the filters let through, oldest first, as one file: CSV whose cells no spreadsheet takes for formulas, or
 * JSON lines that are exact. Rows come from one snapshot of the database, batch by batch as the reader takes them; a
 * reader who goes away or stands still for a minute ends it. How many there are is on record before the first leaves.
 * To be called outside of a transaction.
 * @throws AppError rate_limited while too many exports run.
 */
export function exportAuditLogs(
  { format, ...filters }: AuditLogExportInput,
  slug: string,
  request: Asked,
): Promise<RowFile> {
  return exportRows<ExportRow>(
    {
      noun: 'audit_log',
      file_name: `${slug}-audit-log-${new Date().toISOString().slice(0, 10)}.${format}`,
      content_type: format === 'csv' ? CSV_TYPE : 'application/x-ndjson; charset=utf-8',
      counted: 'rows',
      frozen: true,
      prepare: async () => {
        const rows = await countRows(filters)
        const { sql: text, parameters } = await selectRows(format, filters)
        return { text, values: parameters, metadata: { format, filters, rows } }
      },
      encode: (rows, first) => encode(format, rows, first),
    },
    request,
  )
}

async function countRows(filters: AuditLogFilters): Promise<number> {
  const query = await filterAuditLogs(filters)
  return (await query.select(({ fn }) => fn.countAll<number>().as('rows')).executeTakeFirstOrThrow()).rows
}

async function selectRows(format: Format, filters: AuditLogFilters): Promise<CompiledQuery> {
  const query = (await filterAuditLogs(filters)).orderBy('audit_logs.id')
  if (format === 'jsonl') return query.select(auditLine.as('line')).compile()
  return query
    .select([
      'audit_logs.id',
      sql<string>`to_char(audit_logs.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`.as('created_at'),
      'audit_logs.action',
      'audit_logs.outcome',
      'audit_logs.actor_kind',
      'audit_logs.actor_id',
      'audit_details.actor_label',
      'audit_logs.on_behalf_of',
      'audit_logs.target_type',
      'audit_logs.target_id',
      'audit_logs.request_id',
      sql<string | null>`host(audit_details.ip)`.as('ip'),
      'audit_details.user_agent',
      sql<string | null>`audit_details.before::text`.as('before'),
      sql<string | null>`audit_details.after::text`.as('after'),
      sql<string | null>`audit_details.metadata::text`.as('metadata'),
    ])
    .compile()
}

type ExportRow = Record<string, string | null>

function encode(format: Format, rows: ExportRow[], first: boolean): Uint8Array {
  if (format === 'jsonl') return Buffer.from(rows.map(({ line }) => `${line}\n`).join(''))
  return Buffer.from(toCsv(rows, { columns: [...CSV_COLUMNS], header: first, cast: { string: escapeFormula } }))
}
