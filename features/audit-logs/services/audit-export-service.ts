import { setTimeout as wait } from 'node:timers/promises'
import { stringify } from 'csv-stringify/sync'
import { type CompiledQuery, sql } from 'kysely'
import { AuditLogger } from '@/libs/audit/audit-logger'
import { env } from '@/libs/env'
import { AppError } from '@/libs/errors'
import { log } from '@/libs/log'
import { currentContext, runInTenant, type TenantContext } from '@/libs/tenancy/tenant-context'
import type { AuditLogExportInput, AuditLogFilters } from '../schema'
import { auditLine, filterAuditLogs } from './audit-log-query'

const ROWS_AT_ONCE = 1_000
const PATIENCE_MS = 50_000
const EXPORTS_OF_TENANT = 2

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

export type AuditExport = { file_name: string; content_type: string; body: ReadableStream<Uint8Array> }
type Format = AuditLogExportInput['format']
type Sink = WritableStreamDefaultWriter<Uint8Array>

const running = new Map<string, number>()

/** Each export holds a connection for as long as it runs: at most two of a tenant, and half of the pool together. */
function takeSlot(tenantId: string): () => void {
  const own = running.get(tenantId) ?? 0
  const all = [...running.values()].reduce((sum, count) => sum + count, 0)
  if (own >= EXPORTS_OF_TENANT || all >= Math.max(1, Math.floor(env().DATABASE_POOL_SIZE / 2))) {
    throw new AppError('rate_limited', 'Other exports are still running. Try again when they are done.', {
      retry_after: 10,
    })
  }
  running.set(tenantId, own + 1)
  let taken = true
  return () => {
    if (!taken) return
    taken = false
    const left = (running.get(tenantId) ?? 1) - 1
    if (left > 0) running.set(tenantId, left)
    else running.delete(tenantId)
  }
}

/**
 * All rows that the filters let through, oldest first, as one file: CSV whose cells no spreadsheet takes for formulas, or
 * JSON lines that are exact. Rows come from one snapshot of the database, batch by batch as the reader takes them; a
 * reader who goes away or stands still for a minute ends it.
 * Before the first byte leaves, `audit_log.exported` is on record with filters and number of rows; afterwards
 * `audit_log.export_completed` says how many went out. To be called outside of a transaction.
 * @throws AppError rate_limited while too many exports run.
 */
export async function exportAuditLogs(
  { format, ...filters }: AuditLogExportInput,
  slug: string,
  signal: AbortSignal,
): Promise<AuditExport> {
  const { tenantId, actor } = currentContext()
  const release = takeSlot(tenantId)
  try {
    const exportId = await runInTenant(tenantId, actor, () => recordExport(format, filters))
    const pipe = new TransformStream<Uint8Array, Uint8Array>()
    const sink = pipe.writable.getWriter()
    const started = Promise.withResolvers<void>()
    const progress = { rows: 0 }
    const giveUp = () => void sink.abort(signal.reason).catch(() => undefined)
    signal.addEventListener('abort', giveUp, { once: true })
    void runInTenant(tenantId, actor, (context) => pump(context, format, filters, exportId, sink, started, progress))
      .then(
        () => finish(exportId, sink, progress.rows, null),
        (error: Error) => {
          started.reject(error)
          return finish(exportId, sink, progress.rows, error)
        },
      )
      .finally(() => {
        signal.removeEventListener('abort', giveUp)
        release()
      })
    await started.promise
    return {
      file_name: `${slug}-audit-log-${new Date().toISOString().slice(0, 10)}.${format}`,
      content_type: format === 'csv' ? 'text/csv; charset=utf-8' : 'application/x-ndjson; charset=utf-8',
      body: pipe.readable,
    }
  } catch (error) {
    release()
    throw error
  }
}

async function recordExport(format: Format, filters: AuditLogFilters): Promise<string> {
  const counted = await (await filterAuditLogs(filters))
    .select(({ fn }) => fn.countAll<number>().as('rows'))
    .executeTakeFirstOrThrow()
  return AuditLogger.logExport('audit_log', { format, filters, rows: counted.rows })
}

async function selectRows(format: Format, filters: AuditLogFilters, exportId: string): Promise<CompiledQuery> {
  const query = (await filterAuditLogs(filters)).where('audit_logs.id', '<>', exportId).orderBy('audit_logs.id')
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

/** Moves rows from a cursor, which is one snapshot, to the sink. */
async function pump(
  { client }: TenantContext,
  format: Format,
  filters: AuditLogFilters,
  exportId: string,
  sink: Sink,
  started: PromiseWithResolvers<void>,
  progress: { rows: number },
): Promise<void> {
  if (!client) throw new Error('An export runs in a transaction.')
  const query = await selectRows(format, filters, exportId)
  await client.query("set local idle_in_transaction_session_timeout = '60s'; set local transaction_timeout = '15min'")
  await client.query(`declare audit_export no scroll cursor for ${query.sql}`, [...query.parameters])
  for (let first = true; ; first = false) {
    const { rows } = await client.query<ExportRow>(`fetch ${ROWS_AT_ONCE} from audit_export`)
    if (first) started.resolve()
    if (rows.length > 0 || (first && format === 'csv')) await send(sink, encode(format, rows, first))
    progress.rows += rows.length
    if (rows.length < ROWS_AT_ONCE) return
  }
}

async function send(sink: Sink, chunk: Uint8Array): Promise<void> {
  const patience = new AbortController()
  const impatient = wait(PATIENCE_MS, undefined, { signal: patience.signal }).then(() => {
    throw new Error('The reader of an export stood still.')
  })
  try {
    await Promise.race([sink.write(chunk), impatient])
  } catch (reason) {
    throw reason instanceof Error ? reason : new Error('The reader of an export went away.', { cause: reason })
  } finally {
    patience.abort()
    impatient.catch(() => undefined)
  }
}

/** Puts the end of an export on record and closes the file; a file that is not whole ends in an error, never quietly. */
async function finish(exportId: string, sink: Sink, rows: number, error: Error | null): Promise<void> {
  const entry = {
    action: 'audit_log.export_completed',
    target_type: 'audit_log',
    target_id: exportId,
    outcome: error ? ('failure' as const) : ('success' as const),
    metadata: { rows },
  }
  try {
    await AuditLogger.log(entry)
  } catch (failure) {
    log.warn({ error: String(failure), export_id: exportId }, 'end of an export not recorded')
  }
  if (error) {
    log.info({ error: error.message, export_id: exportId, rows }, 'export ended early')
    await sink.abort(error).catch(() => undefined)
  } else {
    await sink.close().catch(() => undefined)
  }
}
