import type { Caller } from '@/libs/auth/credentials'
import { findStanding } from '@/libs/auth/standing'
import { findTenantRouting, type TenantRouting } from '@/libs/tenancy/resolve-tenant'
import { findDefaultTenant, readTenantSources, type SourceKind } from '@/libs/tenancy/tenant-sources'

export type Explanation = {
  sources: { source: SourceKind; value: string; resolved: boolean; won: boolean }[]
  tenant: { id: string; slug: string; name: string } | null
  code: 'not_found' | 'tenant_mismatch' | 'tenant_suspended' | 'bad_request' | null
}

/** A tenant, where there is one and the caller may know of it. */
async function findVisible(caller: Caller, tenant: TenantRouting | null): Promise<TenantRouting | null> {
  if (!tenant) return null
  if (caller.kind === 'api_key') return caller.key.tenant_id === tenant.id ? tenant : null
  const { role, customer_id, operator_role } = await findStanding(caller.user.id, tenant.id)
  return (role ?? customer_id ?? operator_role) ? tenant : null
}

/**
 * Every place of a request that names a tenant, which one won, and what the request would get. A tenant the caller does
 * not belong to looks like one that is not there.
 */
export async function explainTenant(request: Request, caller: Caller): Promise<Explanation> {
  const named = await Promise.all(
    readTenantSources(request, caller).map(async ({ source, value, name }) => {
      const tenant = await findVisible(caller, await findTenantRouting(name))
      return { source, value, tenant, identity: tenant?.id ?? JSON.stringify(name) }
    }),
  )
  const agreed = new Set(named.map(({ identity }) => identity)).size === 1
  const tenant = agreed ? (named[0]?.tenant ?? null) : null
  const fallback = named.length === 0 ? await findDefaultTenant() : null
  const winner = fallback ? await findVisible(caller, fallback) : tenant
  const unnamed = named.length === 0 && !fallback
  const lost = unnamed ? 'bad_request' : agreed || fallback ? 'not_found' : 'tenant_mismatch'
  return {
    sources: named.map(({ source, value, tenant }, index) => ({
      source,
      value,
      resolved: tenant !== null,
      won: winner !== null && index === 0,
    })),
    tenant: winner && { id: winner.id, slug: winner.slug, name: winner.name },
    code: winner ? (winner.status === 'suspended' ? 'tenant_suspended' : null) : lost,
  }
}
