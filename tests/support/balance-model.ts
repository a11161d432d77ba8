// What a balance is, said once more and plainly: a list of sources that are used up in order, and a calendar that fills them.
// It shares nothing with the database: amounts are whole thousandths, moments are milliseconds, calendars come from Intl.

export type ModelTerms = { limit: bigint; rollover_min: bigint; rollover_max: bigint; preserve_overage: boolean }
export type ModelGrant = {
  id: string
  amount: bigint
  priority: number
  effective_at: number
  expires_at: number | null
  recurrence: 'day' | 'week' | 'month' | 'year' | null
  rollover_min: bigint
  rollover_max: bigint
}
export type ModelState = {
  used: bigint
  balance: bigint
  overage: bigint
  granted: bigint
  starts_on: string
  resets_at: number
  /** What is left of the allowance, and of each grant by its id. */
  allowance_left: bigint
  left: Record<string, bigint>
}
export type ModelCalendar = { zone: string; period: 'day' | 'month'; anchor: number }

type Clock = { year: number; month: number; day: number; rest: number }
type HeldGrant = ModelGrant & { left: bigint; full: bigint; issues: number; open: boolean }
type Source = HeldGrant | { left: bigint; full: bigint }
type Step = { at: number; rank: 1 | 2 | 3; run: () => void }

const DAY = 86_400_000
const least = (a: bigint, b: bigint) => (a < b ? a : b)
const most = (a: bigint, b: bigint) => (a > b ? a : b)
const daysIn = (year: number, month: number) => new Date(Date.UTC(year, month, 0)).getUTCDate()
const toText = (year: number, month: number, day: number) =>
  new Date(Date.UTC(year, month - 1, day)).toISOString().slice(0, 10)

const formats = new Map<string, Intl.DateTimeFormat>()
function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone)
  if (known) return known
  const made = new Intl.DateTimeFormat('en-CA', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  })
  formats.set(zone, made)
  return made
}

/** What a clock on the wall of a zone shows: a date, and milliseconds since its 00:00. */
function readClock(at: number, zone: string): Clock {
  const part: Record<string, number> = {}
  for (const { type, value } of formatOf(zone).formatToParts(at)) part[type] = Number(value)
  const { year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0 } = part
  return { year, month, day, rest: ((hour * 60 + minute) * 60 + second) * 1_000 + (((at % 1_000) + 1_000) % 1_000) }
}

const asUtc = ({ year, month, day, rest }: Clock) => Date.UTC(year, month - 1, day) + rest

/** When a clock shows this: the later time where it does twice, and by the offset before where it never does. */
function findMoment(clock: Clock, zone: string): number {
  const local = asUtc(clock)
  const shown = (at: number) => asUtc(readClock(at, zone))
  const before = local - (shown(local - DAY) - (local - DAY))
  const after = local - (shown(local + DAY) - (local + DAY))
  if (shown(after) === local) return after
  return before
}

/** The first millisecond on which a zone has this date or a later one. */
function findDayStart(year: number, month: number, day: number, zone: string): number {
  const wanted = toText(year, month, day)
  const isThere = (at: number) => {
    const clock = readClock(at, zone)
    return toText(clock.year, clock.month, clock.day) >= wanted
  }
  let low = Date.UTC(year, month - 1, day) - 2 * DAY
  let high = Date.UTC(year, month - 1, day) + 2 * DAY
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (isThere(middle)) high = middle
    else low = middle
  }
  return high
}

/** A balance as it should be, from `now` on, with nothing used yet. */
export function createBalanceModel(calendar: ModelCalendar, firstTerms: ModelTerms, now: number) {
  let { zone, period, anchor } = calendar
  let terms = firstTerms
  let at = now
  let used = 0n
  let overage = 0n
  let granted = terms.limit
  let carried = 0n
  let startsOn = startOf(now)
  let resetsAt = nextReset(now)
  const allowance = { left: terms.limit, full: terms.limit }
  const grants: HeldGrant[] = []

  function startOf(moment: number): string {
    const { year, month, day } = readClock(moment, zone)
    if (period === 'day') return toText(year, month, day)
    const own = Math.min(anchor, daysIn(year, month))
    if (day >= own) return toText(year, month, own)
    const [lastYear, lastMonth] = month === 1 ? [year - 1, 12] : [year, month - 1]
    return toText(lastYear, lastMonth, Math.min(anchor, daysIn(lastYear, lastMonth)))
  }

  function nextReset(moment: number): number {
    const { year, month, day } = readClock(moment, zone)
    for (let ahead = 0; ; ahead += 1) {
      const next = new Date(
        Date.UTC(year, month - 1 + (period === 'month' ? ahead : 0), period === 'month' ? 1 : day + ahead),
      )
      const [y, m] = [next.getUTCFullYear(), next.getUTCMonth() + 1]
      const d = period === 'day' ? next.getUTCDate() : Math.min(anchor, daysIn(y, m))
      const start = findDayStart(y, m, d, zone)
      if (start > moment) return start
    }
  }

  function dueAt({ effective_at, recurrence, issues }: HeldGrant): number | null {
    if (issues === 0) return effective_at
    if (recurrence === null) return null
    const clock = readClock(effective_at, zone)
    if (recurrence === 'day' || recurrence === 'week') {
      const days = issues * (recurrence === 'week' ? 7 : 1)
      const date = new Date(Date.UTC(clock.year, clock.month - 1, clock.day + days))
      return findMoment(
        { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate(), rest: clock.rest },
        zone,
      )
    }
    const months = clock.month - 1 + issues * (recurrence === 'year' ? 12 : 1)
    const [year, month] = [clock.year + Math.floor(months / 12), (months % 12) + 1]
    return findMoment({ year, month, day: Math.min(clock.day, daysIn(year, month)), rest: clock.rest }, zone)
  }

  /** Everything that holds something, in the order in which it is used. */
  function inOrder(): Source[] {
    const key = (source: Source): number[] =>
      'id' in source
        ? [source.priority, source.expires_at ?? Number.POSITIVE_INFINITY, 1, source.effective_at]
        : [1, resetsAt, 0, 0]
    return [allowance, ...grants.filter(({ open }) => open)].sort((a: Source, b: Source) => {
      const [left, right] = [key(a), key(b)]
      for (let place = 0; place < 4; place += 1) {
        const [l = 0, r = 0] = [left[place], right[place]]
        if (l !== r) return l < r ? -1 : 1
      }
      return 'id' in a && 'id' in b && a.id < b.id ? -1 : 1
    })
  }

  function use(amount: bigint): void {
    used += amount
    let rest = amount
    for (const source of inOrder()) {
      const part = least(rest, source.left)
      source.left -= part
      rest -= part
    }
    overage += rest
  }

  function takeBack(amount: bigint): void {
    used -= amount
    const paid = least(amount, overage)
    overage -= paid
    let rest = amount - paid
    for (const source of inOrder().reverse()) {
      const part = least(rest, most(source.full - source.left, 0n))
      source.left += part
      rest -= part
    }
    allowance.left += rest
  }

  function reset(): void {
    startsOn = startOf(at)
    resetsAt = nextReset(at)
    const debt = terms.preserve_overage ? overage : 0n
    carried = debt
    allowance.left = terms.limit + least(terms.rollover_max, most(allowance.left, terms.rollover_min))
    allowance.full = allowance.left
    granted = allowance.left
    for (const grant of grants.filter(({ open, issues }) => open && issues > 0)) {
      if (grant.recurrence === null) grant.left = least(grant.rollover_max, most(grant.left, grant.rollover_min))
      grant.full = grant.left
      granted += grant.left
    }
    used = 0n
    overage = 0n
    use(debt)
  }

  function issue(grant: HeldGrant): void {
    const kept = grant.issues === 0 ? 0n : least(grant.rollover_max, most(grant.left, grant.rollover_min))
    granted += kept + grant.amount - grant.left
    grant.left = kept + grant.amount
    grant.full = grant.left
    grant.issues += 1
  }

  function close(grant: HeldGrant): void {
    granted -= grant.left
    grant.left = 0n
    grant.open = false
  }

  function nextStep(): Step {
    const steps: Step[] = [{ at: resetsAt, rank: 2, run: reset }]
    for (const grant of grants.filter(({ open }) => open)) {
      const due = dueAt(grant)
      const end = grant.expires_at ?? Number.POSITIVE_INFINITY
      if (due !== null && due < end) steps.push({ at: Math.max(due, at), rank: 3, run: () => issue(grant) })
      if (grant.expires_at !== null) steps.push({ at: Math.max(end, at), rank: 1, run: () => close(grant) })
    }
    return steps.reduce((first, step) =>
      step.at < first.at || (step.at === first.at && step.rank < first.rank) ? step : first,
    )
  }

  function advance(to: number): void {
    for (let step = nextStep(); step.at <= to; step = nextStep()) {
      at = step.at
      step.run()
    }
    at = Math.max(at, to)
  }

  /** Gives the way back to how it stands now. */
  function keep(): () => void {
    const clock = { at, startsOn, resetsAt, zone, period, anchor }
    const kept = { ...clock, used, overage, granted, carried, terms, allowance: { ...allowance } }
    const held = grants.map((grant) => ({ ...grant }))
    return () => {
      ;({ at, startsOn, resetsAt, zone, period, anchor, used, overage, granted, carried, terms } = kept)
      Object.assign(allowance, kept.allowance)
      grants.length = 0
      grants.push(...held)
    }
  }

  return {
    advance,
    keep,
    /** Uses an amount, or takes one back when it is below zero. */
    use: (amount: bigint) => (amount < 0n ? takeBack(-amount) : use(amount)),
    grant: (grant: ModelGrant) => {
      grants.push({ ...grant, left: 0n, full: 0n, issues: 0, open: true })
      advance(at)
    },
    /** What the next period will have for sure: what is left now may still be used, and what is granted by then comes. */
    assured: (): bigint => {
      const restore = keep()
      allowance.left = 0n
      for (const grant of grants) grant.left = 0n
      advance(resetsAt)
      const left = grants.reduce((sum, grant) => sum + grant.left, allowance.left)
      restore()
      return left
    },
    /** Other periods from now on; `counted` is what was used in the present one of those. */
    setCalendar: (
      next: Pick<ModelCalendar, 'period' | 'anchor'> & { zone?: string },
      counted: (startsOn: string) => bigint,
    ) => {
      const isMoved = next.zone !== undefined && next.zone !== zone
      ;({ zone = zone, period, anchor } = next)
      resetsAt = nextReset(at)
      if (startOf(at) === startsOn && !isMoved) return
      startsOn = startOf(at)
      const more = counted(startsOn) + carried - used
      if (more < 0n) takeBack(-more)
      else use(more)
    },
    void: (id: string) => grants.filter((grant) => grant.open && grant.id === id).forEach(close),
    /** Other terms from now on: what was used stays used, so a higher limit pays overage first. */
    setTerms: (next: ModelTerms) => {
      const more = next.limit - terms.limit
      terms = next
      granted += more
      allowance.full += more
      const room = allowance.left - overage + more
      // Overage only ever shrinks by what a higher limit pays, and grows by what a lower one cannot take from what is left.
      if (more >= 0n) {
        const paid = least(more, overage)
        overage -= paid
        allowance.left += more - paid
      } else {
        const taken = least(-more, allowance.left)
        allowance.left -= taken
        overage += -more - taken
      }
      if (allowance.left - overage !== room) throw new Error('a change of terms moves what is left by the difference')
    },
    state: (): ModelState => ({
      used,
      overage,
      granted,
      balance: grants.reduce((sum, { left }) => sum + left, allowance.left),
      starts_on: startsOn,
      resets_at: resetsAt,
      allowance_left: allowance.left,
      left: Object.fromEntries(grants.map(({ id, left }) => [id, left])),
    }),
  }
}
