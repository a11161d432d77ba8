import type { Socket } from 'node:net'
import pg from 'pg'
import { env } from '@/libs/env'
import { log } from '@/libs/log'
import { connectionSettings } from './connection'
import { openSocket } from './silence'

const LANES = 4
/** How long a statement may hold up those behind it while it waits for somebody's lock, and by all it does. */
const LOCK_WAIT_MS = 50
const LONGEST_MS = 2_000

/**
 * What comes after the statements of a turn that write. None of them waited for the disk; its commit does, in the way the server
 * would have had each of theirs do it, and what was written before it is on the disk then as well.
 */
const FLUSH = "select set_config('synchronous_commit', $1, true), pg_logical_emit_message(true, 'holdfast', '')"

/** What goes out at the end of this turn of the loop, and whether something must be on the disk before it is answered. */
type Turn = { writes: boolean; flushed: Promise<unknown> }
type Lane = {
  client: pg.Client
  socket: Socket
  /** Gives the server's own `synchronous_commit`, or null where each statement waits for the disk by itself. */
  opened: Promise<string | null>
  waiting: number
  turn: Turn | null
}
const lanes: Lane[] = []

/**
 * Runs a short statement that is a transaction of its own as `app_server`, on a connection that others use at the same
 * moment: what is asked in one turn of the loop goes out in one write, and nobody waits for the answer to the one before.
 * Where many tenants ask for little each, connections and wake-ups cost more than the statements, and waiting for the disk more
 * than both: those that write (`writes`) have one wait together, and are answered after it. One that has to wait for a lock, or
 * takes long, is taken back. @throws what the database says, 55P03 or 57014 then; what a lost connection does; 08007 where a
 * commit was not confirmed.
 */
export async function queryInPipeline<R extends pg.QueryResultRow>(
  query: pg.QueryConfig,
  { writes = false } = {},
): Promise<pg.QueryResult<R>> {
  const lane = findLane()
  lane.waiting += 1
  try {
    const durability = await lane.opened
    lane.turn ??= beginTurn(lane, durability)
    if (!writes || durability === null) return await lane.client.query<R>(query)
    lane.turn.writes = true
    const [answer, flush] = await Promise.allSettled([lane.client.query<R>(query), lane.turn.flushed])
    if (answer.status === 'rejected') throw answer.reason
    if (flush.status === 'rejected') throw notConfirmed(flush.reason)
    return answer.value
  } finally {
    lane.waiting -= 1
  }
}

function beginTurn(lane: Lane, durability: string | null): Turn {
  lane.socket.cork()
  const turn: Turn = {
    writes: false,
    flushed: new Promise((resolve) => {
      process.nextTick(() => {
        lane.turn = null
        resolve(turn.writes && lane.client.query({ name: 'flush', text: FLUSH, values: [durability] }))
        lane.socket.uncork()
      })
    }),
  }
  return turn
}

function notConfirmed(cause: unknown): Error {
  return Object.assign(new Error('A commit was not confirmed.', { cause }), { code: '08007' })
}

/** The one with the fewest before it; another is opened only when all are busy. */
function findLane(): Lane {
  let found: Lane | undefined
  for (const lane of lanes) if (!found || lane.waiting < found.waiting) found = lane
  return found && (found.waiting === 0 || lanes.length === LANES) ? found : openLane()
}

function openLane(): Lane {
  const socket = openSocket()
  const client = new pg.Client({
    ...connectionSettings,
    connectionString: env().DATABASE_URL,
    application_name: 'holdfast server pipeline',
    lock_timeout: LOCK_WAIT_MS,
    statement_timeout: LONGEST_MS,
    pipeline: true,
    stream: () => socket,
  })
  const lane: Lane = { client, socket, opened: prepare(client), waiting: 0, turn: null }
  const forget = () => {
    const index = lanes.indexOf(lane)
    if (index >= 0) lanes.splice(index, 1)
  }
  client.on('error', (error) => {
    forget()
    log.warn({ error: error.message }, 'pipelined database connection lost')
  })
  client.on('end', forget)
  // Whoever asks hears of it; the next one opens another.
  lane.opened.catch(forget)
  lanes.push(lane)
  return lane
}

async function prepare(client: pg.Client): Promise<string | null> {
  await client.connect()
  const { rows } = await client.query<{ pid: number; durability: string }>(
    "select pg_backend_pid() as pid, current_setting('synchronous_commit') as durability",
  )
  const [server] = rows
  // Who introduced itself as another process is a pooler: what is set here would be the next one's.
  if (!server || server.pid !== (client as pg.Client & { processID?: number }).processID) return null
  await client.query('set synchronous_commit = off')
  return server.durability
}

/** Closes every connection once what was asked on it is answered; the next use opens new ones. */
export async function closePipelines(): Promise<void> {
  await Promise.all(
    lanes.splice(0).map(async ({ client, opened }) => {
      await Promise.allSettled([opened])
      await client.end()
    }),
  )
}
