import { toPlainJson } from '@/libs/audit/hide-secrets'
import { cutText, toStorable } from '@/libs/cut-text'
import { tenantQuery } from '@/libs/db/tenant-db'
import { env } from '@/libs/env'
import { newId } from '@/libs/ids'

/** Topic of the outbox under which events wait to be forwarded to PostHog. */
export const ANALYTICS_TOPIC = 'analytics'

const LONGEST_PROPERTIES = 30_000

export type AnalyticsEntry = {
  /** Who did it: id of a user, a customer or a device. */
  distinct_id: string
  /** What happened, for example `api_call`. */
  event: string
  properties?: Readonly<Record<string, unknown>>
  /** Default: now. */
  occurred_at?: Date
  /** Where it was seen; default `server`. */
  source?: 'server' | 'browser'
}

const INPUT = `select id, event, distinct_id, properties, source, occurred_at from jsonb_to_recordset($1::jsonb)
  as e(id uuid, event text, distinct_id text, properties jsonb, source text, occurred_at timestamptz)`
const STORE = `insert into analytics_events (id, event, distinct_id, properties, source, occurred_at) ${INPUT}`
const STORE_AND_FORWARD = `with input as materialized (${INPUT}),
  stored as (insert into analytics_events (id, event, distinct_id, properties, source, occurred_at) select * from input)
  insert into outbox (id, topic, payload) select id, '${ANALYTICS_TOPIC}', '{}' from input`

/** A text of 1 to 200 characters that Postgres can hold. */
function toName(text: string, fallback: string): string {
  return cutText(toStorable(text).trim(), 200) || fallback
}

function toProperties(properties: Readonly<Record<string, unknown>>): unknown {
  const plain = toPlainJson(properties)
  const bytes = Buffer.byteLength(JSON.stringify(plain))
  return bytes <= LONGEST_PROPERTIES ? plain : { properties_dropped_bytes: bytes }
}

/**
 * Stores events of the current tenant in its transaction, in one statement; where PostHog is configured, in the same
 * statement each is put into the outbox, from which the worker forwards it. Overlong texts are cut and properties beyond
 * 30,000 bytes are dropped, with a note: analytics never fail what they watch. Gives the ids, in order.
 * @throws Error outside of a tenant context.
 */
async function trackEvents(entries: readonly AnalyticsEntry[]): Promise<string[]> {
  const rows = entries.map(({ event, distinct_id, properties = {}, occurred_at = new Date(), source = 'server' }) => ({
    id: newId(),
    event: toName(event, 'unnamed'),
    distinct_id: toName(distinct_id, 'anonymous'),
    properties: toProperties(properties),
    source,
    occurred_at: occurred_at.toISOString(),
  }))
  if (rows.length > 0) await tenantQuery(env().POSTHOG_KEY ? STORE_AND_FORWARD : STORE, [JSON.stringify(rows)])
  return rows.map(({ id }) => id)
}

async function trackEvent(
  distinctId: string,
  event: string,
  properties: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const [id = ''] = await trackEvents([{ distinct_id: distinctId, event, properties }])
  return id
}

/**
 * Product analytics of the current tenant. Events are kept per tenant and can be queried without PostHog; with
 * POSTHOG_KEY they are forwarded to it as well, under the tenant's group. Each function gives the id of its event.
 */
export const TenantAnalytics = Object.freeze({
  trackEvents,
  /** Any event, by name. */
  trackEvent,
  /** `api_call` with endpoint and method. */
  trackApiCall: (distinctId: string, endpoint: string, method: string): Promise<string> =>
    trackEvent(distinctId, 'api_call', { endpoint, method }),
  /** `signed_in`, with how. */
  trackSignIn: (distinctId: string, method = 'password'): Promise<string> =>
    trackEvent(distinctId, 'signed_in', { method }),
  /** `signed_up`, with how. */
  trackSignUp: (distinctId: string, method = 'password'): Promise<string> =>
    trackEvent(distinctId, 'signed_up', { method }),
  /** `page_viewed`, with the path: without query, which may hold what is nobody's business. */
  trackPageView: (distinctId: string, path: string): Promise<string> =>
    trackEvent(distinctId, 'page_viewed', { path: path.split(/[?#]/, 1)[0] }),
})
