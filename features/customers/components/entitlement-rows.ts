export type Quantity = number | string
export type MeterRef = { id: string; slug: string; name: string; unit: string }
export type Behaviour = 'reject' | 'overflow' | 'cap'
export type Rollover = { min: Quantity; max: Quantity }

/** One thing a customer may use: from the tier, or the customer's own. */
export type Entitlement = {
  id: string | null
  feature_key: string
  kind: 'boolean' | 'static' | 'metered'
  source: 'tier' | 'customer'
  has_access: boolean
  config: unknown
  meter: (MeterRef & { aggregation: string }) | null
  limit: Quantity | null
  behaviour: Behaviour | null
  period: 'day' | 'month' | null
  rollover: Rollover | null
  preserve_overage: boolean | null
}

/** What a customer used of a meter in its present period; with a balance, what was granted for it. */
export type UsageLine = {
  meter_id: string
  meter: string
  name: string
  unit: string
  used: Quantity
  limit: Quantity | null
  behaviour: Behaviour | null
  period: 'day' | 'month'
  starts_on: string
  reset_at: string
  overage: Quantity
  balance: Quantity | null
  granted: Quantity | null
  held: Quantity
}

export type Entitlements = {
  usage: readonly UsageLine[]
  entitlements: readonly Entitlement[]
}

/** An amount of a meter on top of the allowance. */
export type Grant = {
  id: string
  meter: MeterRef
  amount: Quantity
  remaining: Quantity
  priority: number
  effective_at: string
  expires_at: string | null
  recurrence: 'day' | 'week' | 'month' | 'year' | null
  state: 'scheduled' | 'active' | 'used' | 'expired' | 'voided'
}

export type BalanceEntry = {
  id: string
  kind: 'allowance' | 'issued' | 'expired' | 'voided' | 'reset' | 'rollover'
  amount: Quantity
  balance: Quantity
  grant_id: string | null
  occurred_at: string
}

/** Aggregations whose allowance can carry over and be added to. */
export const ADDITIVE: readonly string[] = ['SUM', 'COUNT']
