import { tenantQuery } from '@/libs/db/tenant-db'
import { isUuid } from '@/libs/ids'
import { currentContext } from '@/libs/tenancy/tenant-context'
import type { AuditLogRow } from '../schema'

/** A row as it was recorded. */
export type RecordedRow = Omit<AuditLogRow, 'target'> & { target: Omit<AuditLogRow['target'], 'name'> }

const CUSTOMER =
  '(select coalesce(c.name, c.external_id) from customers c where c.tenant_id = $1 and c.id = x.customer_id)'
const TIER = '(select t.name from tiers t where t.tenant_id = $1 and t.id = x.tier_id)'
const METER = '(select m.name from meters m where m.tenant_id = $1 and m.id = x.meter_id)'

/** What people call the kinds of targets, whose tables are their plurals: what is between others is called by both. */
const NAMES = new Map([
  ['customer', ['coalesce(x.name, x.external_id)']],
  ['meter', ['x.name']],
  ['tier', ['x.name']],
  ['feature', ['x.name']],
  ['alert_rule', ['x.name']],
  ['customer_key', ["coalesce(nullif(x.name, ''), x.prefix)"]],
  ['rate_limit_override', ['x.namespace', 'x.identifier']],
  ['subscription', [CUSTOMER, TIER]],
  ['upgrade_request', [CUSTOMER, TIER]],
  ['tier_cap', [TIER, METER]],
  ['tier_feature', [TIER, 'x.key']],
  ['entitlement', [CUSTOMER, 'x.feature_key']],
  ['grant', [CUSTOMER, METER]],
])

/** What a row is about. A version of a tier has no id of its own: it is about the tier. */
function aboutOf({ target, after }: RecordedRow): { type: string; id: unknown } {
  const isVersion = target.type === 'tier_version' && typeof after === 'object' && after !== null && 'tier_id' in after
  return isVersion ? { type: 'tier', id: after.tier_id } : target
}

/** Rows with what their targets are called now, as far as the caller may see it. */
export async function nameTargets(rows: readonly RecordedRow[]): Promise<AuditLogRow[]> {
  const asked = new Map<string, string[]>()
  for (const { type, id } of rows.map(aboutOf))
    if (typeof id === 'string' && isUuid(id)) asked.set(type, [...(asked.get(type) ?? []), id])
  const names = new Map<unknown, string>()
  for (const [type, parts] of NAMES) {
    const ids = asked.get(type)
    if (!ids) continue
    const found = await tenantQuery<{ id: string; name: string }>(
      `select x.id, concat_ws(' · ', ${parts.join(', ')}) as name from ${type}s x where x.tenant_id = $1 and x.id = any ($2::uuid[])`,
      [currentContext().tenantId, ids],
    )
    for (const { id, name } of found) if (name !== '') names.set(id, name)
  }
  return rows.map((row) => ({ ...row, target: { ...row.target, name: names.get(aboutOf(row).id) ?? null } }))
}
