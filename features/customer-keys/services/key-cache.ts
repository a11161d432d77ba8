import { LRUCache } from 'lru-cache'
import { hasChecksum, readHash } from '@/libs/auth/api-key'
import { isListening, onNotification } from '@/libs/db/notifications'
import { runStatementInside, runTenantStatement, statementActor } from '@/libs/db/tenant-statement'
import { createGroupCommit } from '@/libs/ingest/group-commit'
import { type Actor, currentContext, runOutsideTenant } from '@/libs/tenancy/tenant-context'
import type { KeyLimit } from '../schema'

/** What a verification needs to know of a key; credits are not among it, they are asked for each time. */
export type VerifiableKey = {
  id: string
  name: string
  external_id: string | null
  meta: Record<string, unknown>
  permissions: string[]
  roles: string[]
  ratelimits: KeyLimit[]
  enabled: boolean
  expires_ms: number | null
  revoked: boolean
  /** Whose credits and limits it spends: its own, or its successor's. */
  account_id: string
  /** Whether it has credits that can run out. */
  limited: boolean
  customer_id: string | null
  customer_archived: boolean
}
type Entry = { key: VerifiableKey; held: ReadonlySet<string> }
type Work = { tenantId: string; actor: Actor; hash: string; name: string }

const FIND = 'select app.find_customer_keys($1, $2, $3, $4) as value'
const FRESH_MS = 5_000
const FRESH_UNHEARD_MS = 500

/** Names of remembered keys by what a change of them is told by: the key's id, and that of the account it spends. */
const names = new Map<string, Set<string>>()
const cache = new LRUCache<string, Entry>({
  max: 100_000,
  dispose: ({ key }, name) => {
    for (const about of [key.id, key.account_id]) {
      const known = names.get(about)
      known?.delete(name)
      if (known?.size === 0) names.delete(about)
    }
  },
})
/** What changed while keys were being read: those are not remembered. */
const readings = new Set<{ stale: Set<string>; all: boolean }>()
let listening = false

function listen(): void {
  if (listening) return
  listening = true
  onNotification('registry', (message) => {
    if (message === null) return forgetAll()
    if (message.table === 'customer_keys' && message.id) forget(message.id)
    if (message.table === 'customers' && message.id) forgetCustomer(message.id)
    // Whoever has the role holds something else now.
    if (message.table === 'customer_key_roles') forgetAll()
  })
}

function forget(id: string): void {
  for (const reading of readings) reading.stale.add(id)
  for (const name of [...(names.get(id) ?? [])]) cache.delete(name)
}

function forgetCustomer(customerId: string): void {
  for (const reading of readings) reading.all = true
  for (const [name, { key }] of cache.entries()) if (key.customer_id === customerId) cache.delete(name)
}

function forgetAll(): void {
  for (const reading of readings) reading.all = true
  cache.clear()
}

const finder = createGroupCommit<Work, Entry | { key: null }>({
  run: (works) => runOutsideTenant(() => find(works, runTenantStatement)),
  writers: 2,
  singles: 16,
  worthJoining: 128,
  maxBatch: 500,
  maxQueued: 20_000,
})

/**
 * The key of the current tenant with this text, with the permissions it holds, or null. Remembered for five seconds; a
 * change is heard of within milliseconds. Keys that are looked for at the same moment share one statement.
 */
export function findKey(text: string): Entry | null | Promise<Entry | null> {
  const hash = readHash(text, hasChecksum)
  if (hash === null) return null
  const { tenantId, actor, client } = currentContext()
  const name = `${tenantId} ${hash}`
  const hit = cache.get(name)
  if (hit) return hit
  listen()
  const work = { tenantId, actor, hash, name }
  // Within a transaction on its connection, because who holds one and waits for another can wait for ever.
  const found = client
    ? find([work], runStatementInside).then(([entry]) => entry ?? { key: null })
    : finder.submit(tenantId, actor.kind, work, 1)
  return found.then((entry) => (entry.key === null ? null : entry))
}

async function find(works: readonly Work[], run: typeof runTenantStatement): Promise<(Entry | { key: null })[]> {
  const [first] = works
  if (!first) return []
  const reading = { stale: new Set<string>(), all: false }
  readings.add(reading)
  try {
    const rows = await run<(VerifiableKey | null)[]>(
      FIND,
      first.tenantId,
      ({ epoch }) => [
        first.tenantId,
        epoch,
        statementActor(first.actor, ['usage:write']),
        works.map(({ hash }) => Buffer.from(hash, 'base64')),
      ],
      { short: works.length === 1 ? 'reads' : undefined },
    )
    return works.map(({ name }, index) => {
      const key = rows[index]
      if (!key) return { key: null }
      const entry = { key, held: new Set(key.permissions) }
      if (!reading.all && !reading.stale.has(key.id)) remember(name, entry)
      return entry
    })
  } finally {
    readings.delete(reading)
  }
}

function remember(name: string, entry: Entry): void {
  cache.set(name, entry, { ttl: isListening() ? FRESH_MS : FRESH_UNHEARD_MS })
  const { id, account_id } = entry.key
  // A change of the successor's credits (from limited to not) is one of every key that spends them.
  for (const about of new Set([id, account_id])) {
    const known = names.get(about) ?? new Set<string>()
    known.add(name)
    names.set(about, known)
  }
}
