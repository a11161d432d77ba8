import { setTimeout as wait } from 'node:timers/promises'
import type pg from 'pg'
import { env } from '@/libs/env'
import { AppError } from '@/libs/errors'
import { type Actor, runInTenant } from '@/libs/tenancy/tenant-context'

const ROWS_AT_ONCE = 1_000
const PATIENCE_MS = 50_000
const STREAMS_OF_TENANT = 2

export type RowStream<Row> = {
  /** Gives the statement, within the transaction it will run in; done before the first byte leaves. */
  prepare: () => Promise<{ text: string; values: readonly unknown[] }>
  /** `prepare` and the rows see the database at one moment; else the rows see it when their statement begins. */
  frozen?: boolean
  /** A batch of rows as bytes; `first` says where a header belongs. */
  encode: (rows: Row[], first: boolean) => Uint8Array
  /** Ends it early, when the reader goes away. */
  signal: AbortSignal
  /** Called when all is sent or nothing more will be, before the reader sees the end: with the number of rows, and why it is not whole. */
  onEnd: (rows: number, error: Error | null) => Promise<void> | void
}

const running = new Map<string, number>()

/** Each stream holds a connection for as long as it runs: at most two of a tenant, and half of the pool together. */
function takeSlot(tenantId: string): () => void {
  const own = running.get(tenantId) ?? 0
  const all = [...running.values()].reduce((sum, count) => sum + count, 0)
  if (own >= STREAMS_OF_TENANT || all >= Math.max(1, Math.floor(env().DATABASE_POOL_SIZE / 2)))
    throw new AppError('rate_limited', 'Other exports are still running. Try again when they are done.', {
      retry_after: 10,
    })
  running.set(tenantId, own + 1)
  return () => {
    const left = (running.get(tenantId) ?? 1) - 1
    if (left > 0) running.set(tenantId, left)
    else running.delete(tenantId)
  }
}

/**
 * The rows of a statement as a stream of bytes, from one snapshot of the database, batch by batch as the reader takes
 * them. Holds one connection meanwhile; a reader that stands still for a minute ends it. Resolves with the first batch, so
 * that a statement that fails is an error and no broken file. To be called outside of a transaction.
 * @throws AppError rate_limited while too many streams run.
 */
export async function streamRows<Row extends pg.QueryResultRow>(
  tenantId: string,
  actor: Actor,
  { prepare, frozen = false, encode, signal, onEnd }: RowStream<Row>,
): Promise<ReadableStream<Uint8Array>> {
  const release = takeSlot(tenantId)
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
    const { text, values } = await prepare()
    await client.query(`declare row_stream no scroll cursor for ${text}`, [...values])
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
    release()
    if (error) started.reject(error)
    await onEnd(sent, error)
    if (error) await sink.abort(error).catch(() => undefined)
    else await sink.close().catch(() => undefined)
  }
  void runInTenant(
    tenantId,
    actor,
    ({ client }) => {
      if (!client) throw new Error('A stream runs in a transaction.')
      return pump(client)
    },
    { frozen },
  ).then(
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
