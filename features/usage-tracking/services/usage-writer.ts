import { LRUCache } from 'lru-cache'
import pg from 'pg'
import { tenantQuery } from '@/libs/db/tenant-db'
import { env } from '@/libs/env'
import { AppError, readOnlyTenant } from '@/libs/errors'
import { createGroupCommit } from '@/libs/ingest/group-commit'
import { log } from '@/libs/log'
import { routeTenant } from '@/libs/tenancy/resolve-tenant'
import { type Actor, currentContext, jobActor, runInTenant, runOutsideTenant } from '@/libs/tenancy/tenant-context'
import type { UsageEvent } from './event-parser'
import { answerRequest, type RecordedUsage, readAnswer, type TrackResult } from './usage-answer'
import { layOutBatch, type UsageBatch } from './usage-batch'
import { callerKey, runStatement, usageActor } from './usage-statement'

/** Requests up to this many events are told where their customers stand afterwards. */
const REPORTED_EVENTS = 20
/** Tenants whose events are committed at one moment; below the size of the pool, so that keys can be looked up meanwhile. */
const WRITERS = 8
/** Events that come alone, which go to the database together though each is a transaction: most of a platform's tenants send little. */
const SINGLES = 32
/** Events that make a second batch of one caller worth its fixed cost: the process reads and answers while the database counts. */
const WORTH_JOINING = 24
/** Events of one statement, three of the largest requests: a counter is moved once for all of them. More gains little, and others wait longer. */
const MAX_BATCH = 3_000
const MAX_QUEUED = 50_000

const parameters = (from: number): string => Array.from({ length: 17 }, (_, index) => `$${from + index}`).join(', ')
const INGEST = `select app.ingest_usage($1, $2, $3, ${parameters(4)}) as value`
const INGEST_ONCE = `select app.ingest_usage_once($1, $2, $3, $4, $5, ${parameters(6)}) as value`
const RECORD = `select app.record_usage($1, ${parameters(2)}) as value`

export type WriteOptions = {
  /** All or nothing: one event that is refused refuses the request. */
  strict?: boolean
  /** Holds soft caps as well: no event passes any limit. */
  enforce?: boolean
  /** Makes the whole request safe to repeat; only outside of a transaction. */
  once?: { key: string; requestHash: Buffer }
}
export type WriteResult = TrackResult & { replayed?: true }

type Work = {
  tenantId: string
  actor: Actor
  events: readonly UsageEvent[]
  options: WriteOptions
}

const writer = createGroupCommit<Work, WriteResult>({
  run: (works) => runOutsideTenant(() => writeTogether(works)),
  writers: WRITERS,
  singles: SINGLES,
  worthJoining: WORTH_JOINING,
  maxBatch: MAX_BATCH,
  maxQueued: MAX_QUEUED,
})
let alone = 0
/** Tenants that sent something twice of late: their batches look first, where others leave it to the primary key to object. */
const repeaters = new LRUCache<string, true>({ max: 10_000, ttl: 60_000, ttlResolution: 1_000 })

/**
 * Counts events of the current tenant; resolves when they are committed. Within a transaction they become part of it,
 * outside of one they share a commit with whatever else waits for the same tenant.
 * @throws AppError invalid_input when strict and one is refused, idempotency_mismatch, unavailable when too much waits.
 */
export async function writeEvents(events: readonly UsageEvent[], options: WriteOptions = {}): Promise<WriteResult> {
  const { tenantId, actor, client } = currentContext()
  if (!actor.permissions.includes('usage:write')) throw new AppError('forbidden', 'You may not write usage.')
  if (client) return writeInTransaction(events, options)
  const work = { tenantId, actor, events, options }
  // What must succeed or fail by itself shares no transaction.
  if (options.strict || options.once) alone += 1
  const key = options.strict || options.once ? `alone ${alone}` : queueOf(actor, options)
  return writer.submit(tenantId, key, work, events.length)
}

/** Whose events share a statement: those of one caller, enforced or not. */
function queueOf(actor: Actor, options: WriteOptions): string {
  return `${callerKey(actor)}${options.enforce ? ' enforce' : ''}`
}

/** Fewest bytes an event of a large body takes: what is turned away by this would have been turned away after it was read. */
const BYTES_OF_EVENT = 400

/**
 * Turns a request away before its body is read, when what waits already leaves no room for one of its size: reading a
 * thousand events only to refuse them would take the time in which others are written. @throws AppError unavailable.
 */
export function requireRoom(bytes: number): void {
  const { tenantId, client } = currentContext()
  if (client) return
  writer.requireRoom(tenantId, Math.max(1, Math.floor(bytes / BYTES_OF_EVENT)))
}

/** Resolves once everything that was accepted is committed; for a process that ends. */
export function drainWriter(): Promise<void> {
  return writer.drain()
}

async function writeInTransaction(
  events: readonly UsageEvent[],
  { strict = false, enforce = false }: WriteOptions,
): Promise<WriteResult> {
  const { tenantId } = currentContext()
  const { time_zone } = await routeTenant(tenantId)
  const batch = layOutBatch(events, time_zone)
  const report = events.length <= REPORTED_EVENTS
  const [row] = await tenantQuery<{ value: RecordedUsage }>(RECORD, [
    tenantId,
    ...batch.arguments(true, { strict, report, enforce }),
  ]).catch((error: unknown) => {
    throw asAnswer(error, events)
  })
  if (!row) throw new Error('app.record_usage gives one row.')
  return answerRequest(events, 0, readAnswer(row.value, batch.index), report)
}

/** What Postgres cannot take in of one request does not fail those that happened to share its batch. */
async function writeTogether(works: readonly Work[]): Promise<(WriteResult | Error)[]> {
  try {
    return await writeBatch(works)
  } catch (error) {
    if (works.length === 1 || !isFaultOfContent(error)) throw error
    const results: (WriteResult | Error)[] = []
    for (const work of works) {
      const [result] = await writeBatch([work]).catch((fault: Error) => [fault])
      results.push(result ?? new Error('A request that was written has an answer.'))
    }
    return results
  }
}

/** Data exceptions, violated constraints and exceeded limits: classes 22, 23 and 54 of SQLSTATE. */
function isFaultOfContent(error: unknown): boolean {
  return error instanceof pg.DatabaseError && /^(?:22|23|54)/.test(error.code ?? '')
}

async function writeBatch(works: readonly Work[]): Promise<WriteResult[]> {
  const [first] = works
  if (!first) return []
  const events = works.length === 1 ? first.events : works.flatMap((work) => work.events)
  const { strict = false, enforce = false, once } = first.options
  const report = works.some((work) => work.events.length <= REPORTED_EVENTS)
  const actor = usageActor(first.actor)
  let batch: UsageBatch | undefined
  const recorded = await runStatement<RecordedUsage>(
    once ? INGEST_ONCE : INGEST,
    first.tenantId,
    (routing, again) => {
      batch = layOutBatch(events, routing.time_zone)
      const common = [
        first.tenantId,
        routing.epoch,
        actor,
        ...batch.arguments(again || repeaters.has(first.tenantId), { strict, report, enforce }),
      ]
      return once ? [once.key, once.requestHash, ...common] : common
    },
    events.length === 1 ? 'writes' : undefined,
  ).catch((error: unknown) => {
    throw asAnswer(error, events)
  })
  if (!batch) throw new Error('A statement that ran had its values.')
  const answer = readAnswer(recorded, batch.index)
  let offset = 0
  const results = works.map((work): WriteResult => {
    const result = answerRequest(work.events, offset, answer, work.events.length <= REPORTED_EVENTS)
    offset += work.events.length
    return recorded.replayed ? { ...result, replayed: true } : result
  })
  if (recorded.codes?.some((code) => code === 1 || code === 2)) repeaters.set(first.tenantId, true)
  if (results.some(({ inserted }) => inserted > 0)) await activate(first.tenantId)
  return results
}

/** The first event of a tenant that is still pending opens it, where that is wanted. */
async function activate(tenantId: string): Promise<void> {
  const routing = await routeTenant(tenantId)
  if (routing.status !== 'pending' || !env().ONBOARDING_AUTO_ACTIVATE) return
  try {
    await runInTenant(routing, jobActor('first-event'), () => tenantQuery('select app.activate_pending_tenant()'))
  } catch (error) {
    // The events are counted all the same; the next ones try again.
    log.warn({ tenant: tenantId, err: error }, 'tenant not activated by its first event')
  }
}

type StrictDetail = { codes: number[]; refused: RecordedUsage['refused'] }

function asAnswer(error: unknown, events: readonly UsageEvent[]): unknown {
  if (!(error instanceof Error)) return error
  const { code, detail } = error as Error & { code?: string; detail?: string }
  if (code === 'TM021') {
    return new AppError('idempotency_mismatch', 'This Idempotency-Key was used before with another request.', {}, error)
  }
  // Who comes this far may write; a tenant that is read-only lets nobody.
  if (code === '42501') return readOnlyTenant(error)
  if (code !== 'TM020' || !detail) return error
  const { codes, refused } = JSON.parse(detail) as StrictDetail
  const empty = { meters: [], users: [], meterOf: new Map<string, number>(), userOf: new Map<string, number>() }
  const { rejected } = answerRequest(events, 0, readAnswer({ codes, refused, usage: null }, empty), false)
  return refuseStrictly(rejected)
}

/** The answer to a strict request one event of which is refused. */
export function refuseStrictly(rejected: TrackResult['rejected']): AppError {
  return new AppError('invalid_input', 'Nothing was counted: strict asks for all or nothing.', {
    errors: rejected.map(({ index, detail }) => ({ pointer: `/${index}`, detail })),
    extra: { rejected },
  })
}
