import pg from 'pg'
import { env } from '@/libs/env'
import { log } from '@/libs/log'
import { connectionSettings } from './connection'
import { openSocket } from './silence'

/** A row of the registry changed. */
export type RegistryMessage = { table: string; tenant_id: string; id: string | null }
type Listener = (message: RegistryMessage | null) => void

const listeners = new Map<string, Set<Listener>>()
let client: pg.Client | undefined
let connected = false
let connecting: Promise<void> | undefined
let retry: NodeJS.Timeout | undefined
let stopped = false

/** Whether notifications arrive at this moment; without them caches must be short-lived. */
export function isListening(): boolean {
  return connected
}

/**
 * Calls `listener` for every notification on a channel, over one session connection of this process.
 * `null` means that notifications may have been missed (the connection was lost and is back): forget everything.
 */
export function onNotification(channel: string, listener: Listener): () => void {
  const existing = listeners.get(channel)
  if (existing) existing.add(listener)
  else listeners.set(channel, new Set([listener]))
  stopped = false
  if (!client) void startConnecting()
  else if (connected && !existing) {
    const current = client
    current.query(`listen ${pg.escapeIdentifier(channel)}`).catch((error: Error) => lost(current, error))
  }
  return () => {
    listeners.get(channel)?.delete(listener)
  }
}

/** Asks the database, over this connection, whether it is there; ends with its answer, or when there is no way to it. */
export async function askWhetherThere(): Promise<void> {
  if (stopped) return
  if (connected) await client?.query('select 1')
  else await (connecting ?? startConnecting())
}

/** Closes the connection; for a process that ends. */
export async function stopNotifications(): Promise<void> {
  stopped = true
  connected = false
  clearTimeout(retry)
  const closing = client
  client = undefined
  listeners.clear()
  await closing
    ?.end()
    .catch((error: Error) => log.debug({ error: error.message }, 'notification connection closed uncleanly'))
}

function startConnecting(): Promise<void> {
  clearTimeout(retry)
  connecting = connect().finally(() => {
    connecting = undefined
  })
  return connecting
}

async function connect(): Promise<void> {
  const next = new pg.Client({
    ...connectionSettings,
    connectionString: env().DATABASE_URL,
    application_name: 'holdfast notifications',
    // It is the one that hears when a silent database speaks again.
    stream: () => openSocket({ patient: true }),
  })
  client = next
  next.on('error', (error) => lost(next, error))
  next.on('end', () => lost(next, new Error('connection ended')))
  next.on('notification', ({ channel, payload }) => {
    const message = payload ? parse(payload) : null
    for (const listener of listeners.get(channel) ?? []) listener(message)
  })
  try {
    await next.connect()
    for (const channel of listeners.keys()) await next.query(`listen ${pg.escapeIdentifier(channel)}`)
    connected = true
    for (const group of listeners.values()) for (const listener of group) listener(null)
  } catch (error) {
    lost(next, error instanceof Error ? error : new Error(String(error)))
  }
}

function parse(payload: string): RegistryMessage | null {
  try {
    return JSON.parse(payload) as RegistryMessage
  } catch {
    return null
  }
}

function lost(which: pg.Client, error: Error): void {
  if (client !== which || stopped) return
  connected = false
  client = undefined
  log.warn({ error: error.message }, 'notifications lost, connecting again')
  which.end().catch((failure: Error) => log.debug({ error: failure.message }, 'lost connection closed'))
  clearTimeout(retry)
  retry = setTimeout(() => void startConnecting(), 500)
  retry.unref()
}
