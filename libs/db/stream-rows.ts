import { setTimeout as wait } from 'node:timers/promises'
import type pg from 'pg'
import { env } from '@/libs/env'
import { AppError } from '@/libs/errors'
import { type Actor, runInTenant } from '@/libs/tenancy/tenant-context'

const ROWS_AT_ONCE = 1_000
const PATIENCE_MS = 50_000
const STREAMS_OF_TENANT = 2
/** How long a reader may leave what is sent to it while others wait. */
const STILL_MS = 5_000

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

/** A stream that holds a connection: since when its reader has not taken what is there for it, and a way to end it. */
type Running = { tenantId: string; stillSince: number | null; giveUp: (reason: unknown) => void }

const running = new Set<Running>()

/**
 * Each stream holds a connection for as long as it runs: at most two of a tenant, and half of the pool together. When these
 * are taken, the reader who has stood still longest makes room, so that nobody holds them all by not reading.
 */
function takeSlot(stream: Running): void {
  const busy = new AppError('rate_limited', 'Other exports are still running. Try again when they are done.', {
    retry_after: 10,
  })
  if ([...running].filter(({ tenantId }) => tenantId === stream.tenantId).length >= STREAMS_OF_TENANT) throw busy
  if (running.size >= Math.max(1, Math.floor(env().DATABASE_POOL_SIZE / 2))) {
    const [still] = [...running].sort((a, b) => stillness(b) - stillness(a))
    if (!still || stillness(still) < STILL_MS) throw busy
    running.delete(still)
    still.giveUp(new Error('The reader stood still while others waited.'))
  }
  running.add(stream)
}

const stillness = ({ stillSince }: Running): number => (stillSince === null ? 0 : Date.now() - stillSince)

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
  const pipe = new TransformStream<Uint8Array, Uint8Array>()
  const sink = pipe.writable.getWriter()
  const giveUp = (reason: unknown) => void sink.abort(reason).catch(() => undefined)
  const stream: Running = { tenantId, stillSince: null, giveUp }
  takeSlot(stream)
  const started = Promise.withResolvers<void>()
  let sent = 0
  const leave = () => giveUp(signal.reason)
  signal.addEventListener('abort', leave, { once: true })

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
      stream.stillSince = Date.now()
      if (bytes.byteLength > 0) await send(sink, bytes)
      stream.stillSince = null
      sent += rows.length
      if (rows.length < ROWS_AT_ONCE) return
    }
  }
  const end = async (error: Error | null): Promise<void> => {
    signal.removeEventListener('abort', leave)
    running.delete(stream)
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
