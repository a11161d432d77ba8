/**
 * A sliding window in two cells: what was used in the present cell, and in the one before it, which counts for as much
 * of it as still lies within the span. Cells begin with the first call after a pause, so that a limit that is used up
 * at once is free again a whole duration later and not when a clock strikes. Pure; times are milliseconds.
 */
export type Cell = {
  /** When the present cell began; 0 before anything was counted. */
  started: number
  used: number
  used_before: number
}

/** What may be used, in any span of `duration_ms`. */
export type Limit = { limit: number; duration_ms: number }

/** How a call fared against one limit. */
export type Verdict = {
  /** Whether there was room for it under this limit. */
  passed: boolean
  limit: number
  remaining: number
  /** Milliseconds since 1970: end of the present cell; for a call that found no room, when the same call would. */
  reset: number
}

export const EMPTY_CELL: Readonly<Cell> = Object.freeze({ started: 0, used: 0, used_before: 0 })

/** The cell at a moment: moved on where its time has passed, begun anew where both have, or the clock was put back by more than one. */
export function cellAt(cell: Cell, durationMs: number, now: number): Cell {
  const passed = now - cell.started
  if (passed >= 2 * durationMs || passed < -durationMs) return { started: now, used: 0, used_before: 0 }
  if (passed >= durationMs) return { started: cell.started + durationMs, used: 0, used_before: cell.used }
  return cell
}

/** What counts as used at a moment; the cell is one of cellAt. */
export function usedAt(cell: Cell, durationMs: number, now: number): number {
  return Math.floor((cell.used_before * (durationMs - (now - cell.started))) / durationMs) + cell.used
}

/** What to tell of a limit after a call of some cost, which is in the cell already where it was let through. */
export function judge(cell: Cell, { limit, duration_ms }: Limit, cost: number, now: number, passed: boolean): Verdict {
  const remaining = Math.max(0, limit - usedAt(cell, duration_ms, now))
  const reset = passed ? cell.started + duration_ms : now + waitFor(cell, { limit, duration_ms }, cost, now)
  return { passed, limit, remaining, reset: Math.ceil(reset) }
}

/** Milliseconds until a call would find room if nobody else calls; for one that never will, the end of the cell. */
function waitFor(cell: Cell, { limit, duration_ms }: Limit, cost: number, now: number): number {
  const room = limit - cost
  const left = cell.started + duration_ms - now
  if (room < 0) return left
  if (cell.used <= room) {
    const at = fadesAt(cell.used_before, room - cell.used, duration_ms)
    return Math.min(left, Math.max(1, at - (now - cell.started)))
  }
  return left + fadesAt(cell.used, room, duration_ms)
}

/** How far into a cell what was used before it has faded to no more than `room`. */
function fadesAt(before: number, room: number, durationMs: number): number {
  if (before <= room) return 0
  // Multiplied before it is divided: a quotient that is not exact would be a millisecond early.
  return Math.min(durationMs, Math.floor((durationMs * (before - room - 1)) / before) + 1)
}
