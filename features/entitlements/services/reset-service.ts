import { tenantQuery } from '@/libs/db/tenant-db'
import { invalidInput } from '@/libs/errors'
import { requireMeter } from '@/libs/metering/find-meter'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { readTimeZone } from '@/libs/tenancy/time-zone'
import { findCustomer, isAdditive } from './entitled-customer'

export type ResetInput = {
  /** Whether what was used beyond the balance counts on. */
  preserve_overage: boolean
  /** What was used since the moment from which it is to count again, as a decimal. */
  used_since: string
}

/**
 * Begins the balance of a customer for a meter anew within its period, as the period's end would. Usage stays recorded and
 * billed. @throws AppError not_found, invalid_input when the meter does not add up.
 */
export async function resetBalance(customerRef: string, meterRef: string, input: ResetInput): Promise<void> {
  const customer = await findCustomer(customerRef)
  const meter = await requireMeter(meterRef)
  if (!isAdditive(meter)) throw invalidInput('/meter', 'cannot be reset: only meters that add up can (SUM, COUNT)')
  await tenantQuery('select app.reset_balance($1, $2, $3, clock_timestamp(), $4, $5, $6)', [
    currentContext().tenantId,
    customer.id,
    meter.id,
    await readTimeZone(),
    input.preserve_overage,
    input.used_since,
  ])
}

/** When balances were last reset within their period or at the end of one, by the ids of customer and meter. */
export async function readLastResets(customerIds: readonly string[]): Promise<Map<string, Map<string, Date>>> {
  const rows = await tenantQuery<{ customer_id: string; meter_id: string; at: Date }>(
    `select b.customer_id, b.meter_id, x.occurred_at as at from balances b
     cross join lateral (
       select e.occurred_at from balance_entries e
       where e.tenant_id = $1 and e.customer_id = b.customer_id and e.meter_id = b.meter_id and e.kind = 'reset'
       order by e.occurred_at desc limit 1
     ) x
     where b.tenant_id = $1 and b.customer_id = any ($2::uuid[])`,
    [currentContext().tenantId, customerIds],
  )
  const resets = new Map<string, Map<string, Date>>()
  for (const { customer_id, meter_id, at } of rows)
    resets.set(customer_id, (resets.get(customer_id) ?? new Map<string, Date>()).set(meter_id, at))
  return resets
}
