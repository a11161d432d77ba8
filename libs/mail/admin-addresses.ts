import { tenantQuery } from '@/libs/db/tenant-db'
import { currentContext } from '@/libs/tenancy/tenant-context'

/** Addresses of the owners and admins of the current tenant, each once. */
export async function listAdminAddresses(): Promise<string[]> {
  const rows = await tenantQuery<{ email: string }>(
    `select distinct email from memberships where tenant_id = $1 and role in ('owner', 'admin') order by email`,
    [currentContext().tenantId],
  )
  return rows.map(({ email }) => email)
}
