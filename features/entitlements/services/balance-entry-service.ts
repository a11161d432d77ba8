import { tenantQuery } from '@/libs/db/tenant-db'
import { currentContext } from '@/libs/tenancy/tenant-context'

/** Something that changed a balance beside usage. */
export type BalanceChange = {
  kind: 'allowance' | 'issued' | 'expired' | 'voided' | 'reset' | 'rollover'
  grant_id: string | null
  amount: number
  /** What was left after it, usage included. */
  balance: number
  at: Date
}

const MOST = 1_000

/**
 * What happened to a balance in a range beside usage, the oldest first, and the last of what was before; at most a thousand.
 * What time did since the balance was last touched is not among them yet.
 */
export async function listBalanceChanges(
  customerId: string,
  meterId: string,
  { from, to }: { from: Date; to: Date },
): Promise<{ before: BalanceChange | null; within: BalanceChange[] }> {
  const rows = await tenantQuery<BalanceChange & { is_before: boolean }>(
    `select kind, grant_id, amount::float8 as amount, balance::float8 as balance, occurred_at as at, is_before from (
       (select e.*, true as is_before from balance_entries e
        where e.tenant_id = $1 and e.customer_id = $2 and e.meter_id = $3 and e.occurred_at <= $4
        order by e.occurred_at desc, e.id desc limit 1)
       union all
       (select e.*, false from balance_entries e
        where e.tenant_id = $1 and e.customer_id = $2 and e.meter_id = $3 and e.occurred_at > $4 and e.occurred_at <= $5
        order by e.occurred_at, e.id limit ${MOST})
     ) x order by occurred_at, id`,
    [currentContext().tenantId, customerId, meterId, from, to],
  )
  return {
    before: rows.find(({ is_before }) => is_before) ?? null,
    within: rows.filter(({ is_before }) => !is_before),
  }
}
