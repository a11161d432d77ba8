import { sql } from 'kysely'
import { cutPage, type Page, readCursor } from '@/libs/api-utils/page'
import { cutText } from '@/libs/cut-text'
import { tenantDb, tenantQuery } from '@/libs/db/tenant-db'
import { isUuid } from '@/libs/ids'
import { parseExactly } from '@/libs/ingest/exact-number'
import { createGroupCommit } from '@/libs/ingest/group-commit'
import { log } from '@/libs/log'
import { type Actor, currentContext, runOutsideTenant } from '@/libs/tenancy/tenant-context'
import { describeEvent, type ParsedEvents } from './event-parser'
import type { RejectionListQuery } from './event-schema'
import { callerKey, runStatement, usageActor } from './usage-statement'

const KEEP = 'select app.ingest_usage_rejections($1, $2, $3, $4) as value'
const LONGEST_EVENT = 2_000
const KEPT_PER_REQUEST = 100

export type RejectionRow = {
  id: string
  received_at: Date
  code: string
  detail: string
  event: unknown
  request_id: string | null
}

type Work = { tenantId: string; actor: Actor; rows: readonly unknown[] }

// Who is at its cap and goes on sending is refused as often as others are counted: what is refused shares commits as well.
const keeper = createGroupCommit<Work, true>({
  run: (works) => runOutsideTenant(() => keepTogether(works)),
  writers: 4,
  worthJoining: 256,
  maxBatch: 1_000,
  maxQueued: 20_000,
})

async function keepTogether(works: readonly Work[]): Promise<true[]> {
  const [first] = works
  if (!first) return []
  const rows = JSON.stringify(works.flatMap((work) => work.rows))
  await runStatement(KEEP, first.tenantId, ({ epoch }) => [first.tenantId, epoch, usageActor(first.actor), rows])
  return works.map(() => true)
}

/**
 * Keeps events that were refused, with the reason, so that the tenant can see why; of one request the first hundred.
 * A failure to keep them does not fail the request: what counts was counted.
 */
export async function keepRejections(
  rejected: readonly { index: number; code: string; detail: string }[],
  { events, refused }: Pick<ParsedEvents, 'events' | 'refused'>,
): Promise<void> {
  if (rejected.length === 0) return
  const { tenantId, actor, client } = currentContext()
  const described = (index: number): unknown => {
    const event = refused.has(index) ? undefined : events.find((one) => one.index === index)
    return event ? describeEvent(event) : refused.get(index)
  }
  const rows = rejected.slice(0, KEPT_PER_REQUEST).map(({ index, code, detail }) => ({
    code,
    detail,
    event: shorten(described(index)),
    request_id: actor.request_id ?? null,
  }))
  if (client) {
    await tenantQuery('select app.keep_usage_rejections($1, $2)', [tenantId, JSON.stringify(rows)])
    return
  }
  try {
    await keeper.submit(tenantId, callerKey(actor), { tenantId, actor, rows }, rows.length)
  } catch (error) {
    log.warn({ tenant: tenantId, err: error, rejected: rejected.length }, 'rejected events not kept')
  }
}

/** The event as it is kept: cut when it is long, in words where it is null, which would be no event at all. */
function shorten(event: unknown): unknown {
  const text = JSON.stringify(event) ?? 'null'
  if (text === 'null') return String(event)
  return text.length <= LONGEST_EVENT ? event : { shortened: cutText(text, LONGEST_EVENT) }
}

/** Refused events, newest first. */
export async function listRejections({ cursor, limit, code }: RejectionListQuery): Promise<Page<RejectionRow>> {
  let query = tenantDb()
    .selectFrom('usage_rejections')
    .select(['id', 'received_at', 'code', 'detail', 'request_id', sql<string>`event::text`.as('event')])
    .orderBy('id', 'desc')
    .limit(limit + 1)
  const [before] = readCursor(cursor, isUuid)
  if (before !== null) query = query.where('id', '<', before)
  if (code) query = query.where('code', '=', code)
  const rows = (await query.execute()).map((row): RejectionRow => ({ ...row, event: parseExactly(row.event) }))
  return cutPage(rows, limit, (row) => [row.id])
}

export type RejectionCount = { code: string; count: number; last_at: Date }

/** How many of the refused events that are kept there are for each reason, the most frequent first. */
export async function countRejections(): Promise<RejectionCount[]> {
  return tenantQuery<RejectionCount>(
    `select r.code, count(*)::integer as count, max(r.received_at) as last_at from usage_rejections r
     where r.tenant_id = $1 group by r.code order by 2 desc, 1`,
    [currentContext().tenantId],
  )
}
