import type { Caller } from '@/libs/auth/credentials'
import { findStanding } from '@/libs/auth/standing'
import { findTenantRouting, type TenantRouting } from '@/libs/tenancy/resolve-tenant'
import { readTenantSources, type SourceKind } from '@/libs/tenancy/tenant-sources'

export type Explanation = {
  sources: { source: SourceKind; value: string; resolved: boolean; won: boolean }[]
  tenant: { id: string; slug: string; name: string } | null
  code: 'not_found' | 'tenant_mismatch' | 'bad_request' | null
}

async function isVisible(caller: Caller, tenant: TenantRouting): Promise<boolean> {
  if (caller.kind === 'api_key') return caller.key.tenant_id === tenant.id
  const { role, customer_id, operator_role } = await findStanding(caller.user.id, tenant.id)
  return Boolean(role ?? customer_id ?? operator_role)
}

/**
 * Every place of a request that names a tenant, which one won, and what the request would get. A tenant the caller does
 * not belong to looks like one that is not there.
 */
export async function explainTenant(request: Request, caller: Caller): Promise<Explanation> {
  const named = await Promise.all(
    readTenantSources(request, caller).map(async ({ source, value, name }) => {
      const tenant = await findTenantRouting(name)
      return { source, value, tenant: tenant && (await isVisible(caller, tenant)) ? tenant : null }
    }),
  )
  const first = named[0]
  const agreed = first !== undefined && named.every(({ tenant }) => tenant !== null && tenant.id === first.tenant?.id)
  const winner = agreed ? first.tenant : null
  const lost = named.length === 0 ? 'bad_request' : named.length === 1 ? 'not_found' : 'tenant_mismatch'
  return {
    sources: named.map(({ source, value, tenant }, index) => ({
      source,
      value,
      resolved: tenant !== null,
      won: winner !== null && index === 0,
    })),
    tenant: winner && { id: winner.id, slug: winner.slug, name: winner.name },
    code: winner ? null : lost,
  }
}
