import { LRUCache } from 'lru-cache'
import { onNotification } from '@/libs/db/notifications'
import { serverQuery } from '@/libs/db/server-query'
import { notFound } from '@/libs/errors'
import type { TenantStatus } from './tenant-status'

/** What is needed to reach a tenant: who it is, and where its data lives since which epoch. */
export type TenantRouting = {
  id: string
  slug: string
  name: string
  status: TenantStatus
  plan_id: string
  time_zone: string
  epoch: number
  database_id: string
}

/** How a caller may name a tenant; exactly one is given. */
export type TenantName = { id: string } | { slug: string } | { hostname: string }

const FRESH_MS = 60_000
const UNKNOWN_MS = 5_000
type Entry = { routing: TenantRouting | null }
const cache = new LRUCache<string, Entry>({ max: 20_000, ttl: FRESH_MS, ttlResolution: 100 })
const flights = new Map<string, Promise<TenantRouting | null>>()
let generation = 0
let listening = false

function keyOf(name: TenantName): string {
  if ('id' in name) return `id:${name.id.toLowerCase()}`
  return 'slug' in name ? `slug:${name.slug}` : `host:${name.hostname}`
}

async function load(name: TenantName): Promise<TenantRouting | null> {
  const [routing] = await serverQuery<TenantRouting>(
    'select id, slug, name, status, plan_id, time_zone, epoch, database_id from app.route_tenant($1, $2, $3)',
    ['id' in name ? name.id : null, 'slug' in name ? name.slug : null, 'hostname' in name ? name.hostname : null],
  )
  return routing ?? null
}

/**
 * Routing of a tenant by id, slug or verified host name; null when there is none (deleted ones included).
 * Cached with single flight; a change in the registry is heard of by notification within milliseconds, and a stale
 * answer does no harm: app.begin_tenant checks state and epoch again. Unknown names are remembered for five seconds.
 */
export function findTenantRouting(name: TenantName): Promise<TenantRouting | null> {
  const key = keyOf(name)
  const hit = cache.get(key)
  if (hit) return Promise.resolve(hit.routing)
  const flying = flights.get(key)
  if (flying) return flying
  listen()
  const started = generation
  const flight = load(name)
    .then((routing) => {
      if (started === generation) cache.set(key, { routing }, { ttl: routing ? FRESH_MS : UNKNOWN_MS })
      return routing
    })
    .finally(() => flights.delete(key))
  flights.set(key, flight)
  return flight
}

/** The cached routing without waiting, undefined when it is not in memory. For the hot path. */
export function peekTenantRouting(name: TenantName): TenantRouting | null | undefined {
  return cache.get(keyOf(name))?.routing
}

/** Routing of a tenant that must be there, from memory where it is. @throws AppError not_found. */
export async function routeTenant(tenantId: string): Promise<TenantRouting> {
  const routing = peekTenantRouting({ id: tenantId }) ?? (await findTenantRouting({ id: tenantId }))
  if (!routing) throw notFound()
  return routing
}

/** Drops what is remembered of a tenant (or of all), and what is being read at this moment. */
export function forgetTenantRouting(id?: string): void {
  generation += 1
  flights.clear()
  if (id === undefined) {
    cache.clear()
    return
  }
  for (const [key, entry] of cache.entries()) {
    if (entry.routing === null || entry.routing.id === id) cache.delete(key)
  }
}

function listen(): void {
  if (listening) return
  listening = true
  onNotification('registry', (message) => {
    if (message === null) return forgetTenantRouting()
    if (message.table === 'tenants' || message.table === 'placements' || message.table === 'domains')
      forgetTenantRouting(message.tenant_id)
  })
}
