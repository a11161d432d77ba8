import { TenantAnalytics } from '@/libs/analytics/tenant-analytics'
import { cutPage, type Page, readCursor } from '@/libs/api-utils/page'
import { tenantDb } from '@/libs/db/tenant-db'
import { notFound } from '@/libs/errors'
import { isUuid } from '@/libs/ids'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { readTimeRange } from '@/libs/tenancy/time-range'
import type { AnalyticsEventInput, AnalyticsEventListQuery } from '../schema'

export type AnalyticsEventRow = {
  id: string
  event: string
  distinct_id: string
  properties: unknown
  source: string
  occurred_at: Date
  created_at: Date
  forwarded_at: Date | null
}

/** Stores what a browser saw, all or nothing. Gives the ids in order. */
export async function createAnalyticsEvents(input: AnalyticsEventInput): Promise<{ ids: string[] }> {
  const events = Array.isArray(input) ? input : [input]
  const ids = await TenantAnalytics.trackEvents(
    events.map(({ event, distinct_id, properties, occurred_at }) => ({
      event,
      distinct_id: distinct_id ?? currentContext().actor.id,
      properties,
      source: 'browser' as const,
      ...(occurred_at ? { occurred_at: new Date(occurred_at) } : {}),
    })),
  )
  return { ids }
}

const columns = [
  'id',
  'event',
  'distinct_id',
  'properties',
  'source',
  'occurred_at',
  'created_at',
  'forwarded_at',
] as const

/** One event by its id. @throws AppError `not_found` */
export async function getAnalyticsEvent(id: string): Promise<AnalyticsEventRow> {
  if (!isUuid(id)) throw notFound()
  const query = tenantDb().selectFrom('analytics_events').select(columns).where('id', '=', id)
  const event = await query.executeTakeFirst()
  if (!event) throw notFound()
  return event
}

/** One page of the tenant's events, the last received first; times are those of the event. */
export async function listAnalyticsEvents({
  cursor,
  limit,
  event,
  distinct_id,
  source,
  ...range
}: AnalyticsEventListQuery): Promise<Page<AnalyticsEventRow>> {
  const { from, to } = await readTimeRange(range)
  let query = tenantDb()
    .selectFrom('analytics_events')
    .select(columns)
    .orderBy('id', 'desc')
    .limit(limit + 1)
  const [before] = readCursor(cursor, isUuid)
  if (before !== null) query = query.where('id', '<', before)
  if (event) query = query.where('event', '=', event)
  if (distinct_id) query = query.where('distinct_id', '=', distinct_id)
  if (source) query = query.where('source', '=', source)
  if (from) query = query.where('occurred_at', '>=', from)
  if (to) query = query.where('occurred_at', '<', to)
  return cutPage(await query.execute(), limit, (row) => [row.id])
}
