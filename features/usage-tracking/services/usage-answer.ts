import { isNegative, type Quantity, subtractDecimals, toQuantity } from '@/libs/ingest/decimal'
import type { Rejection, UsageEvent } from './event-parser'
import { TIMES } from './event-time'
import type { BatchIndex } from './usage-batch'

/** An event that would pass a cap, and the cap. */
export type Refusal = [
  position: number,
  limit: string,
  used: string,
  period: Period,
  resetEpoch: number,
  held: string | null,
]

/** What app.record_usage answers; positions are from 1. */
export type RecordedUsage = {
  codes: number[] | null
  refused: Refusal[] | null
  usage:
    | [
        user: number,
        meter: number,
        used: string,
        limit: string | null,
        behaviour: string | null,
        period: Period,
        resetEpoch: number,
        /** Of a balance, whose limit holds it already; null or not there without any. */
        overage?: string | null,
        held?: string | null,
      ][]
    | null
  replayed?: true
}
export type Period = 'day' | 'month'

/** Where a customer stands with a meter in its present period. */
export type Standing = {
  limit: Quantity | null
  used: Quantity
  /** What open reservations hold; it is no longer part of what remains. */
  held?: Quantity
  /** What is left, never negative; null without a cap. */
  remaining: Quantity | null
  /** What was used beyond the cap, or beyond what was granted. */
  overage: Quantity
  period: Period
  reset_at: string
}
export type UsageLine = { meter: string; user_id: string } & Standing

export type RejectedEvent = Rejection & Partial<Standing>

/** The answer to tracked events. */
export type TrackResult = {
  inserted: number
  duplicates: number
  rejected: RejectedEvent[]
  usage?: UsageLine[]
}

const INSERTED = 0
const DUPLICATE = 1
const REASONS: Record<number, readonly [code: string, detail: string]> = {
  2: ['conflict', 'An event with this source and event_id was counted before with other content.'],
  3: ['unknown_meter', 'There is no such meter.'],
  4: ['meter_archived', 'This meter is archived.'],
  5: ['unknown_customer', 'There is no such customer, and this tenant does not make customers at first sight.'],
  6: ['customer_archived', 'This customer is archived.'],
  7: ['timestamp_too_old', TIMES.timestamp_too_old],
  8: ['timestamp_in_future', TIMES.timestamp_in_future],
  9: ['negative_value', 'This meter takes no negative values.'],
  11: ['invalid_property', 'The meter takes its value from a property that this event lacks, or that it cannot count.'],
  10: ['usage_exceeded', 'The event would pass the cap of this customer.'],
}

let lastEpoch = Number.NaN
let lastText = ''

/** Seconds since 1970 as RFC 3339; the same few moments are asked for over and over. */
function momentOf(epoch: number): string {
  if (epoch !== lastEpoch) {
    lastEpoch = epoch
    lastText = new Date(epoch * 1_000).toISOString()
  }
  return lastText
}

/** A counter against its cap, in exact arithmetic; a balance knows its overage by itself. */
export function standing(
  used: string,
  limit: string | null,
  period: Period,
  resetEpoch: number,
  overage: string | null = null,
  held: string | null = null,
): Standing {
  const common = {
    used: toQuantity(used),
    period,
    reset_at: momentOf(resetEpoch),
    ...(held !== null && { held: toQuantity(held) }),
  }
  if (limit === null) return { limit: null, ...common, remaining: null, overage: 0 }
  const left = subtractDecimals(limit, used)
  const over = isNegative(left)
  const free = held === null ? left : subtractDecimals(left, held)
  return {
    limit: toQuantity(limit),
    ...common,
    remaining: isNegative(free) ? 0 : toQuantity(free),
    overage: overage !== null ? toQuantity(overage) : over ? toQuantity(left.slice(1)) : 0,
  }
}

/** What a batch came to, laid out so that each of its requests finds its part without going through that of the others. */
export type BatchAnswer = {
  codes: number[] | null
  /** By the position of the event. */
  refused: Map<number, Refusal>
  /** By customer and meter, as `lineKey` names them. */
  usage: Map<string, UsageLine>
  index: BatchIndex
}

const lineKey = (user: number | undefined, meter: number | undefined): string => `${user} ${meter}`

/** Lays out what app.record_usage answered to a batch. */
export function readAnswer({ codes, refused, usage }: RecordedUsage, index: BatchIndex): BatchAnswer {
  const answer: BatchAnswer = { codes, refused: new Map(), usage: new Map(), index }
  for (const refusal of refused ?? []) answer.refused.set(refusal[0], refusal)
  for (const [user, meter, used, limit, , period, resetEpoch, overage, held] of usage ?? [])
    answer.usage.set(lineKey(user, meter), {
      meter: index.meters[meter - 1] ?? '',
      user_id: index.users[user - 1] ?? '',
      ...standing(used, limit, period, resetEpoch, overage, held),
    })
  return answer
}

/** The part of a batch's answer that belongs to one request, whose first event stood at `offset`. */
export function answerRequest(
  events: readonly UsageEvent[],
  offset: number,
  answer: BatchAnswer,
  report: boolean,
): TrackResult {
  const result: TrackResult = { inserted: events.length, duplicates: 0, rejected: [] }
  const { codes, refused } = answer
  if (codes) {
    for (const [position, event] of events.entries()) {
      const code = codes[offset + position] ?? INSERTED
      // Without an id of its own an event is found only when its batch was tried again after a lost connection.
      if (code === INSERTED || (code === DUPLICATE && event.event_id === null)) continue
      result.inserted -= 1
      if (code === DUPLICATE) result.duplicates += 1
      else result.rejected.push(rejectEvent(event.index, code, refused.get(offset + position + 1)))
    }
  }
  if (report && answer.usage.size > 0) result.usage = linesOf(events, answer)
  return result
}

/** Why an event of a request was not counted, by the code of app.record_usage. */
export function rejectEvent(index: number, code: number, refusal?: Refusal | null): RejectedEvent {
  const [name, detail] = REASONS[code] ?? ['refused', 'The event was refused.']
  if (!refusal) return { index, code: name, detail }
  const [, limit, used, period, resetEpoch, held] = refusal
  return { index, code: name, detail, ...standing(used, limit, period, resetEpoch, null, held) }
}

function linesOf(events: readonly UsageEvent[], { usage, index }: BatchAnswer): UsageLine[] {
  const lines = new Set<UsageLine>()
  for (const { user, meter } of events) {
    const line = usage.get(lineKey(index.userOf.get(user), index.meterOf.get(meter)))
    if (line) lines.add(line)
  }
  return [...lines]
}
