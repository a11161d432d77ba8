import type { Caller } from '@/libs/auth/credentials'
import { type Env, env } from '@/libs/env'
import { AppError, notFound } from '@/libs/errors'
import { isUuid } from '@/libs/ids'
import { type HostKind, PATH_TENANT_HEADER, readHost } from './host'
import { findTenantRouting, peekTenantRouting, type TenantName, type TenantRouting } from './resolve-tenant'

export type SourceKind = 'host' | 'header' | 'path' | 'query' | 'jwt' | 'api_key'

/** One place of a request that names a tenant. */
export type TenantSource = { source: SourceKind; value: string; name: TenantName }

const SLUG_HEADER = 'x-tenant-slug'

let headerNames: string[] = []

/** Headers in which a caller may name a tenant. */
function tenantHeaders(): readonly string[] {
  const { TENANT_HEADER_NAME } = env()
  if (headerNames[0] !== TENANT_HEADER_NAME) {
    headerNames = [...new Set([TENANT_HEADER_NAME, 'x-tenant-id', SLUG_HEADER])]
  }
  return headerNames
}

const hosts = new Map<string, HostKind>()
let hostsOf: Env | undefined

/** What a Host header means here; remembered, because a few names are asked for over and over. */
function hostOf(header: string): HostKind {
  const here = env()
  if (hostsOf !== here || hosts.size >= 1_000) hosts.clear()
  hostsOf = here
  const known = hosts.get(header)
  if (known) return known
  const host = readHost(header, here.ROOT_DOMAIN, here.TENANT_SUBDOMAIN_ENABLED)
  if (header.length <= 300) hosts.set(header, host)
  return host
}

function byIdOrSlug(value: string): TenantName {
  return isUuid(value) ? { id: value.toLowerCase() } : { slug: value.toLowerCase() }
}

function addSource(sources: TenantSource[], source: SourceKind, value: string | null): void {
  const text = value?.trim()
  if (text && text !== 'current') sources.push({ source, value: text, name: byIdOrSlug(text) })
}

/**
 * Every place of a request that names a tenant, in order of precedence: host, header, path, query, JWT, API key.
 * @throws AppError not_found for a host that can be nobody's.
 */
export function readTenantSources(request: Request, caller: Caller | null): TenantSource[] {
  const { TENANT_PARAMETER_ROUTING } = env()
  const sources: TenantSource[] = []
  const header = request.headers.get('host')
  const host: HostKind = header === null ? { kind: 'root' } : hostOf(header)
  if (host.kind === 'unknown') throw notFound()
  if (host.kind === 'tenant') sources.push({ source: 'host', value: host.slug, name: { slug: host.slug } })
  if (host.kind === 'custom') sources.push({ source: 'host', value: host.hostname, name: { hostname: host.hostname } })
  for (const name of tenantHeaders()) addSource(sources, 'header', request.headers.get(name))
  addSource(sources, 'path', request.headers.get(PATH_TENANT_HEADER))
  if (TENANT_PARAMETER_ROUTING && request.url.includes('tenant=')) {
    addSource(sources, 'query', new URL(request.url).searchParams.get('tenant'))
  }
  if (caller?.kind === 'user') addSource(sources, 'jwt', caller.tenant)
  if (caller?.kind === 'api_key')
    sources.push({ source: 'api_key', value: caller.key.tenant_id, name: { id: caller.key.tenant_id } })
  return sources
}

function find(name: TenantName): TenantRouting | null | Promise<TenantRouting | null> {
  const known = peekTenantRouting(name)
  return known === undefined ? findTenantRouting(name) : known
}

/** The answer to a request that names two tenants, whether or not they are there. */
export function tenantMismatch(): AppError {
  return new AppError('tenant_mismatch', 'The request names different tenants; send one.')
}

/** Whether sources use more than one name. Only who belongs to a tenant may learn that two names are both its own. */
export function haveDifferentNames(sources: readonly TenantSource[]): boolean {
  return new Set(sources.map(({ name }) => JSON.stringify(name))).size > 1
}

/** The tenant of requests that name none; null where there is no such tenant. */
export async function findDefaultTenant(): Promise<TenantRouting | null> {
  const slug = env().DEFAULT_TENANT_SLUG
  return slug ? findTenantRouting({ slug }) : null
}

/**
 * The one tenant a request is about. Without any source it is the default tenant, where one is configured.
 * @throws AppError tenant_mismatch when two sources disagree (whether or not the other tenant exists, so that nothing
 * is learned), not_found when the only one named is not there, bad_request when none is named.
 */
export async function chooseTenant(sources: readonly TenantSource[]): Promise<TenantRouting> {
  if (sources.length === 0) {
    const routing = await findDefaultTenant()
    if (routing) return routing
    throw new AppError(
      'bad_request',
      'Name a tenant: by its host name, X-Tenant-ID, /api/v1/tenants/{id}/… or an API key.',
    )
  }
  let chosen: { identity: string; routing: TenantRouting | null } | undefined
  for (const { name } of sources) {
    const found = find(name)
    const routing = found instanceof Promise ? await found : found
    // What is not there agrees with itself alone, so that a name answers alike whether it is foreign or nobody's.
    const identity = routing?.id ?? JSON.stringify(name)
    chosen ??= { identity, routing }
    if (chosen.identity !== identity) throw tenantMismatch()
  }
  if (!chosen?.routing) throw notFound()
  return chosen.routing
}
