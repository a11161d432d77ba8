import { suspendedTenant } from '@/libs/errors'
import { routeTenant } from './resolve-tenant'
import { currentContext } from './tenant-context'

/**
 * For answers that are given from memory, where no app.begin_tenant looks at the state of the tenant: the current tenant
 * is there and not suspended. @throws AppError not_found, tenant_suspended.
 */
export async function requireAwakeTenant(): Promise<void> {
  const { status } = await routeTenant(currentContext().tenantId)
  if (status === 'suspended') throw suspendedTenant()
}
