import { env } from '@/libs/env'
import { readHost } from './host'
import { findTenantRouting, type TenantRouting } from './resolve-tenant'

/** The tenant whose portal a Host header names, by slug or verified domain; null for the platform's own hosts and for nobody's. */
export async function findHostTenant(header: string | null): Promise<TenantRouting | null> {
  const { ROOT_DOMAIN, TENANT_SUBDOMAIN_ENABLED } = env()
  const host = readHost(header, ROOT_DOMAIN, TENANT_SUBDOMAIN_ENABLED)
  if (host.kind === 'tenant') return findTenantRouting({ slug: host.slug })
  return host.kind === 'custom' ? findTenantRouting({ hostname: host.hostname }) : null
}
