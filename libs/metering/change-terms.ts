import { tenantQuery } from '@/libs/db/tenant-db'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { readTimeZone } from '@/libs/tenancy/time-zone'

/**
 * Changes the terms of customers, or of all who have the default tier (null): what time did to their balances until now is
 * by the terms of before, what follows by those of after, whoever looks first and whenever.
 */
export async function changeTerms<Result>(
  customerIds: readonly string[] | null,
  change: () => Promise<Result>,
): Promise<Result> {
  const zone = await readTimeZone()
  // A second for each ten thousand customers with a balance, more where many months went by since anybody looked.
  if (customerIds === null || customerIds.length > 1_000) await tenantQuery("set local statement_timeout = '5min'")
  const settle = (changed: boolean) =>
    tenantQuery('select app.settle_customers($1, $2::uuid[], $3, $4)', [
      currentContext().tenantId,
      customerIds,
      zone,
      changed,
    ])
  await settle(false)
  const result = await change()
  await settle(true)
  return result
}
