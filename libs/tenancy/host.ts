/**
 * What a Host header means. Pure and edge-safe: the middleware, the wrapper and the ingest process all ask here,
 * so that there is one canonicaliser.
 */
export type HostKind =
  /** The platform's own address without a tenant: the root domain itself, or an IP address. */
  | { kind: 'root' }
  /** `app.<root>`: landing, dashboard, operator console. */
  | { kind: 'app' }
  /** `<slug>.<root>`: a tenant's portal. */
  | { kind: 'tenant'; slug: string }
  /** Any other name: a custom domain, if some tenant has proved that it is theirs. */
  | { kind: 'custom'; hostname: string }
  /** Not a host name at all, or one below the root that can be nobody's. */
  | { kind: 'unknown' }

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
const IPV4 = /^\d{1,3}(?:\.\d{1,3}){3}$/

/**
 * Canonical form of a Host header: lower case, without port and trailing dot, internationalised names as punycode.
 * Null when it is not a host name (user info, path, spaces, empty labels, over 253 characters).
 */
export function canonicalHost(header: string | null | undefined): string | null {
  if (!header || header.length > 300 || /[\s/\\@?#%]/.test(header)) return null
  const bracket = /^\[([0-9a-f:.]+)\](?::\d{1,5})?$/i.exec(header)
  if (bracket) return `[${(bracket[1] ?? '').toLowerCase()}]`
  const named = /^([^:]+?)\.?(?::(\d{1,5}))?$/.exec(header)
  if (!named?.[1] || Number(named[2] ?? 0) > 65_535) return null
  let name = named[1].toLowerCase()
  if (/[^a-z0-9.-]/.test(name)) {
    try {
      name = new URL(`http://${name}`).hostname
    } catch {
      return null
    }
  }
  if (name.length > 253) return null
  if (IPV4.test(name)) return name
  return name.split('.').every((label) => LABEL.test(label)) ? name : null
}

/** Who a canonical or raw Host header speaks to, below a root domain such as `localhost:3000` or `holdfast.example`. */
export function readHost(header: string | null | undefined, rootDomain: string, subdomains = true): HostKind {
  const host = canonicalHost(header)
  const root = canonicalHost(rootDomain)
  if (!host || !root) return { kind: 'unknown' }
  if (host === root || host === `www.${root}` || IPV4.test(host) || host.startsWith('[')) return { kind: 'root' }
  if (host === `app.${root}`) return { kind: 'app' }
  if (!host.endsWith(`.${root}`)) return host.includes('.') ? { kind: 'custom', hostname: host } : { kind: 'unknown' }
  let label = host.slice(0, -root.length - 1)
  if (label.startsWith('www.')) label = label.slice(4)
  if (!subdomains || label.includes('.')) return { kind: 'unknown' }
  return { kind: 'tenant', slug: label }
}

const TENANT_PATH = /^\/api\/v1\/tenants\/([^/]+)\/(.+)$/
/** Sub-resources of a tenant that operators and owners reach under /tenants/{id} itself. */
const OWN_ACTIONS = new Set(['activate', 'suspend', 'restore', 'migrate'])

/** `/api/v1/tenants/{tenant}/{rest}` as the tenant it names and the path it means; null for every other path. */
export function readTenantPath(pathname: string): { tenant: string; pathname: string } | null {
  const match = TENANT_PATH.exec(pathname)
  if (!match?.[1] || !match[2]) return null
  if (OWN_ACTIONS.has(match[2])) return null
  const tenant = readTenantSegment(match[1])
  if (match[2] === 'info') return { tenant, pathname: '/api/v1/tenant/info' }
  // A tenant has no tenants below it: such a path would address one and act on another.
  return { tenant, pathname: /^tenants(?:\/|$)/.test(match[2]) ? '/api/v1/-' : `/api/v1/${match[2]}` }
}

/** What names a tenant in a path, in lower case; `-`, which is nobody's name, for what cannot be one. */
function readTenantSegment(segment: string): string {
  return /^[a-z0-9-]{1,63}$/i.test(segment) ? segment.toLowerCase() : '-'
}

/** The header in which the middleware hands the tenant of the path to the wrapper. Dropped from what comes in. */
export const PATH_TENANT_HEADER = 'x-internal-tenant-path'

/** The header in which the middleware tells a page the path and query that were asked for, before any rewrite. */
export const ASKED_PATH_HEADER = 'x-internal-path'

/** Whether an incoming header is one of ours and must not come from outside. */
export function isInternalHeader(name: string, publicNames: readonly string[]): boolean {
  const lower = name.toLowerCase()
  if (publicNames.includes(lower)) return false
  return (
    lower.startsWith('x-tenant') ||
    lower.startsWith('x-internal') ||
    lower.startsWith('x-middleware') ||
    lower === 'next-resume' ||
    lower === 'x-nonce'
  )
}
