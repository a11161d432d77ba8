import { answerWithin } from '@/libs/answer-within'
import { onNotification } from '@/libs/db/notifications'
import { serverQuery } from '@/libs/db/server-query'
import { describeError } from '@/libs/errors'
import { createGate } from '@/libs/gate'
import { log } from '@/libs/log'
import { findTenantRouting, type TenantRouting } from '@/libs/tenancy/resolve-tenant'
import { jobActor, runInTenant, runOutsideTenant } from '@/libs/tenancy/tenant-context'
import {
  claimMessages,
  listDueTopics,
  markDelivered,
  markFailed,
  type OutboxFailure,
  type OutboxMessage,
} from './outbox'
import { notePassedOver } from './passed-over'
import { createRests } from './rests'

/** Where the messages of one topic go. */
export type OutboxSink = {
  /** The topic, or `events` for every message that is named as an event. */
  topic: string
  /** Messages handed over at once. */
  batch: number
  /** Keep the order of writing, at the price that a message which cannot be delivered holds up those behind it. */
  ordered: boolean
  /** After so many attempts a message is set aside. */
  attempts: number
  /** Delivered messages are removed instead of kept for a week. */
  forget: boolean
  /** Tenants it is delivered for at one moment; few where each of them may hold one of the connections of the database for minutes. */
  lanes: number
  /**
   * Hands messages over, outside of any transaction; must end by itself well within the lease. Gives those that failed;
   * throwing means that all did. A message may come again after it was delivered: the receiver must be able to tell.
   */
  deliver: (messages: readonly OutboxMessage[], tenant: TenantRouting) => Promise<OutboxFailure[]>
  /** What else to note, in the transaction that settles the messages. */
  settle?: (delivered: readonly OutboxMessage[], failed: readonly (OutboxMessage & OutboxFailure)[]) => Promise<void>
}

export type OutboxWorkerOptions = {
  sinks: readonly OutboxSink[]
  /** How often to look without being told; default two seconds. */
  pollMs?: number
  /** How long a message is held while it is being delivered; default one minute. */
  leaseMs?: number
  /** How long to wait after a failed attempt. */
  delayMs?: (attempts: number) => number
}

export type OutboxWorker = {
  /** Takes nothing new and waits for what is under way, at most `graceMs`; what is left then comes free with its lease. */
  stop: (graceMs?: number) => Promise<void>
}

const MOST_TENANTS = 1_000
/** Tenants that are asked for their topics at one moment. */
const MOST_VISITS = 16
const LONGEST_REST_MS = 30_000
const HOUR = 3_600_000
export const WORKER = jobActor('outbox-worker')

/** Five seconds after the first failure, then twice as long each time, at most an hour; a fifth more or less by chance. */
export function backoffMs(attempts: number): number {
  return Math.min(HOUR, 5_000 * 2 ** Math.max(0, attempts - 1)) * (0.8 + Math.random() * 0.4)
}

/**
 * Delivers what waits in the outboxes of all tenants, at least once: woken by the database, and looking by itself every
 * `pollMs`. Each topic of each tenant is worked on by itself, so that a receiver that is slow or dead for one holds up
 * nobody else; a batch at a time, so that nobody fills the line; and each topic in lanes of its own, so that a receiver that is
 * dead for everybody holds up nothing that goes elsewhere.
 */
export function startOutboxWorker(options: OutboxWorkerOptions): OutboxWorker {
  const { pollMs = 2_000, leaseMs = 60_000, delayMs = backoffMs } = options
  const sinks = new Map(options.sinks.map((sink) => [sink.topic, { sink, gate: createGate(sink.lanes) }]))
  const underWay = new Map<string, Promise<void>>()
  const rests = createRests(pollMs)
  let visits = 0
  let stopping = false
  let looking = false
  let lookAgain = false

  const look = async (): Promise<void> => {
    if (stopping) return
    if (looking) {
      lookAgain = true
      return
    }
    looking = true
    try {
      do {
        lookAgain = false
        for (const tenantId of await listDueTenants()) {
          if (stopping || visits >= MOST_VISITS) break
          if (!rests.isResting(tenantId) && !underWay.has(tenantId)) begin(tenantId, () => visit(tenantId))
        }
      } while (lookAgain && !stopping)
    } catch (error) {
      log.warn({ error: describeError(error) }, 'outbox cannot be read')
    } finally {
      looking = false
    }
  }

  const begin = (key: string, work: () => Promise<void>): void => {
    const running = runOutsideTenant(work)
      .catch((error: unknown) => {
        rests.rest(key, LONGEST_REST_MS)
        log.warn({ error: describeError(error), job: key }, 'outbox work failed')
      })
      .finally(() => {
        underWay.delete(key)
        // There was no room for somebody, or there is more of the same.
        if (!stopping) void look()
      })
    underWay.set(key, running)
  }

  /** Finds out which topics of a tenant are due and starts on each that is not being worked on. */
  const visit = async (tenantId: string): Promise<void> => {
    visits += 1
    try {
      await startTopics(tenantId)
    } finally {
      visits -= 1
    }
  }

  const startTopics = async (tenantId: string): Promise<void> => {
    const routing = await findTenantRouting({ id: tenantId })
    const topics = routing ? await runInTenant(routing, WORKER, listDueTopics).catch(asNothing(tenantId)) : []
    const delivered = topics.filter((topic) => sinks.has(topic))
    let started = 0
    for (const topic of delivered) {
      const known = sinks.get(topic)
      const key = `${tenantId} ${topic}`
      if (!known || !routing || stopping || underWay.has(key) || rests.isResting(key)) continue
      started += 1
      begin(key, async () => {
        // Whose turn is over gets in line again: all of a long list goes, and nobody waits for its end.
        for (let more = true; more && !stopping; )
          more = await known.gate.run(async () => !stopping && drain(routing, known.sink, key))
      })
    }
    // All of it is being worked on; or the tenant is suspended or gone, or nobody here delivers the topic.
    if (started === 0) rests.rest(tenantId, delivered.length > 0 ? pollMs : LONGEST_REST_MS)
  }

  const asNothing =
    (tenantId: string) =>
    (error: unknown): string[] => {
      notePassedOver('outbox', tenantId, error)
      return []
    }

  /** Delivers one batch; true when there may be more that can go at once. */
  const drain = async (routing: TenantRouting, sink: OutboxSink, key: string): Promise<boolean> => {
    const { topic, batch: limit, ordered } = sink
    const messages = await runInTenant(routing, WORKER, () => claimMessages({ topic, limit, ordered, leaseMs }))
    // An earlier message of an ordered topic waits for its next attempt.
    if (messages.length === 0) {
      rests.rest(key, pollMs)
      return false
    }
    rests.clear(key)
    rests.clear(routing.id)
    const failures = await deliver(sink, messages, routing)
    const delivered = messages.filter(({ id }) => !failures.has(id))
    const failed = messages.filter(({ id }) => failures.has(id))
    await runInTenant(routing, WORKER, async () => {
      await markDelivered(delivered, sink)
      await markFailed(failed, failures, delayMs)
      await sink.settle?.(
        delivered,
        failed.flatMap((message) => {
          const failure = failures.get(message.id)
          return failure ? [{ ...message, ...failure }] : []
        }),
      )
    })
    if (failed.length === 0) {
      log.info({ job: key, delivered: delivered.length }, 'outbox')
      return messages.length === limit
    }
    const given_up = failed.filter(({ id }) => failures.get(id)?.permanent).length
    const error = failures.get(failed[0]?.id ?? '')?.error.slice(0, 500)
    log.warn({ job: key, delivered: delivered.length, failed: failed.length, given_up, error }, 'outbox')
    return false
  }

  const deliver = async (
    sink: OutboxSink,
    messages: readonly OutboxMessage[],
    routing: TenantRouting,
  ): Promise<Map<string, OutboxFailure>> => {
    let failures: OutboxFailure[]
    try {
      failures = await sink.deliver(messages, routing)
    } catch (error) {
      failures = messages.map(({ id }) => ({ id, error: describeError(error) }))
    }
    const last = new Set(messages.filter(({ attempts }) => attempts >= sink.attempts).map(({ id }) => id))
    return new Map(
      failures.map((failure) => [failure.id, last.has(failure.id) ? { ...failure, permanent: true } : failure]),
    )
  }

  const stopListening = onNotification('outbox', () => void look())
  const timer = setInterval(() => void look(), pollMs)
  void look()

  return {
    stop: async (graceMs = 15_000) => {
      stopping = true
      stopListening()
      clearInterval(timer)
      const finish = async () => {
        while (underWay.size > 0) await Promise.all(underWay.values())
      }
      await answerWithin(graceMs, finish()).catch(() =>
        log.warn({ under_way: underWay.size }, 'outbox work left under way'),
      )
    },
  }
}

/** Tenants with messages due, beginning anywhere, so that the last of a long list get their turn. */
async function listDueTenants(): Promise<string[]> {
  const rows = await serverQuery<{ tenant_id: string }>('select tenant_id from app.tenants_with_outbox($1)', [
    MOST_TENANTS,
  ])
  const start = Math.floor(Math.random() * rows.length)
  return [...rows.slice(start), ...rows.slice(0, start)].map(({ tenant_id }) => tenant_id)
}
