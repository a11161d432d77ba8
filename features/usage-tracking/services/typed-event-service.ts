import { cutText } from '@/libs/cut-text'
import { AppError } from '@/libs/errors'
import { createGroupCommit } from '@/libs/ingest/group-commit'
import { type EventMeter, layOutProperties, readValue } from '@/libs/metering/typed-event'
import { type Actor, currentContext, runOutsideTenant } from '@/libs/tenancy/tenant-context'
import { MAX_EVENTS } from './event-parser'
import { TenantUsageTrackingService, type TrackedEvent } from './tenant-usage-tracking-service'
import type { RejectedEvent } from './usage-answer'
import { keepRejections } from './usage-rejection-service'
import { callerKey, runStatement, usageActor } from './usage-statement'

/** An event that names its type, and not a meter: every meter of that type counts it. */
export type TypedEvent = {
  type: string
  user_id: string
  event_id: string
  source?: string
  timestamp?: string | number
  /** What it says; where meters find their values and groups. */
  data: Readonly<Record<string, unknown>>
}
export type TypedRejection = RejectedEvent & {
  meter: string | null
  /** The part of `data` that its meter counts, where that is not its `value`. */
  value_property?: string | null
}
export type TypedResult = { inserted: number; duplicates: number; rejected: TypedRejection[] }

const METERS = 'select app.meters_of_types($1, $2, $3, $4) as value'

/**
 * Counts events by every meter of their type, each of them once: the oldest meter knows an event by its event_id, others
 * by that and their slug. What no meter counts is kept among the refused events. `index` of a refusal is the place of the
 * event here. @throws AppError invalid_input for no event, or more than a thousand.
 */
export async function trackTypedEvents(events: readonly TypedEvent[]): Promise<TypedResult> {
  if (events.length === 0) throw new AppError('invalid_input', 'Send at least one event.')
  if (events.length > MAX_EVENTS)
    throw new AppError('invalid_input', `Send at most ${MAX_EVENTS} events in one request.`)
  const meters = await findMeters([...new Set(events.map(({ type }) => type))])
  const tracked: { index: number; meter: EventMeter; event: TrackedEvent }[] = []
  const result: TypedResult = { inserted: 0, duplicates: 0, rejected: [] }
  for (const [index, event] of events.entries()) {
    const [first, ...others] = metersOf(meters.get(event.type) ?? [])
    if (!first) {
      const detail = `No meter counts events of the type ${cutText(event.type, 255)}.`
      result.rejected.push({ index, code: 'unknown_meter', detail, meter: null })
      continue
    }
    for (const meter of [first, ...others])
      tracked.push({ index, meter, event: toTracked(event, meter, meters.get(event.type)?.[0] === meter) })
  }
  await keepRejections(result.rejected, {
    events: [],
    refused: new Map(result.rejected.map(({ index }) => [index, events[index]])),
  })
  for (let at = 0; at < tracked.length; at += MAX_EVENTS) {
    const part = tracked.slice(at, at + MAX_EVENTS)
    const { inserted, duplicates, rejected } = await TenantUsageTrackingService.trackUsage(
      part.map(({ event }) => event),
    )
    result.inserted += inserted
    result.duplicates += duplicates
    for (const { index, ...rejection } of rejected) {
      const origin = part[index]
      if (!origin) continue
      const { slug, value_property } = origin.meter
      result.rejected.push({ ...rejection, index: origin.index, meter: slug, value_property })
    }
  }
  return result
}

type Meters = ReadonlyMap<string, EventMeter[]>
type Work = { tenantId: string; actor: Actor; types: readonly string[] }

/**
 * Requests that come together look together. Nothing is remembered: a meter counts from the moment on at which whoever
 * made it was answered, in every process.
 */
const reader = createGroupCommit<Work, Meters>({
  run: (works) => runOutsideTenant(() => readTogether(works)),
  writers: 8,
  worthJoining: 64,
  maxBatch: 500,
  maxQueued: 20_000,
})

/** Meters by the type they count, the oldest first. */
async function findMeters(types: readonly string[]): Promise<Meters> {
  const { tenantId, actor } = currentContext()
  return reader.submit(tenantId, callerKey(actor), { tenantId, actor, types }, 1)
}

async function readTogether(works: readonly Work[]): Promise<Meters[]> {
  const [first] = works
  if (!first) return []
  const { tenantId } = first
  const actor = usageActor(first.actor)
  const types = [...new Set(works.flatMap((work) => work.types))]
  const rows = await runStatement<EventMeter[]>(METERS, tenantId, ({ epoch }) => [tenantId, epoch, actor, types])
  const meters = Map.groupBy(rows, ({ type }) => type)
  return works.map(() => meters)
}

/** Those that count; when all are archived one of them, to refuse by its name. */
function metersOf(meters: readonly EventMeter[]): readonly EventMeter[] {
  const living = meters.filter(({ archived }) => !archived)
  return living.length > 0 ? living : meters.slice(0, 1)
}

function toTracked({ data, ...event }: TypedEvent, meter: EventMeter, isFirst: boolean): TrackedEvent {
  const value = readValue(data, meter)
  return {
    meter_id: meter.slug,
    user_id: event.user_id,
    ...(value === undefined ? {} : { event_value: value }),
    properties: layOutProperties(data, meter),
    event_id: isFirst ? event.event_id : `${event.event_id}#${meter.slug}`,
    ...(event.source === undefined ? {} : { source: event.source }),
    ...(event.timestamp === undefined ? {} : { timestamp: event.timestamp }),
  }
}
