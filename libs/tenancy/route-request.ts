import { type HostKind, readHost, readTenantPath } from './host'

/** What the middleware does with a request. Pure, so that it can be tested without a server. */
export type Route =
  | { action: 'pass'; page: boolean }
  | { action: 'rewrite'; page: boolean; pathname: string; tenant?: string }
  | { action: 'redirect'; host: string }
  | { action: 'not_found' }

/** What every host answers as it is. */
const EVERYWHERE = /^\/(?:healthz|readyz|icon\.svg)$/
/** What clients ask every host for by themselves, and no host has. */
const ASKED_FOR = /^\/(?:favicon\.ico|robots\.txt)$/
/** A first part that no slug has and no page of ours: a file that some client looks for, such as /sitemap.xml. */
const NO_PAGE = /^\/[^/]*\./
/** A page of the framework's own, for when nothing else can be shown; asked for by its name it would be a fault of ours. */
const LAST_RESORT = /^\/_global-error(?:$|[./])/
/** A portal path no tenant can have: pages of hosts that are nobody's end here, as 404. */
const NOBODY = '/portal/-'

function portalSegment(host: HostKind): string | null {
  if (host.kind === 'tenant') return host.slug
  return host.kind === 'custom' ? host.hostname : null
}

/**
 * Where a request goes by its host and path: portals are rewritten to `/portal/<slug or host name>/…`, which is reachable
 * in no other way; `/api/v1/tenants/{tenant}/{rest}` is rewritten to `/api/v1/{rest}` with the tenant named beside it;
 * pages of the bare root domain are redirected to `app.<root>`; hosts that can be nobody's get 404.
 */
export function routeRequest(
  request: { host: string | null; pathname: string },
  { rootDomain, subdomains }: { rootDomain: string; subdomains: boolean },
): Route {
  const { pathname } = request
  if (EVERYWHERE.test(pathname)) return { action: 'pass', page: false }
  if (pathname.startsWith('/_next/')) return { action: 'pass', page: true }
  if (ASKED_FOR.test(pathname)) return { action: 'rewrite', page: true, pathname: NOBODY }
  if (!isDecodable(pathname)) return { action: 'not_found' }
  const host = readHost(request.host, rootDomain, subdomains)
  const api = pathname.startsWith('/api/') || pathname.startsWith('/compat/')
  if (host.kind === 'unknown')
    return api ? { action: 'not_found' } : { action: 'rewrite', page: true, pathname: NOBODY }
  if (api) {
    const path = readTenantPath(pathname)
    if (!path) return { action: 'pass', page: false }
    return { action: 'rewrite', page: false, pathname: path.pathname, tenant: path.tenant }
  }
  if (host.kind === 'root') return { action: 'redirect', host: `app.${rootDomain}` }
  const segment = portalSegment(host)
  if (segment === null) {
    return /^\/portal(?:\/|$)/.test(pathname) || NO_PAGE.test(pathname) || LAST_RESORT.test(pathname)
      ? { action: 'rewrite', page: true, pathname: NOBODY }
      : { action: 'pass', page: true }
  }
  if (pathname === '/auth/confirm') return { action: 'pass', page: true }
  return { action: 'rewrite', page: true, pathname: `/portal/${segment}${pathname === '/' ? '' : pathname}` }
}

/** Whether a path can be read at all; `%E0%A4%A` cannot. */
export function isDecodable(pathname: string): boolean {
  try {
    return !decodeURIComponent(pathname).includes('\0')
  } catch {
    return false
  }
}
