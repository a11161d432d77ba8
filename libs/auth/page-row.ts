import 'server-only'
import { notFound } from 'next/navigation'
import { toAppError } from '@/libs/api-utils/problem'
import { runInTenant } from '@/libs/tenancy/tenant-context'
import { requirePageTenant } from './page-access'
import type { Permission } from './permissions'

const NOTHING_THERE = ['not_found', 'bad_request', 'invalid_input']

/**
 * The row a page of a tenant is about, read before anything of the page is sent, so that the page of a row that is not there
 * is answered with 404. Null when the visitor's role may not see such rows, or the tenant is suspended: the page says so.
 */
export async function readPageRow<Row>(
  slug: string,
  permission: Permission,
  read: () => Promise<Row>,
): Promise<Row | null> {
  const { tenant, actor, permissions } = await requirePageTenant(slug)
  if (!permissions.includes(permission) || tenant.status === 'suspended') return null
  return runInTenant(tenant, actor, read).catch(orNotFound)
}

/** What an error in reading a row means for its page: that there is no such page, or the error itself. */
export function orNotFound(error: unknown): never {
  if (NOTHING_THERE.includes(toAppError(error).code)) notFound()
  throw error
}
