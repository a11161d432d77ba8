import { LRUCache } from 'lru-cache'
import { PostHog } from 'posthog-node'
import { tenantDb } from '@/libs/db/tenant-db'
import { env } from '@/libs/env'
import type { OutboxFailure, OutboxMessage } from '@/libs/jobs/outbox'
import { type OutboxSink, WORKER } from '@/libs/jobs/outbox-worker'
import type { TenantRouting } from '@/libs/tenancy/resolve-tenant'
import { runInTenant } from '@/libs/tenancy/tenant-context'
import { ANALYTICS_TOPIC } from './tenant-analytics'

/** Type of the PostHog group every event belongs to; the group's key is the tenant's id. */
const TENANT_GROUP = 'tenant'

const PATIENCE_MS = 10_000

type StoredEvent = {
  id: string
  event: string
  distinct_id: string
  properties: unknown
  source: string
  occurred_at: Date
}

/** Tenants whose group PostHog was told of, with what it was told, so that it is told once and again when it changes. */
const toldGroups = new LRUCache<string, string>({ max: 50_000 })

/** Sends events to PostHog; it took all of them when this returns. @throws Error when it did not, or nobody knows. */
async function send(
  events: readonly StoredEvent[],
  { id, name, slug, plan_id }: TenantRouting,
  key: string,
): Promise<void> {
  // A client of its own: what fails to be sent is then known to be of this batch, and nothing lingers in a shared queue.
  const client = new PostHog(key, {
    host: env().POSTHOG_HOST,
    flushAt: Number.MAX_SAFE_INTEGER,
    flushInterval: 0,
    fetchRetryCount: 0,
    requestTimeout: PATIENCE_MS,
    // The address of this server says nothing about where people are.
    disableGeoip: true,
  })
  const group = JSON.stringify({ name, slug, plan: plan_id })
  if (toldGroups.get(id) !== group)
    client.groupIdentify({ groupType: TENANT_GROUP, groupKey: id, properties: { name, slug, plan: plan_id } })
  for (const event of events) {
    client.capture({
      uuid: event.id,
      distinctId: event.distinct_id,
      event: event.event,
      timestamp: event.occurred_at,
      groups: { [TENANT_GROUP]: id },
      properties: { ...(event.properties as Record<string, unknown>), source: event.source },
    })
  }
  await client.flush()
  toldGroups.set(id, group)
}

function loadEvents(ids: string[]): Promise<StoredEvent[]> {
  return tenantDb()
    .selectFrom('analytics_events')
    .select(['id', 'event', 'distinct_id', 'properties', 'source', 'occurred_at'])
    .where('id', 'in', ids)
    .orderBy('id')
    .execute()
}

const isRefusal = (error: unknown): boolean => {
  const status = error instanceof Error && 'status' in error ? Number(error.status) : 0
  return status === 400 || status === 413 || status === 422
}

/** What `Retry-After` says, in milliseconds; the client takes five minutes at most from it. */
const askedToWait = (error: unknown): number =>
  error instanceof Error && 'retryAfterMs' in error && typeof error.retryAfterMs === 'number' ? error.retryAfterMs : 0

/** One after the other, after a batch was refused: one bad event must not hold back the others. */
async function sendSingly(
  events: readonly StoredEvent[],
  tenant: TenantRouting,
  key: string,
): Promise<OutboxFailure[]> {
  const failures: OutboxFailure[] = []
  const deadline = performance.now() + PATIENCE_MS
  for (const event of events) {
    try {
      if (performance.now() > deadline) throw new Error('There was no time left to send this event by itself.')
      await send([event], tenant, key)
    } catch (error) {
      failures.push({ id: event.id, error: String(error), permanent: isRefusal(error) })
    }
  }
  return failures
}

async function deliver(messages: readonly OutboxMessage[], tenant: TenantRouting): Promise<OutboxFailure[]> {
  const key = env().POSTHOG_KEY
  // PostHog was switched off since: the events stay queryable here, and nothing is sent.
  if (!key) return []
  const events = await runInTenant(tenant, WORKER, () => loadEvents(messages.map(({ id }) => id)))
  if (events.length === 0) return []
  try {
    await send(events, tenant, key)
    return []
  } catch (error) {
    if (isRefusal(error) && events.length > 1) return sendSingly(events, tenant, key)
    const wait_ms = askedToWait(error)
    return messages.map(({ id }) => ({ id, error: String(error), wait_ms }))
  }
}

async function settle(delivered: readonly OutboxMessage[]): Promise<void> {
  if (delivered.length === 0 || !env().POSTHOG_KEY) return
  await tenantDb()
    .updateTable('analytics_events')
    .set({ forwarded_at: new Date() })
    .where(
      'id',
      'in',
      delivered.map(({ id }) => id),
    )
    .execute()
}

/**
 * Forwards analytics events to PostHog, under the tenant's group, at least once; an event keeps its id, by which PostHog
 * drops what comes twice. Without POSTHOG_KEY nothing is sent.
 */
export const analyticsSink: OutboxSink = {
  topic: ANALYTICS_TOPIC,
  batch: 100,
  ordered: true,
  attempts: 30,
  forget: false,
  lanes: 16,
  deliver,
  settle,
}
