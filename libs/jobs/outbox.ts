import { cutText, toStorable } from '@/libs/cut-text'
import { tenantQuery } from '@/libs/db/tenant-db'
import { currentContext } from '@/libs/tenancy/tenant-context'

/** A message of the outbox in the hands of the worker. */
export type OutboxMessage = {
  id: string
  topic: string
  payload: unknown
  /** Which attempt this is, from 1. It is also the token of the lease: who holds an older one settles nothing. */
  attempts: number
  created_at: Date
}

/** What became of a message that was not delivered. */
export type OutboxFailure = {
  id: string
  error: string
  /** Trying again is of no use: the message is set aside. */
  permanent?: boolean
  /** How long the receiver asks to be left alone; an hour at most is kept to. */
  wait_ms?: number
}

export type ClaimOptions = {
  /** One topic by its name, or every topic that is the name of an event (it has a dot). */
  topic: string | 'events'
  limit: number
  /** Strictly in the order of writing: nothing is taken while an earlier message of the topic waits to be tried again. */
  ordered: boolean
  leaseMs: number
}

const HOUR_MS = 3_600_000
const OF_TOPIC = "case when $1 = 'events' then o.topic like '%.%' else o.topic = $1 end"
const WAITS = `o.tenant_id = (select app.tenant_id()) and o.delivered_at is null and o.available_at < 'infinity'`
const WAITING = `${WAITS} and ${OF_TOPIC}`
const TAKE = (chosen: string) => `
  update outbox u set attempts = u.attempts + 1, available_at = now() + make_interval(secs => $3)
  where u.tenant_id = (select app.tenant_id()) and u.id in (${chosen})
  returning u.id, u.topic, u.payload, u.attempts, u.created_at`
const UNORDERED = TAKE(
  `select o.id from outbox o where ${WAITING} and o.available_at <= now() order by o.id limit $2 for update skip locked`,
)
const ORDERED = TAKE(
  `select s.id from (
     select o.id, bool_and(o.available_at <= now()) over (order by o.id) as due
     from (select o.* from outbox o where ${WAITING} order by o.id limit $2) o) s
   where s.due`,
)

// From topic to topic by the index, however many messages wait under each.
const DUE_TOPICS = `
  with recursive t(topic) as (
    (select o.topic from outbox o where ${WAITS} order by o.topic limit 1)
    union all
    select (select o.topic from outbox o where ${WAITS} and o.topic > t.topic order by o.topic limit 1)
    from t where t.topic is not null
  )
  select distinct case when t.topic like '%.%' then 'events' else t.topic end as topic
  from t cross join lateral (
    select from outbox o where ${WAITS} and o.topic = t.topic and o.available_at <= now() order by o.id limit 1) due`

/** The topics of the current tenant that have messages due; `events` stands for all names of events. */
export async function listDueTopics(): Promise<string[]> {
  const rows = await tenantQuery<{ topic: string }>(DUE_TOPICS)
  return rows.map(({ topic }) => topic)
}

/**
 * Takes messages of the current tenant for `leaseMs`: until then nobody else gets them, afterwards anybody, so that a
 * worker that dies holds nothing up. Oldest first. The transaction is to be committed before anything is sent.
 */
export async function claimMessages({ topic, limit, ordered, leaseMs }: ClaimOptions): Promise<OutboxMessage[]> {
  if (ordered) {
    // One worker at a time reads an ordered topic; a leased message then stops the next from passing it.
    const [lock] = await tenantQuery<{ free: boolean }>(
      'select pg_try_advisory_xact_lock(hashtextextended($1, 1)) as free',
      [`${currentContext().tenantId} ${topic}`],
    )
    if (!lock?.free) return []
  }
  const rows = await tenantQuery<OutboxMessage>(ordered ? ORDERED : UNORDERED, [topic, limit, leaseMs / 1_000])
  return rows.sort((a, b) => (a.id < b.id ? -1 : 1))
}

const HELD = `from unnest($1::uuid[], $2::int[]) as h(id, attempts)
  where o.tenant_id = (select app.tenant_id()) and o.id = h.id and o.attempts = h.attempts and o.delivered_at is null`

const keys = (messages: readonly OutboxMessage[]) => [
  messages.map(({ id }) => id),
  messages.map(({ attempts }) => attempts),
]

/** Marks messages as delivered, or with `forget` removes them: those whose content nobody should find later. */
export async function markDelivered(messages: readonly OutboxMessage[], { forget = false } = {}): Promise<void> {
  if (messages.length === 0) return
  const statement = forget
    ? `delete from outbox o using unnest($1::uuid[], $2::int[]) as h(id, attempts)
       where o.tenant_id = (select app.tenant_id()) and o.id = h.id and o.attempts = h.attempts`
    : `update outbox o set delivered_at = now(), last_error = null ${HELD}`
  await tenantQuery(statement, keys(messages))
}

/** Gives messages back to be tried again in `delayMs`; those that failed for good are set aside with their error. */
export async function markFailed(
  messages: readonly OutboxMessage[],
  failures: ReadonlyMap<string, OutboxFailure>,
  delayMs: (attempts: number) => number,
): Promise<void> {
  if (messages.length === 0) return
  await tenantQuery(
    `update outbox o set last_error = h.error,
       available_at = case when h.delay is null then 'infinity' else now() + make_interval(secs => h.delay) end
     from unnest($1::uuid[], $2::int[], $3::text[], $4::float8[]) as h(id, attempts, error, delay)
     where o.tenant_id = (select app.tenant_id()) and o.id = h.id and o.attempts = h.attempts and o.delivered_at is null`,
    [
      ...keys(messages),
      messages.map(({ id }) => cutText(toStorable(failures.get(id)?.error ?? 'unknown'), 1_000)),
      messages.map(({ id, attempts }) => {
        const { permanent, wait_ms = 0 } = failures.get(id) ?? {}
        return permanent ? null : Math.max(delayMs(attempts), Math.min(wait_ms, HOUR_MS)) / 1_000
      }),
    ],
  )
}
