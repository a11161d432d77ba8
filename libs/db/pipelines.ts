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

type Lane = { client: pg.Client; socket: Socket; opened: Promise<unknown>; waiting: number }
const lanes: Lane[] = []

/**
 * Runs a short statement that is a transaction of its own as `app_server`, on a connection that others use at the same
 * moment: what is asked in one turn of the loop goes out in one write, and nobody waits for the answer to the one before.
 * Where many tenants ask for little each, connections and wake-ups cost more than the statements. One that has to wait for a
 * lock, or takes long, is taken back. @throws what the database says, 55P03 or 57014 then, and what a lost connection does.
 */
export async function queryInPipeline<R extends pg.QueryResultRow>(query: pg.QueryConfig): Promise<pg.QueryResult<R>> {
  const lane = findLane()
  lane.waiting += 1
  try {
    await lane.opened
    gatherWrites(lane.socket)
    return await lane.client.query<R>(query)
  } finally {
    lane.waiting -= 1
  }
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
  const lane: Lane = { client, socket, opened: client.connect(), waiting: 0 }
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

function gatherWrites(socket: Socket): void {
  if (socket.writableCorked > 0) return
  socket.cork()
  process.nextTick(() => socket.uncork())
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
