import { setTimeout as wait } from 'node:timers/promises'
import type pg from 'pg'
import { type Actor, runInTenant } from '@/libs/tenancy/tenant-context'

const ROWS_AT_ONCE = 1_000
const PATIENCE_MS = 50_000

export type RowStream<Row> = {
  text: string
  values: unknown[]
  /** A batch of rows as bytes; `first` says where a header belongs. */
  encode: (rows: Row[], first: boolean) => Uint8Array
  /** Ends it early, when the reader goes away. */
  signal: AbortSignal
  /** Called when it has ended: with the number of rows sent, and the reason when it is not whole. */
  onEnd: (rows: number, error: Error | null) => void
}

/**
 * The rows of a statement as a stream of bytes, from one snapshot of the database, batch by batch as the reader takes
 * them. Holds one connection meanwhile; a reader that stands still for a minute ends it. Resolves with the first batch, so
 * that a statement that fails is an error and no broken file. To be called outside of a transaction.
 */
export async function streamRows<Row extends pg.QueryResultRow>(
  tenantId: string,
  actor: Actor,
  { text, values, encode, signal, onEnd }: RowStream<Row>,
): Promise<ReadableStream<Uint8Array>> {
  const pipe = new TransformStream<Uint8Array, Uint8Array>()
  const sink = pipe.writable.getWriter()
  const started = Promise.withResolvers<void>()
  let sent = 0
  const giveUp = () => void sink.abort(signal.reason).catch(() => undefined)
  signal.addEventListener('abort', giveUp, { once: true })

  const pump = async (client: pg.PoolClient): Promise<void> => {
    await client.query(
      "set local statement_timeout = '10min'; set local idle_in_transaction_session_timeout = '60s'; set local transaction_timeout = '15min'",
    )
    await client.query(`declare row_stream no scroll cursor for ${text}`, values)
    for (let first = true; ; first = false) {
      const { rows } = await client.query<Row>(`fetch ${ROWS_AT_ONCE} from row_stream`)
      if (first) started.resolve()
      const bytes = encode(rows, first)
      if (bytes.byteLength > 0) await send(sink, bytes)
      sent += rows.length
      if (rows.length < ROWS_AT_ONCE) return
    }
  }
  const end = async (error: Error | null): Promise<void> => {
    signal.removeEventListener('abort', giveUp)
    if (error) {
      started.reject(error)
      await sink.abort(error).catch(() => undefined)
    } else await sink.close().catch(() => undefined)
    onEnd(sent, error)
  }
  void runInTenant(tenantId, actor, ({ client }) => {
    if (!client) throw new Error('A stream runs in a transaction.')
    return pump(client)
  }).then(
    () => end(null),
    (error: Error) => end(error),
  )
  await started.promise
  return pipe.readable
}

async function send(sink: WritableStreamDefaultWriter<Uint8Array>, bytes: Uint8Array): Promise<void> {
  const patience = new AbortController()
  const impatient = wait(PATIENCE_MS, undefined, { signal: patience.signal }).then(() => {
    throw new Error('The reader stood still.')
  })
  try {
    await Promise.race([sink.write(bytes), impatient])
  } catch (reason) {
    throw reason instanceof Error ? reason : new Error('The reader went away.', { cause: reason })
  } finally {
    patience.abort()
    impatient.catch(() => undefined)
  }
}
