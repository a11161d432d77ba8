import { LRUCache } from 'lru-cache'
import { type Cell, cellAt, EMPTY_CELL, judge, type Limit, usedAt, type Verdict } from './sliding-window'

/** One limit that a call is held against. */
export type RateLimit = Limit & {
  namespace: string
  identifier: string
  /** How much of it the call uses; 0 only looks. */
  cost: number
}

/** Windows that are remembered by one process; the least used are forgotten first. */
const MOST_WINDOWS = 200_000
const cells = new LRUCache<string, Cell>({ max: MOST_WINDOWS })

/**
 * Holds a call against limits, all or nothing: it counts under all of them or, when one has no room, under none, so that
 * what is refused makes nobody wait longer. In the memory of this process; exact within it.
 */
export function takeInMemory(tenantId: string, limits: readonly RateLimit[], now: number = Date.now()): Verdict[] {
  const before = new Map<string, Cell>()
  const after = new Map<string, Cell>()
  const passes: boolean[] = []
  for (const { namespace, identifier, limit, duration_ms, cost } of limits) {
    const key = JSON.stringify([tenantId, namespace, identifier, duration_ms])
    const cell = after.get(key) ?? cellAt(cells.get(key) ?? EMPTY_CELL, duration_ms, now)
    if (!before.has(key)) before.set(key, cell)
    passes.push(usedAt(cell, duration_ms, now) + cost <= limit)
    after.set(key, { ...cell, used: cell.used + cost })
  }
  const fits = !passes.includes(false)
  if (fits) for (const [key, cell] of after) if (cell.used > 0 || cell.used_before > 0) cells.set(key, cell)
  const standing = fits ? after : before
  return limits.map((limit, index) => {
    const key = JSON.stringify([tenantId, limit.namespace, limit.identifier, limit.duration_ms])
    return judge(standing.get(key) ?? EMPTY_CELL, limit, limit.cost, now, passes[index] === true)
  })
}

/** Forgets every window of this process. */
export function forgetWindows(): void {
  cells.clear()
}
