import { int4Array, jsonbArray, textArray, uuidArray } from '@/libs/db/array-parameters'
import type { UsageEvent } from './event-parser'

/** Arguments of app.record_usage from p_time_zone on; see the migration for what each means. */
export type BatchArguments = readonly unknown[]

/** Where meters and users of a batch stand in the lists sent with it, from 1. */
export type BatchIndex = {
  meters: string[]
  users: string[]
  meterOf: Map<string, number>
  userOf: Map<string, number>
}

export type UsageBatch = {
  index: BatchIndex
  /** `probe`: look first whether events are here already, because repetitions are to be expected. */
  arguments: (probe: boolean, options: { strict: boolean; report: boolean; enforce: boolean }) => BatchArguments
}

const literal = (parts: readonly string[]): string => `{${parts.join(',')}}`

function place(places: Map<string, number>, list: string[], name: string): number {
  const known = places.get(name)
  if (known !== undefined) return known
  list.push(name)
  places.set(name, list.length)
  return list.length
}

/** Lays the events of a batch out as columns, the form in which one statement takes a thousand of them. */
export function layOutBatch(events: readonly UsageEvent[], timeZone: string): UsageBatch {
  const index: BatchIndex = { meters: [], users: [], meterOf: new Map(), userOf: new Map() }
  const meter: number[] = []
  const user: number[] = []
  const values: string[] = []
  const keys: string[] = []
  let hasIds = false
  let hasSources = false
  let hasTimes = false
  let hasProperties = false
  for (const event of events) {
    meter.push(place(index.meterOf, index.meters, event.meter))
    user.push(place(index.userOf, index.users, event.user))
    values.push(event.value)
    keys.push(event.key)
    hasIds ||= event.event_id !== null
    hasSources ||= event.source !== null
    hasTimes ||= event.time !== null
    hasProperties ||= event.properties !== null
  }
  const hasCorrections = events.some(({ corrects }) => corrects)
  const columns = [
    timeZone,
    textArray(index.meters),
    textArray(index.users),
    int4Array(meter),
    int4Array(user),
    literal(values),
    uuidArray(keys),
    hasIds ? textArray(events.map(({ event_id }) => event_id)) : null,
    hasSources ? textArray(events.map(({ source }) => source)) : null,
    hasTimes ? literal(events.map(({ time }) => (time === null ? 'null' : `"${time}"`))) : null,
    hasProperties ? jsonbArray(events.map(({ properties }) => properties)) : null,
    hasCorrections ? literal(events.map(({ corrects }) => corrects ?? 'null')) : null,
  ]
  const repeats = hasIds && new Set(keys).size < keys.length
  return {
    index,
    arguments: (probe, { strict, report, enforce }) => [...columns, probe, repeats, strict, report, enforce],
  }
}
