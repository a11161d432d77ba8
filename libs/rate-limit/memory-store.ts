import { type Cell, cellAt, EMPTY_CELL, judge, type Limit, usedAt, type Verdict } from './sliding-window'

/** One limit that a call is held against. */
export type RateLimit = Limit & {
  namespace: string
  identifier: string
  /** How much of it the call uses; 0 only looks. */
  cost: number
}

/** Windows that are remembered by one process. */
const MOST_WINDOWS = 200_000
const FORGOTTEN_AT_ONCE = 1_000
/** The windows of each tenant, the least used first. */
const tenants = new Map<string, Map<string, Cell>>()
let remembered = 0

function remember(tenantId: string, key: string, cell: Cell): void {
  const cells = tenants.get(tenantId) ?? new Map<string, Cell>()
  tenants.set(tenantId, cells)
  if (!cells.delete(key)) remembered += 1
  cells.set(key, cell)
  if (remembered > MOST_WINDOWS) makeRoom()
}

/** Forgets the least used windows of whoever has most: a tenant with identifiers without end loses its own, not those of others. */
function makeRoom(): void {
  const [largest] = [...tenants.values()].sort((one, other) => other.size - one.size)
  if (!largest) return
  let left = FORGOTTEN_AT_ONCE
  for (const key of largest.keys()) {
    if (left === 0) break
    largest.delete(key)
    remembered -= 1
    left -= 1
  }
}

/** A window as it was left, which by this is the last one that is forgotten. */
function recall(tenantId: string, key: string): Cell {
  const cells = tenants.get(tenantId)
  const cell = cells?.get(key)
  if (!cells || !cell) return EMPTY_CELL
  cells.delete(key)
  cells.set(key, cell)
  return cell
}

/**
 * Holds a call against limits, all or nothing: it counts under all of them or, when one has no room, under none, so that
 * what is refused makes nobody wait longer. In the memory of this process; exact within it.
 */
export function takeInMemory(tenantId: string, limits: readonly RateLimit[], now: number = Date.now()): Verdict[] {
  const before = new Map<string, Cell>()
  const after = new Map<string, Cell>()
  const passes: boolean[] = []
  // What the call wants of a window, with what it wanted of it before.
  const wanted: number[] = []
  for (const { namespace, identifier, limit, duration_ms, cost } of limits) {
    const key = JSON.stringify([namespace, identifier, duration_ms])
    const cell = after.get(key) ?? cellAt(recall(tenantId, key), duration_ms, now)
    if (!before.has(key)) before.set(key, cell)
    passes.push(usedAt(cell, duration_ms, now) + cost <= limit)
    wanted.push(cell.used - (before.get(key) ?? cell).used + cost)
    after.set(key, { ...cell, used: cell.used + cost })
  }
  const fits = !passes.includes(false)
  if (fits) for (const [key, cell] of after) if (cell.used > 0 || cell.used_before > 0) remember(tenantId, key, cell)
  const standing = fits ? after : before
  return limits.map((limit, index) => {
    const key = JSON.stringify([limit.namespace, limit.identifier, limit.duration_ms])
    return judge(standing.get(key) ?? EMPTY_CELL, limit, wanted[index] ?? limit.cost, now, passes[index] === true)
  })
}

/** Forgets every window of this process. */
export function forgetWindows(): void {
  tenants.clear()
  remembered = 0
}
