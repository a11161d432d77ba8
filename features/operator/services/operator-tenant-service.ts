import { cutPositioned, isAnyText, isCursorMoment, type Page, readCursor } from '@/libs/api-utils/page'
import { containsPattern } from '@/libs/db/like-pattern'
import { operatorQuery } from '@/libs/db/operator-db'
import { notFound } from '@/libs/errors'
import { isUuid } from '@/libs/ids'
import type { TenantStatus } from '@/libs/tenancy/tenant-status'
import type { OperatorTenantQuery } from '../schema'

/** A tenant as the platform's staff sees it. */
export type OperatorTenant = {
  id: string
  slug: string
  name: string
  description: string
  status: TenantStatus
  plan_id: string
  time_zone: string
  billing_email: string | null
  metadata: unknown
  created_at: Date
  updated_at: Date
  activated_at: Date | null
  suspended_at: Date | null
  suspended_reason: string | null
  deleted_at: Date | null
  purge_after: Date | null
  owner_email: string | null
  members: number
  domains: { hostname: string; status: string }[]
  placement: { database: string; kind: string; state: string }
}

const SELECT = `
  select t.id, t.slug, t.name, t.description, t.status, t.plan_id, t.time_zone, t.billing_email, t.metadata, t.created_at,
    t.updated_at, t.activated_at, t.suspended_at, t.suspended_reason, t.deleted_at, t.purge_after,
    (select m.email from memberships m where m.tenant_id = t.id and m.role = 'owner' order by m.created_at, m.id limit 1) as owner_email,
    (select count(*)::integer from memberships m where m.tenant_id = t.id) as members,
    (select coalesce(jsonb_agg(jsonb_build_object('hostname', d.hostname, 'status', d.status) order by d.hostname), '[]')
      from domains d where d.tenant_id = t.id) as domains,
    (select jsonb_build_object('database', b.name, 'kind', b.kind, 'state', p.state)
      from placements p join databases b on b.id = p.database_id where p.tenant_id = t.id) as placement`

const SORTS = {
  newest: { key: 't.created_at', direction: 'desc', type: 'timestamptz' },
  oldest: { key: 't.created_at', direction: 'asc', type: 'timestamptz' },
  name: { key: 'lower(t.name)', direction: 'asc', type: 'text' },
} as const

/** All tenants of the platform, searched by name, slug, id or a member's address; deleted ones only when asked for. */
export async function listTenants(query: OperatorTenantQuery): Promise<Page<OperatorTenant>> {
  const { q, status, plan, sort, cursor, limit } = query
  const { key, direction, type } = SORTS[sort]
  const values: unknown[] = []
  const bind = (value: unknown): string => `$${values.push(value)}`
  const conditions = [status ? `t.status = ${bind(status)}` : `t.status <> 'deleted'`]
  if (plan)
    conditions.push(
      `t.plan_id = coalesce((select a.plan_id from plan_aliases a where a.alias = ${bind(plan)}), ${bind(plan)})`,
    )
  if (q && isUuid(q)) conditions.push(`t.id = ${bind(q)}`)
  else if (q) {
    const pattern = bind(containsPattern(q.toLowerCase()))
    conditions.push(`(lower(t.name) like ${pattern} or t.slug like ${pattern}
      or exists (select 1 from memberships m where m.tenant_id = t.id and lower(m.email) like ${pattern}))`)
  }
  const [position, id] = readCursor(cursor, type === 'timestamptz' ? isCursorMoment : isAnyText, isUuid)
  if (id !== null) {
    conditions.push(
      `(${key}, t.id) ${direction === 'desc' ? '<' : '>'} (${bind(position)}::${type}, ${bind(id)}::uuid)`,
    )
  }
  const rows = await operatorQuery<OperatorTenant & { position: string }>(
    `${SELECT}, (${key})::text as position from tenants t where ${conditions.join(' and ')}
     order by ${key} ${direction}, t.id ${direction} limit ${bind(limit + 1)}`,
    values,
  )
  return cutPositioned(rows, limit)
}

/** One tenant by id or slug, deleted ones included. @throws AppError not_found. */
export async function getTenant(name: string): Promise<OperatorTenant> {
  const [row] = await operatorQuery<OperatorTenant>(
    `${SELECT} from tenants t where ${isUuid(name) ? 't.id = $1::uuid' : 't.slug = $1'}`,
    [name.toLowerCase()],
  )
  if (!row) throw notFound()
  return row
}
