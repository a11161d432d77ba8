import type pg from 'pg'
import { type RowStream, streamRows } from '@/libs/db/stream-rows'
import { log } from '@/libs/log'
import { type Actor, currentContext, runInTenant, runOutsideTenant } from '@/libs/tenancy/tenant-context'
import { AuditLogger } from './audit-logger'

export type RowFile = { file_name: string; content_type: string; body: ReadableStream<Uint8Array> | null }

/** How a file is asked for: as a request does. */
export type Asked = { method: string; signal: AbortSignal }

type RowExport<Row> = Pick<RowStream<Row>, 'frozen' | 'encode'> & {
  /** Of which `<noun>.exported` and `<noun>.export_completed` are recorded. */
  noun: string
  file_name: string
  content_type: string
  /** Gives the statement and what to record with it, within the transaction that will read the rows. */
  prepare: () => Promise<{ text: string; values: readonly unknown[]; metadata: Record<string, unknown> }>
  /** What the record calls the rows it counts. */
  counted: 'rows' | 'lines'
  /** Who reads the rows, where that is not the caller alone. */
  reader?: Actor
}

/**
 * The rows of a statement as a file that leaves the product. `exported` is on record before the first byte does, and
 * `export_completed` afterwards with the number of rows that went out: a failure, where the file is not whole. A HEAD gets no
 * body, and nothing is read for it or recorded. To be called outside of a transaction.
 * @throws AppError rate_limited while too many exports run.
 */
export async function exportRows<Row extends pg.QueryResultRow>(
  { noun, file_name, content_type, prepare, counted, reader, ...rows }: RowExport<Row>,
  { method, signal }: Asked,
): Promise<RowFile> {
  if (method === 'HEAD') return { file_name, content_type, body: null }
  const { tenantId, actor } = currentContext()
  // In transactions of their own, as who asked for it: they stay when the file breaks off, and are no part of it.
  const record = (work: () => Promise<string>) => runOutsideTenant(() => runInTenant(tenantId, actor, work))
  let exportId = ''
  const body = await streamRows<Row>(tenantId, reader ?? actor, {
    ...rows,
    prepare: async () => {
      const { metadata, ...statement } = await prepare()
      exportId = await record(() => AuditLogger.logExport(noun, metadata))
      return statement
    },
    signal,
    onEnd: async (sent, error) => {
      if (error) log.info({ error: error.message, export_id: exportId, [counted]: sent }, 'export ended early')
      if (exportId === '') return
      await record(() =>
        AuditLogger.log({
          action: `${noun}.export_completed`,
          target_type: noun,
          target_id: exportId,
          outcome: error ? 'failure' : 'success',
          metadata: { [counted]: sent },
        }),
      ).catch((failure: unknown) =>
        log.warn({ error: String(failure), export_id: exportId }, 'end of an export not recorded'),
      )
    },
  })
  return { file_name, content_type, body }
}
