import { serverQuery } from '@/libs/db/server-query'
import { env } from '@/libs/env'
import { publicOrigin, rootScheme } from './public-origin'

/**
 * Where the customers of a tenant reach its portal: below the root domain or, where TENANT_SUBDOMAIN_ENABLED is off, at the verified
 * domain of its own that it has had for longest; null when it has none. From the registry and never from a request. Inside of a
 * transaction `query` is tenantQuery, so that the connection at hand is asked.
 */
export async function findPortalOrigin(
  { id, slug }: { id: string; slug: string },
  query: typeof serverQuery<{ host: string | null }> = serverQuery,
): Promise<string | null> {
  const { ROOT_DOMAIN, TENANT_SUBDOMAIN_ENABLED } = env()
  if (TENANT_SUBDOMAIN_ENABLED) return publicOrigin(slug)
  const [row] = await query('select app.portal_host($1) as host', [id])
  return row?.host ? `${rootScheme()}://${row.host}${/:\d+$/.exec(ROOT_DOMAIN)?.[0] ?? ''}` : null
}
