import { z } from 'zod'
import { readAll } from '@/app/compat/read-all'
import { listGrants } from '@/features/entitlements/services/grant-service'
import { queryUsage } from '@/features/usage-tracking/services/usage-query-service'
import { zonedMoment } from '@/libs/api-utils/moment'
import { parseInput } from '@/libs/api-utils/read-json'
import { ApiResponse } from '@/libs/api-utils/tenant-api-wrapper'
import { invalidInput } from '@/libs/errors'
import { usageQueryInput } from '@/libs/metering/usage-query'
import { readTimeline, type Segment, usedBetween } from './balance-timeline'
import { inBothVersions, ofEntitlement } from './entitlement-access'
import { idOf, numberOf, periodStart, type Version } from './entitlement-shape'
import { exactSum } from './exact-sum'
import { readParameters } from './openmeter-route'
import { DAY_MS, LONGEST_DAYS } from './periods'

const MINUTE_MS = 60_000
const parameters = z.object({
  from: zonedMoment.optional(),
  to: zonedMoment.optional(),
  windowSize: z.enum(['MINUTE', 'HOUR', 'DAY', 'MONTH'], 'must be MINUTE, HOUR, DAY or MONTH'),
  windowTimeZone: z.string().max(64).default('UTC'),
})

/** A source a balance is made of: a grant, or the allowance, whose room knows no end. */
type Source = { id: string; left: number; room: number | null; priority: number; ends: number }

/**
 * What each source held at both ends of the last segments, as far back as they only fell: from what is left now, what was
 * used is put back in the reverse of the order it is taken in.
 */
function unburn(segments: readonly Segment[], sources: Source[]): Map<Segment, { start: Balances; end: Balances }> {
  const found = new Map<Segment, { start: Balances; end: Balances }>()
  for (const segment of [...segments].reverse()) {
    const end = balancesOf(sources)
    let back = exactSum(segment.balanceAtStart, -segment.balanceAtEnd)
    for (const source of [...sources].sort((a, b) => b.priority - a.priority || b.ends - a.ends)) {
      const part = Math.min(back, source.room === null ? back : exactSum(source.room, -source.left))
      source.left = exactSum(source.left, part)
      back = exactSum(back, -part)
    }
    found.set(segment, { start: balancesOf(sources), end })
    if (segment.changes.length > 0) break
  }
  return found
}
type Balances = Record<string, number>

function balancesOf(sources: readonly Source[]): Balances {
  return Object.fromEntries(sources.map(({ id, left }) => [id, left]))
}

function usagesOf(start: Balances, end: Balances): { grantId: string; usage: number }[] {
  return Object.entries(start)
    .map(([grantId, held]) => ({ grantId, usage: exactSum(held, -(end[grantId] ?? 0)) }))
    .filter(({ usage }) => usage > 0)
}

const history = (version: Version) =>
  ofEntitlement('customers:read', version, async (request, { entitlement, known }) => {
    const asked = parseInput(parameters, Object.fromEntries(readParameters(request)))
    const { meter } = entitlement
    const start = periodStart(entitlement, known.timeZone)
    if (!meter || !start) throw invalidInput('/entitlement', 'is not metered, so it has no history')
    const { id: customerId } = known.customer
    const reset = known.resets.get(meter.id)
    const since = reset && reset > start ? reset : start
    const to =
      asked.to === undefined ? new Date(Math.floor(Date.now() / MINUTE_MS + 1) * MINUTE_MS) : new Date(asked.to)
    const longest = LONGEST_DAYS[asked.windowSize] * DAY_MS
    const from =
      asked.from === undefined ? new Date(Math.max(since.getTime(), to.getTime() - longest)) : new Date(asked.from)
    if (from >= to) throw invalidInput('/to', 'must be after from')
    const input = parseInput(usageQueryInput, {
      from: from.toISOString(),
      to: to.toISOString(),
      window: asked.windowSize,
      time_zone: asked.windowTimeZone,
      customer: [customerId],
    })
    const { data } = await queryUsage(meter.id, input)
    const segments = await readTimeline(customerId, entitlement, { since: start, from, to })
    const place = { customerId, meterId: meter.id }
    const windowedHistory: unknown[] = []
    let last: { segment: Segment | undefined; left: number } | null = null
    for (const row of data.filter(({ events }) => events > 0)) {
      const opens = new Date(row.window_start)
      const segment: Segment | undefined = segments.findLast((one) => one.from <= opens) ?? segments[0]
      // Within one stretch a window begins with what the one before it left.
      const held: number =
        last?.segment === segment && last
          ? last.left
          : exactSum(segment?.balanceAtStart ?? 0, segment ? -(await usedBetween(place, segment.from, opens)) : 0)
      const balanceAtStart = Math.max(0, held)
      const usage = Number(row.value ?? 0)
      windowedHistory.push({ period: { from: row.window_start, to: row.window_end }, usage, balanceAtStart })
      last = { segment, left: Math.max(0, exactSum(balanceAtStart, -usage)) }
    }
    const grants = await readAll((cursor) =>
      listGrants(customerId, { cursor, limit: 200, meter: meter.id, state: 'open' }),
    )
    const issued = grants.filter(({ issued_at }) => issued_at !== null)
    const left = exactSum(...issued.map(({ remaining }) => Number(remaining)))
    const sources: Source[] = [
      ...issued.map((grant) => ({
        id: grant.id,
        left: Number(grant.remaining),
        room: Math.max(Number(grant.amount), Number(grant.remaining)),
        priority: grant.priority,
        ends: grant.expires_at?.getTime() ?? Number.POSITIVE_INFINITY,
      })),
      ...(numberOf(entitlement.limit) > 0
        ? [
            {
              id: idOf(entitlement),
              left: Math.max(0, exactSum(numberOf(entitlement.balance), -left)),
              room: null,
              priority: 1,
              ends: entitlement.reset_at?.getTime() ?? Number.POSITIVE_INFINITY,
            },
          ]
        : []),
    ]
    const isPresent = to.getTime() >= Date.now()
    const burnt = isPresent ? unburn(segments, sources) : new Map<Segment, { start: Balances; end: Balances }>()
    return ApiResponse.success({
      windowedHistory,
      burndownHistory: segments.map((segment) => {
        const held = burnt.get(segment) ?? { start: {}, end: {} }
        const { usage, overage, balanceAtStart, balanceAtEnd } = segment
        return {
          period: { from: segment.from, to: segment.to },
          usage,
          overage,
          balanceAtStart,
          grantBalancesAtStart: held.start,
          balanceAtEnd,
          grantBalancesAtEnd: held.end,
          grantUsages: usagesOf(held.start, held.end),
        }
      }),
    })
  })

export const HISTORY_PATHS = inBothVersions('GET', '/{entitlement}/history', history)
