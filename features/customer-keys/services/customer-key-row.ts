import { sql } from 'kysely'
import { tenantDb } from '@/libs/db/tenant-db'
import type { KeyLimit } from '../schema'

/** A key as it is shown: everything but its hash. */
export type CustomerKeyRow = {
  id: string
  prefix: string
  last_four: string
  name: string
  api_id: string | null
  external_id: string | null
  customer_id: string | null
  meta: Record<string, unknown>
  permissions: string[]
  roles: string[]
  ratelimits: KeyLimit[]
  enabled: boolean
  remaining: number | null
  refill: { amount: number; interval: 'daily' | 'monthly'; refill_day?: number } | null
  succeeded_by: string | null
  created_at: Date
  updated_at: Date
  expires_at: Date | null
  last_used_at: Date | null
  revoked_at: Date | null
}

/** What is left of a key, with a refill that is due: that one is written down only when credits are taken or changed. */
export function creditsOf(table: 'k' | 's' | 'customer_keys') {
  const column = (name: string) => sql.ref(`${table}.${name}`)
  const [left, amount] = [column('remaining'), column('refill_amount')]
  return sql<number | null>`case when ${left} is not null and ${amount} is not null
    and app.refill_start(${column('refill_interval')}, ${column('refill_day')}) > ${column('refilled_on')}
    then greatest(${left}, ${amount}) else ${left} end`
}

const LEFT = sql<number | null>`(case when k.succeeded_by is null then ${creditsOf('k')} else (
  select ${creditsOf('s')} from customer_keys s where s.tenant_id = k.tenant_id and s.id = k.succeeded_by) end)`

/** A query for keys of the current tenant as they are shown; credits of a rotated key are those of its successor. */
export function selectKeys() {
  return tenantDb()
    .selectFrom('customer_keys as k')
    .leftJoin('customers as c', 'c.external_id', 'k.external_id')
    .select([
      'k.id',
      'k.prefix',
      'k.last_four',
      'k.name',
      'k.api_id',
      'k.external_id',
      'c.id as customer_id',
      'k.permissions',
      'k.roles',
      'k.enabled',
      'k.succeeded_by',
      'k.created_at',
      'k.updated_at',
      'k.expires_at',
      'k.last_used_at',
      'k.revoked_at',
      sql<Record<string, unknown>>`k.meta`.as('meta'),
      sql<KeyLimit[]>`k.ratelimits`.as('ratelimits'),
      LEFT.as('remaining'),
      sql<CustomerKeyRow['refill']>`case when k.refill_amount is not null then jsonb_strip_nulls(jsonb_build_object(
        'amount', k.refill_amount, 'interval', k.refill_interval, 'refill_day', k.refill_day)) end`.as('refill'),
    ])
}
