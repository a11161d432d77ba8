import { stringify } from 'csv-stringify/sync'
import { type CompiledQuery, sql } from 'kysely'
import { AuditLogger } from '@/libs/audit/audit-logger'
import { streamRows } from '@/libs/db/stream-rows'
import { log } from '@/libs/log'
import { currentContext, runInTenant, runOutsideTenant } from '@/libs/tenancy/tenant-context'
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

export type AuditExport = { file_name: string; content_type: string; body: ReadableStream<Uint8Array> | null }
type Format = AuditLogExportInput['format']

/**
 * All rows that the filters let through, oldest first, as one file: CSV whose cells no spreadsheet takes for formulas, or
 * JSON lines that are exact. Rows come from one snapshot of the database, batch by batch as the reader takes them; a
 * reader who goes away or stands still for a minute ends it.
 * Before the first byte leaves, `audit_log.exported` is on record with filters and number of rows; afterwards
 * `audit_log.export_completed` says how many went out, as a failure
 * where the file is not whole. A HEAD gets no body, and nothing is read for it or recorded. To be called outside of a transaction.
 * @throws AppError rate_limited while too many exports run.
 */
export async function exportAuditLogs(
  { format, ...filters }: AuditLogExportInput,
  slug: string,
  { method, signal }: { method: string; signal: AbortSignal },
): Promise<AuditExport> {
  const { tenantId, actor } = currentContext()
  const file = {
    file_name: `${slug}-audit-log-${new Date().toISOString().slice(0, 10)}.${format}`,
    content_type: format === 'csv' ? 'text/csv; charset=utf-8' : 'application/x-ndjson; charset=utf-8',
  }
  if (method === 'HEAD') return { ...file, body: null }
  const record = { id: '' }
  const body = await streamRows<ExportRow>(tenantId, actor, {
    frozen: true,
    prepare: async () => {
      const rows = await countRows(filters)
      // In a transaction of its own: it stays when the file breaks off, and is no part of it.
      record.id = await runOutsideTenant(() =>
        runInTenant(tenantId, actor, () => AuditLogger.logExport('audit_log', { format, filters, rows })),
      )
      const { sql: text, parameters } = await selectRows(format, filters)
      return { text, values: parameters }
    },
    encode: (rows, first) => encode(format, rows, first),
    signal,
    onEnd: async (rows, error) => {
      if (error) log.info({ error: error.message, export_id: record.id, rows }, 'export ended early')
      if (record.id === '') return
      await runOutsideTenant(() => runInTenant(tenantId, actor, () => recordEnd(record.id, rows, error))).catch(
        (failure: unknown) =>
          log.warn({ error: String(failure), export_id: record.id }, 'end of an export not recorded'),
      )
    },
  })
  return { ...file, body }
}

async function countRows(filters: AuditLogFilters): Promise<number> {
  const query = await filterAuditLogs(filters)
  return (await query.select(({ fn }) => fn.countAll<number>().as('rows')).executeTakeFirstOrThrow()).rows
}

function recordEnd(exportId: string, rows: number, error: Error | null): Promise<string> {
  return AuditLogger.log({
    action: 'audit_log.export_completed',
    target_type: 'audit_log',
    target_id: exportId,
    outcome: error ? 'failure' : 'success',
    metadata: { rows },
  })
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
  return Buffer.from(
    stringify(rows, {
      columns: [...CSV_COLUMNS],
      header: first,
      escape_formulas: true,
      quoted_match: /[\r\n]/,
      record_delimiter: 'windows',
    }),
  )
}
