import { cutPage, encodeCursor, type Page, readCursor } from '@/libs/api-utils/page'
import { AuditLogger } from '@/libs/audit/audit-logger'
import { tenantQuery } from '@/libs/db/tenant-db'
import { notFound } from '@/libs/errors'
import { isUuid } from '@/libs/ids'
import type { AuditLogFacets, AuditLogFilters, AuditLogListQuery, AuditLogRow } from '../schema'
import { auditLine, filterAuditLogs } from './audit-log-query'
import { nameTargets, type RecordedRow } from './target-names'

const toRow = ({ line }: { line: string }): RecordedRow => JSON.parse(line) as RecordedRow

/** How many rows a search looks through at a time. */
const SLICES = [2_000, 8_000, 40_000, 150_000, 300_000]

/**
 * One page of the audit log, newest first. Looking is itself recorded, as `audit_log.read` with the filters: every page,
 * because a cursor can be made up. The new row is newer than the page, so that it does not disturb the pages to come.
 */
export async function listAuditLogs({ cursor, limit, ...filters }: AuditLogListQuery): Promise<Page<AuditLogRow>> {
  const before = readCursor(cursor, isUuid)[0] ?? undefined
  const page = filters.q ? await search(filters, before, limit) : await readPage(filters, before, limit)
  await AuditLogger.logRead('audit_log', { filters, rows: page.data.length, ...(cursor ? { continued: true } : {}) })
  return { ...page, data: await nameTargets(page.data) }
}

async function readPage(
  filters: AuditLogFilters,
  before: string | undefined,
  limit: number,
): Promise<Page<RecordedRow>> {
  const query = (await filterAuditLogs(filters, { before })).select(auditLine.as('line'))
  const rows = await query
    .orderBy('audit_logs.id', 'desc')
    .limit(limit + 1)
    .execute()
  return cutPage(rows.map(toRow), limit, ({ id }) => [id])
}

/**
 * A page of what contains a text: looked for in the newest rows that the other filters let through, then in more and more
 * of the older ones, until the page is full. After half a million rows it ends early, with a cursor to go on from.
 */
async function search(
  { q, ...others }: AuditLogFilters,
  start: string | undefined,
  limit: number,
): Promise<Page<RecordedRow>> {
  const found: string[] = []
  let before = start
  for (const size of SLICES) {
    const slice = (await filterAuditLogs(others, { before })).select('audit_logs.id').orderBy('audit_logs.id', 'desc')
    const end = await slice
      .offset(size - 1)
      .limit(1)
      .executeTakeFirst()
    // Ids alone: whole rows are wide, and most are only looked at.
    const hits = (await filterAuditLogs({ ...others, q }, { oldest: end?.id, before }))
      .select('audit_logs.id')
      .orderBy('audit_logs.id', 'desc')
    for (const { id } of await hits.limit(limit + 1 - found.length).execute()) found.push(id)
    if (found.length > limit || !end) return readFound(cutPage(found, limit, (id) => [id]))
    before = end.id
  }
  return readFound({ data: found, next_cursor: encodeCursor(before === undefined ? [] : [before]) })
}

async function readFound({ data, next_cursor }: Page<string>): Promise<Page<RecordedRow>> {
  if (data.length === 0) return { data: [], next_cursor }
  const query = (await filterAuditLogs({})).select(auditLine.as('line')).where('audit_logs.id', 'in', data)
  return { data: (await query.orderBy('audit_logs.id', 'desc').execute()).map(toRow), next_cursor }
}

/** One row, and a record of having looked at it. @throws AppError not_found. */
export async function getAuditLog(id: string): Promise<AuditLogRow> {
  if (!isUuid(id)) throw notFound()
  const query = await filterAuditLogs({})
  const found = await query.select(auditLine.as('line')).where('audit_logs.id', '=', id).executeTakeFirst()
  if (!found) throw notFound()
  await AuditLogger.logRead('audit_log', {}, id)
  const [row] = await nameTargets([toRow(found)])
  if (!row) throw notFound()
  return row
}

// Each distinct value costs one index descent, however many rows there are.
const FACETS = `
  with recursive
    actions(value) as (
      (select action from audit_logs where tenant_id = (select app.tenant_id()) order by action limit 1)
      union all
      select (select l.action from audit_logs l where l.tenant_id = (select app.tenant_id()) and l.action > a.value
        order by l.action limit 1) from actions a where a.value is not null),
    targets(value) as (
      (select target_type from audit_logs where tenant_id = (select app.tenant_id()) order by target_type limit 1)
      union all
      select (select l.target_type from audit_logs l where l.tenant_id = (select app.tenant_id()) and l.target_type > t.value
        order by l.target_type limit 1) from targets t where t.value is not null),
    actors(value) as (
      (select actor_id from audit_logs where tenant_id = (select app.tenant_id()) and actor_id is not null order by actor_id limit 1)
      union all
      select (select l.actor_id from audit_logs l where l.tenant_id = (select app.tenant_id()) and l.actor_id > a.value
        order by l.actor_id limit 1) from actors a where a.value is not null)
  select
    (select coalesce(json_agg(value), '[]') from (select value from actions where value is not null limit 500) v) as actions,
    (select coalesce(json_agg(value), '[]') from (select value from targets where value is not null limit 200) v) as target_types,
    (select coalesce(json_agg(json_build_object('id', v.value, 'kind', last.actor_kind, 'label', last.actor_label)
        order by last.actor_label, v.value), '[]')
      from (select value from actors where value is not null limit 500) v
      cross join lateral (
        select l.actor_kind, d.actor_label from audit_logs l
        left join audit_details d on d.tenant_id = l.tenant_id and d.id = l.id
        where l.tenant_id = (select app.tenant_id()) and l.actor_id = v.value order by l.id desc limit 1) last) as actors`

/** What there is to filter by: actions, kinds of target, and actors under the name they last acted under. */
export async function listAuditLogFacets(): Promise<AuditLogFacets> {
  const [facets] = await tenantQuery<AuditLogFacets>(FACETS)
  return facets ?? { actions: [], target_types: [], actors: [] }
}
