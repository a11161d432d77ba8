import { cutPage, type Page, readCursor } from '@/libs/api-utils/page'
import { hideSecrets } from '@/libs/audit/hide-secrets'
import { cutText, toStorable } from '@/libs/cut-text'
import { containsPattern } from '@/libs/db/like-pattern'
import { tenantDb } from '@/libs/db/tenant-db'
import { isUuid, newId } from '@/libs/ids'

export const CONNECTORS = ['slack', 'webhook', 'email', 'http'] as const
export const CONNECTOR_EVENT_STATUSES = ['recorded', 'pending', 'sent', 'failed'] as const

export type Connector = (typeof CONNECTORS)[number]
export type ConnectorEventStatus = (typeof CONNECTOR_EVENT_STATUSES)[number]

export type ConnectorEventRow = {
  id: string
  connector: string
  direction: string
  action: string
  target: string
  status: string
  attempts: number
  request: unknown
  response: unknown
  error: string | null
  user_id: string | null
  created_at: Date
  updated_at: Date
}

export type ConnectorEventEntry = {
  connector: Connector
  /** `noun.verb`: message.posted, mail.sent, webhook.called. */
  action: string
  /** Channel, address or URL. */
  target: string
  direction?: 'outbound' | 'inbound'
  /** Default `recorded`: noted, nothing was sent. */
  status?: ConnectorEventStatus
  /** Which attempt this was, from 1. */
  attempts?: number
  request?: Record<string, unknown>
  response?: Record<string, unknown>
  error?: string
  user_id?: string | null
}

export type ConnectorEventQuery = {
  cursor?: string
  limit: number
  connector?: Connector
  direction?: 'outbound' | 'inbound'
  status?: ConnectorEventStatus
  action?: string
  user_id?: string
  q?: string
  from?: Date | null
  to?: Date | null
}

const LONGEST_TEXT = 4_000

/** A URL without credentials, query and fragment: those hold secrets more often than not. Other texts as they are. */
function withoutSecrets(target: string): string {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(target) || !URL.canParse(target)) return target
  const url = new URL(target)
  const path = url.hostname === 'hooks.slack.com' ? '/…' : url.pathname
  return `${url.protocol}//${url.host}${path}`
}

const storable = (text: string, longest: number): string => cutText(toStorable(text), longest)

/**
 * Notes one thing that went through a connector, or is to be known as meant for it; in the transaction of the current
 * context. Secrets in `request` and `response` are hidden. Gives the id. @throws Error outside of a tenant context.
 */
async function logEvent(entry: ConnectorEventEntry): Promise<string> {
  const id = newId()
  await tenantDb()
    .insertInto('connector_events')
    .values({
      id,
      connector: entry.connector,
      direction: entry.direction ?? 'outbound',
      action: entry.action,
      target: storable(withoutSecrets(entry.target), 2_000) || '-',
      status: entry.status ?? 'recorded',
      attempts: entry.attempts ?? 0,
      request: JSON.stringify(hideSecrets(entry.request ?? {})),
      response: entry.response ? JSON.stringify(hideSecrets(entry.response)) : null,
      error: entry.error === undefined ? null : storable(entry.error, 2_000),
      user_id: entry.user_id ? storable(entry.user_id, 200) : null,
    })
    .execute()
  return id
}

const columns = [
  'id',
  'connector',
  'direction',
  'action',
  'target',
  'status',
  'attempts',
  'request',
  'response',
  'error',
  'user_id',
  'created_at',
  'updated_at',
] as const

async function findConnectorEvent(id: string): Promise<ConnectorEventRow | null> {
  const query = tenantDb().selectFrom('connector_events').select(columns).where('id', '=', id)
  return (await query.executeTakeFirst()) ?? null
}

async function listConnectorEvents({
  cursor,
  limit,
  ...filters
}: ConnectorEventQuery): Promise<Page<ConnectorEventRow>> {
  let query = tenantDb()
    .selectFrom('connector_events')
    .select(columns)
    .orderBy('id', 'desc')
    .limit(limit + 1)
  const [before] = readCursor(cursor, isUuid)
  if (before !== null) query = query.where('id', '<', before)
  for (const name of ['connector', 'direction', 'status', 'action', 'user_id'] as const) {
    const value = filters[name]
    if (value) query = query.where(name, '=', value)
  }
  if (filters.from) query = query.where('created_at', '>=', filters.from)
  if (filters.to) query = query.where('created_at', '<', filters.to)
  if (filters.q) {
    const pattern = containsPattern(filters.q)
    query = query.where((where) => where.or([where('target', 'ilike', pattern), where('action', 'ilike', pattern)]))
  }
  return cutPage(await query.execute(), limit, (row) => [row.id])
}

/**
 * What goes, or fails to go, through the connectors of the current tenant. Each function notes one event in the current
 * transaction and gives its id. Noting is not sending: what was only noted stands as `recorded`.
 */
export const ConnectorEventsService = Object.freeze({
  logEvent,
  /** Notes a message meant for a Slack channel. */
  logSlackMessage: (channel: string, message: string, userId?: string | null): Promise<string> =>
    logEvent({
      connector: 'slack',
      action: 'message.recorded',
      target: channel,
      request: { text: storable(message, LONGEST_TEXT) },
      user_id: userId ?? null,
    }),
  /** Notes an event meant for a webhook; the URL is kept without credentials and query. */
  logWebhook: (
    url: string,
    event: string,
    payload: Record<string, unknown> = {},
    userId?: string | null,
  ): Promise<string> =>
    logEvent({
      connector: 'webhook',
      action: 'webhook.recorded',
      target: url,
      request: { event, payload },
      user_id: userId ?? null,
    }),
  /** Notes an e-mail meant for an address; its content is not kept. */
  logEmail: (to: string, subject: string, userId?: string | null): Promise<string> =>
    logEvent({
      connector: 'email',
      action: 'mail.recorded',
      target: to,
      request: { subject: storable(subject, 500) },
      user_id: userId ?? null,
    }),
  /** One page, newest first. */
  listConnectorEvents,
  /** One event of the tenant; null when there is none of that id (a UUID). */
  findConnectorEvent,
})
