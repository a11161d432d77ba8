import { routeTenant } from './resolve-tenant'
import { currentContext } from './tenant-context'

/** The time zone of the current tenant, by which its days and months begin. @throws AppError not_found. */
export async function readTimeZone(): Promise<string> {
  return (await routeTenant(currentContext().tenantId)).time_zone
}
