import { LRUCache } from 'lru-cache'
import { answerWithin } from '@/libs/answer-within'
import { isListening, onNotification } from '@/libs/db/notifications'
import { tenantQuery } from '@/libs/db/tenant-db'
import { log } from '@/libs/log'
import { currentContext } from '@/libs/tenancy/tenant-context'

/** A limit that a tenant made for some identifiers of a namespace, instead of the one that was asked for. */
export type Override = { id: string; identifier: string; limit: number; duration_ms: number }

/** How long a caller waits for a store of limits before it is judged without it, in milliseconds. */
export const PATIENCE_MS = 250

/** Most overrides of one namespace; so many are read at once. */
export const MOST_OVERRIDES = 10_000

type Known = { exact: Map<string, Override>; patterns: Override[]; readAt: number }
type Namespaces = Map<string, Known>

const SELECT = `select id, identifier, call_limit as limit, duration_ms from rate_limit_overrides
  where tenant_id = (select app.tenant_id()) and namespace = $1 order by id limit ${MOST_OVERRIDES}`
const NONE: Known = { exact: new Map(), patterns: [], readAt: -Infinity }
const FRESH_MS = 5_000
const FRESH_UNHEARD_MS = 500

const tenants = new LRUCache<string, Namespaces>({ max: 20_000 })
const flights = new Map<string, Promise<Known>>()
let listening = false

function listen(): void {
  if (listening) return
  listening = true
  onNotification('registry', (message) => {
    if (message === null) return forgetOverrides()
    if (message.table === 'rate_limit_overrides') forgetOverrides(message.tenant_id)
  })
}

/** Has the overrides of a tenant (or all) read again before they are next used. */
function forgetOverrides(tenantId?: string): void {
  flights.clear()
  // Kept for the case that the database does not answer: an old exception is better than none.
  for (const [id, namespaces] of tenants.entries())
    if (tenantId === undefined || id === tenantId) for (const known of namespaces.values()) known.readAt = -Infinity
}

/**
 * The override of the current tenant that holds for an identifier: the exact one, else the pattern with the most literal
 * characters, else null. Remembered for seconds; changes are heard of within milliseconds.
 */
export function findOverride(namespace: string, identifier: string): Override | null | Promise<Override | null> {
  const { tenantId } = currentContext()
  const known = tenants.get(tenantId)?.get(namespace)
  const fresh = isListening() ? FRESH_MS : FRESH_UNHEARD_MS
  if (known && performance.now() - known.readAt < fresh) return choose(known, identifier)
  return read(tenantId, namespace, known).then((found) => choose(found, identifier))
}

function read(tenantId: string, namespace: string, old: Known = NONE): Promise<Known> {
  listen()
  const key = `${tenantId} ${namespace}`
  const flying = flights.get(key)
  if (flying) return flying
  const flight: Promise<Known> = answerWithin(PATIENCE_MS, tenantQuery<Override>(SELECT, [namespace]))
    .then((rows) => {
      const known = sort(rows)
      // A change that came in between has taken this flight off the list.
      if (flights.get(key) === flight) remember(tenantId, namespace, known)
      return known
    })
    .catch((error: Error) => {
      log.warn(
        { error: error.message, tenant: tenantId },
        'overrides of rate limits not read, the last known ones hold',
      )
      return old
    })
    .finally(() => {
      if (flights.get(key) === flight) flights.delete(key)
    })
  flights.set(key, flight)
  return flight
}

function remember(tenantId: string, namespace: string, known: Known): void {
  const namespaces = tenants.get(tenantId) ?? new Map<string, Known>()
  // A caller may make up names; only so many are remembered.
  if (namespaces.size >= 1_000 && !namespaces.has(namespace)) namespaces.clear()
  namespaces.set(namespace, known)
  tenants.set(tenantId, namespaces)
}

const literals = ({ identifier }: Override): number => identifier.replaceAll('*', '').length

function sort(rows: readonly Override[]): Known {
  const patterns = rows
    .filter(({ identifier }) => identifier.includes('*'))
    .sort((a, b) => literals(b) - literals(a) || (a.identifier < b.identifier ? -1 : 1))
  const exact = new Map(rows.map((row) => [row.identifier, row]))
  return { exact, patterns, readAt: performance.now() }
}

function choose({ exact, patterns }: Known, identifier: string): Override | null {
  return exact.get(identifier) ?? patterns.find((pattern) => matches(pattern.identifier, identifier)) ?? null
}

/** Whether an identifier is one of a pattern, in which `*` stands for any characters, none included. Linear in both. */
export function matches(pattern: string, identifier: string): boolean {
  const [first = '', ...rest] = pattern.split('*')
  const last = rest.pop()
  if (last === undefined) return pattern === identifier
  if (identifier.length < first.length + last.length) return false
  if (!identifier.startsWith(first) || !identifier.endsWith(last)) return false
  const end = identifier.length - last.length
  let at = first.length
  for (const part of rest) {
    const found = identifier.indexOf(part, at)
    if (found < 0 || found + part.length > end) return false
    at = found + part.length
  }
  return true
}
