import { type ExpressionBuilder, sql } from 'kysely'
import type { DB } from '@/libs/db/generated/database'
import { containsPattern } from '@/libs/db/like-pattern'
import { tenantDb } from '@/libs/db/tenant-db'
import { readTimeRange } from '@/libs/tenancy/time-range'
import type { AuditLogFilters } from '../schema'

type Tables = ExpressionBuilder<DB, 'audit_logs' | 'audit_details'>

/**
 * One row as JSON text, built by the database so that moments keep their microseconds and numbers all their digits.
 * Its fields are those of `auditLog` in schema.ts.
 */
export const auditLine = sql<string>`json_build_object(
  'id', audit_logs.id,
  'created_at', to_char(audit_logs.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
  'action', audit_logs.action,
  'outcome', audit_logs.outcome,
  'actor', json_build_object('kind', audit_logs.actor_kind, 'id', audit_logs.actor_id, 'label', audit_details.actor_label),
  'on_behalf_of', audit_logs.on_behalf_of,
  'target', json_build_object('type', audit_logs.target_type, 'id', audit_logs.target_id),
  'request_id', audit_logs.request_id,
  'ip', host(audit_details.ip),
  'user_agent', audit_details.user_agent,
  'before', audit_details.before,
  'after', audit_details.after,
  'metadata', coalesce(audit_details.metadata, '{}'),
  'details_hash', encode(audit_logs.details_hash, 'hex'))::text`

/** Ids between which rows are looked for: the oldest, and the one they are all older than. */
type Slice = { oldest?: string | undefined; before?: string | undefined }

/** All rows a set of filters lets through, with their details (which may be erased), in no order yet. */
export async function filterAuditLogs(filters: AuditLogFilters, { oldest, before }: Slice = {}) {
  const { actor_id, actor_kind, action, target_type, target_id, outcome, request_id, q } = filters
  const { from, to } = await readTimeRange(filters)
  let query = tenantDb()
    .selectFrom('audit_logs')
    .leftJoin('audit_details', (join) => {
      const pair = join.onRef('audit_details.id', '=', 'audit_logs.id')
      // Once more for the details: what holds for the id of one is not concluded for the other.
      return oldest ? pair.on('audit_details.id', '>=', oldest) : pair
    })
  if (oldest) query = query.where('audit_logs.id', '>=', oldest)
  if (before) query = query.where('audit_logs.id', '<', before)
  if (actor_id) query = query.where('audit_logs.actor_id', '=', actor_id)
  if (actor_kind) query = query.where('audit_logs.actor_kind', '=', actor_kind)
  if (action?.endsWith('.')) query = query.where(sql<boolean>`starts_with(audit_logs.action, ${action})`)
  else if (action) query = query.where('audit_logs.action', '=', action)
  if (target_type) query = query.where('audit_logs.target_type', '=', target_type)
  if (target_id) query = query.where('audit_logs.target_id', '=', target_id)
  if (outcome) query = query.where('audit_logs.outcome', '=', outcome)
  if (request_id) query = query.where('audit_logs.request_id', '=', request_id)
  if (from) query = query.where('audit_logs.created_at', '>=', from)
  if (to) query = query.where('audit_logs.created_at', '<', to)
  if (q) query = query.where((where) => matches(where as Tables, q))
  return query
}

function matches(where: Tables, q: string) {
  const pattern = containsPattern(q)
  return where.or([
    where('audit_logs.action', 'ilike', pattern),
    where('audit_logs.target_type', 'ilike', pattern),
    where('audit_logs.target_id', 'ilike', pattern),
    where('audit_logs.actor_id', 'ilike', pattern),
    where('audit_details.actor_label', 'ilike', pattern),
  ])
}
