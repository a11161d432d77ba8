import { isSecureRequest } from '@/libs/auth/session-cookie'
import { env } from '@/libs/env'
import { AppError, notFound } from '@/libs/errors'
import { readHost } from '@/libs/tenancy/host'
import { findTenantRouting, type TenantRouting } from '@/libs/tenancy/resolve-tenant'

/** Where somebody signs in: on the platform's own host, or on the portal of a tenant. */
export type AuthHost = {
  /** The tenant whose portal it is; null on the platform's host. */
  tenant: TenantRouting | null
  /** Scheme, name and port of this place as the registry knows it; links in mails start with it. */
  origin: string
}

/** The place a request came to. @throws AppError not_found for a host that is nobody's, tenant_suspended for a closed portal unless `orClosed`. */
export async function requireAuthHost(
  request: { url: string; headers: Headers },
  { orClosed = false } = {},
): Promise<AuthHost> {
  const { ROOT_DOMAIN, TENANT_SUBDOMAIN_ENABLED } = env()
  const scheme = isSecureRequest(request) ? 'https' : 'http'
  const host = readHost(request.headers.get('host'), ROOT_DOMAIN, TENANT_SUBDOMAIN_ENABLED)
  if (host.kind === 'app' || host.kind === 'root') return { tenant: null, origin: `${scheme}://app.${ROOT_DOMAIN}` }
  if (host.kind === 'unknown') throw notFound()
  const tenant = await findTenantRouting(host.kind === 'tenant' ? { slug: host.slug } : { hostname: host.hostname })
  if (!tenant) throw notFound()
  if (tenant.status === 'suspended' && !orClosed)
    throw new AppError('tenant_suspended', 'This portal is closed at the moment.')
  if (host.kind === 'tenant') return { tenant, origin: `${scheme}://${tenant.slug}.${ROOT_DOMAIN}` }
  const port = /:\d+$/.exec(ROOT_DOMAIN)?.[0] ?? ''
  return { tenant, origin: `${scheme}://${host.hostname}${port}` }
}
