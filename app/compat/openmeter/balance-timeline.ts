import { type BalanceChange, listBalanceChanges } from '@/features/entitlements/services/balance-entry-service'
import type { Entitlement } from '@/features/entitlements/services/entitlement-service'
import { queryUsage } from '@/features/usage-tracking/services/usage-query-service'
import { parseInput } from '@/libs/api-utils/read-json'
import type { Quantity } from '@/libs/ingest/decimal'
import { usageQueryInput } from '@/libs/metering/usage-query'
import { exactSum } from './exact-sum'
import { addPeriod } from './periods'

/** Between two changes of a balance it only falls, by usage. */
export type Segment = {
  from: Date
  to: Date
  usage: number
  overage: number
  balanceAtStart: number
  balanceAtEnd: number
  /** What happened at its start, and the last of it. */
  changes: BalanceChange[]
}
type Place = { customerId: string; meterId: string }

/** Segments of one answer at most; what is beyond them is left out at the old end. */
const MOST_SEGMENTS = 100

/** What a customer used of a meter between two moments. */
export async function usageBetween({ customerId, meterId }: Place, from: Date, to: Date): Promise<Quantity> {
  if (from >= to) return 0
  const input = parseInput(usageQueryInput, {
    from: from.toISOString(),
    to: to.toISOString(),
    time_zone: 'UTC',
    customer: [customerId],
  })
  const { data } = await queryUsage(meterId, input)
  return data[0]?.value ?? 0
}

/** The same, as near as the wire can say it. */
export async function usedBetween(place: Place, from: Date, to: Date): Promise<number> {
  return Number(await usageBetween(place, from, to))
}

/** Where each period of a plain allowance began: nothing is written down of those. */
function renewalsOf({ period, limit }: Entitlement, since: Date, from: Date, to: Date): BalanceChange[] {
  const unit = period === 'day' ? 'DAY' : 'MONTH'
  const amount = Number(limit ?? 0)
  const renewals: BalanceChange[] = []
  for (let back = 0; renewals.length < MOST_SEGMENTS; back += 1) {
    const at = addPeriod(since, unit, -back)
    if (at < to) renewals.unshift({ kind: 'allowance', grant_id: null, amount, balance: amount, at })
    if (at <= from) break
  }
  return renewals
}

/** How a balance went over a range: what was left from each change to the next, and what was used meanwhile. */
export async function readTimeline(
  customerId: string,
  entitlement: Entitlement,
  range: { since: Date; from: Date; to: Date },
): Promise<Segment[]> {
  const { since, from, to } = range
  const place = { customerId, meterId: entitlement.meter?.id ?? '' }
  const { before, within } = await listBalanceChanges(customerId, place.meterId, { from, to })
  // Until a balance was written down its allowance was all there is.
  const all = before ? [before, ...within] : [...renewalsOf(entitlement, since, from, within[0]?.at ?? to), ...within]
  const past = all.filter(({ at }) => at <= from)
  const later = all.filter(({ at }) => at > from)
  const last = past.at(-1)
  let balance = last ? Math.max(0, exactSum(last.balance, -(await usedBetween(place, last.at, from)))) : 0
  const moments = [...new Set(later.map(({ at }) => at.getTime()))].slice(-MOST_SEGMENTS)
  const starts = [from, ...moments.map((ms) => new Date(ms))]
  const segments: Segment[] = []
  for (const [index, start] of starts.entries()) {
    const changes = later.filter(({ at }) => at.getTime() === start.getTime())
    const changed = changes.at(-1)
    if (changed) balance = changed.balance
    const end = starts[index + 1] ?? to
    const usage = await usedBetween(place, start, end)
    const left = Math.max(0, exactSum(balance, -usage))
    segments.push({
      from: start,
      to: end,
      usage,
      overage: Math.max(0, exactSum(usage, -balance)),
      balanceAtStart: balance,
      balanceAtEnd: left,
      changes,
    })
    balance = left
  }
  return segments
}
