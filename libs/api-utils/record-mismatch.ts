import { recordDenial } from '@/libs/audit/record-denial'
import type { Caller } from '@/libs/auth/credentials'
import { orNull } from '@/libs/errors'
import { findTenantRouting } from '@/libs/tenancy/resolve-tenant'
import type { TenantSource } from '@/libs/tenancy/tenant-sources'
import { findAccess } from './find-access'
import type { RequestFacts } from './request-facts'

/**
 * Notes a request that names two tenants in the audit log of those where its caller is somebody: a key's own tenant, or
 * the tenants a user belongs to. The others learn nothing, and nothing is learned of them.
 */
export async function recordMismatch(
  request: Request,
  sources: readonly TenantSource[],
  caller: Caller,
  facts: RequestFacts,
): Promise<void> {
  const named = sources.filter(({ source }) => source !== 'api_key').map(({ source, value }) => ({ source, value }))
  const metadata = { method: request.method, path: new URL(request.url).pathname, sources: named }
  const noted = new Set<string>()
  for (const { source, name } of sources) {
    if (caller.kind === 'api_key' && source !== 'api_key') continue
    const tenant = await findTenantRouting(name)
    if (!tenant || noted.has(tenant.id)) continue
    noted.add(tenant.id)
    const access = await orNull(findAccess(caller, tenant, facts, source === 'host'))
    if (access) await recordDenial(tenant, access.actor, 'access.mismatch', metadata)
  }
}
