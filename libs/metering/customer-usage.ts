import { tenantQuery } from '@/libs/db/tenant-db'
import { isNegative, percentOf, type Quantity, subtractDecimals, toQuantity } from '@/libs/ingest/decimal'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { readTimeZone } from '@/libs/tenancy/time-zone'

/** What a customer has used of a meter in its present period, against the cap that holds for it. */
export type UsageLine = {
  meter_id: string
  meter: string
  name: string
  unit: string
  aggregation: string
  used: Quantity
  limit: Quantity | null
  remaining: Quantity | null
  overage: Quantity
  percent: number | null
  balance: Quantity | null
  granted: Quantity | null
  held: Quantity
  entitlement_id: string | null
  behaviour: 'reject' | 'overflow' | 'cap' | null
  period: 'day' | 'month'
  starts_on: string
  reset_at: Date
}

/** The terms of a cap, beside what was used of it. */
export type UsageTerms = {
  allowance: string | null
  rollover_min: string
  rollover_max: string
  preserve_overage: boolean
  /** What is left of the limit, reserved or not; null without a cap. */
  left: Quantity | null
}

/** A line as the database gives it: the columns USAGE_LINE. */
export type StoredUsage = Pick<
  UsageLine,
  'meter_id' | 'meter' | 'name' | 'unit' | 'aggregation' | 'entitlement_id' | 'behaviour' | 'period' | 'starts_on'
> &
  Omit<UsageTerms, 'left'> & {
    cap_limit: string | null
    used: string
    balance: string | null
    overage: string
    granted: string | null
    held: string
    resets_at: Date
  }

/** Of app.customer_usage as `u`. */
export const USAGE_LINE = `u.meter_id, u.meter, u.name, u.unit, u.aggregation, u.cap_limit::text, u.behaviour, u.period, coalesce(u.used, 0)::text as used,
  u.balance::text, u.overage::text, u.granted::text, u.held::text, u.entitlement_id, u.starts_on::text, u.resets_at, u.allowance::text,
  u.rollover_min::text, u.rollover_max::text, u.preserve_overage`

/** Every meter of a customer of the current tenant, by slug. @throws AppError not_found when the tenant is gone. */
export async function readCustomerUsage(customerId: string): Promise<(UsageLine & { terms: UsageTerms })[]> {
  const { tenantId } = currentContext()
  const rows = await tenantQuery<StoredUsage>(`select ${USAGE_LINE} from app.customer_usage($1, $2, $3) u`, [
    tenantId,
    customerId,
    await readTimeZone(),
  ])
  return rows.map(toUsageLine)
}

/** A line as it goes out, and its terms apart. */
export function toUsageLine(row: StoredUsage): UsageLine & { terms: UsageTerms } {
  const { cap_limit, used, balance, overage, granted, held, resets_at, ...rest } = row
  const { allowance, rollover_min, rollover_max, preserve_overage, ...line } = rest
  const left = cap_limit === null ? null : subtractDecimals(cap_limit, used)
  return {
    ...line,
    used: toQuantity(used),
    limit: cap_limit === null ? null : toQuantity(cap_limit),
    remaining: left === null ? null : notBelowZero(subtractDecimals(left, held)),
    overage: toQuantity(overage),
    percent: cap_limit === null ? null : percentOf(used, cap_limit),
    balance: balance === null ? null : toQuantity(balance),
    granted: granted === null ? null : toQuantity(granted),
    held: toQuantity(held),
    reset_at: resets_at,
    terms: { allowance, rollover_min, rollover_max, preserve_overage, left: left === null ? null : notBelowZero(left) },
  }
}

function notBelowZero(text: string): Quantity {
  return isNegative(text) ? 0 : toQuantity(text)
}
