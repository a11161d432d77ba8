import 'server-only'
import { headers } from 'next/headers'
import { notFound, redirect } from 'next/navigation'
import { cache } from 'react'
import { findAccess } from '@/libs/api-utils/find-access'
import { readFacts } from '@/libs/api-utils/request-facts'
import { serverQuery } from '@/libs/db/server-query'
import { orNull } from '@/libs/errors'
import { ASKED_PATH_HEADER } from '@/libs/tenancy/host'
import { findTenantRouting, type TenantRouting } from '@/libs/tenancy/resolve-tenant'
import type { Actor } from '@/libs/tenancy/tenant-context'
import type { MemberRole, Permission } from './permissions'
import { readSessionToken } from './session-cookie'
import { findTokenUser } from './sessions'
import { findOperatorRole, findStanding, type OperatorRole } from './standing'

export type PageUser = { id: string; email: string }
export type Branding = { display_name: string; primary_color: string; accent_color: string; support_url: string | null }

/** The signed-in user of a page request, or null. Read once per request. */
export const getPageUser = cache(async (): Promise<PageUser | null> => {
  const list = await headers()
  const token = await readSessionToken({ url: 'http://page', headers: list })
  const user = token ? await findTokenUser(token, list.get('host')) : null
  return user && { id: user.id, email: user.email }
})

/** The signed-in user; a visitor is sent to sign in and comes back to the page that was asked for. */
export async function requirePageUser(): Promise<PageUser> {
  const user = await getPageUser()
  if (user) return user
  const asked = (await headers()).get(ASKED_PATH_HEADER) ?? '/'
  redirect(asked === '/' ? '/sign-in' : `/sign-in?next=${encodeURIComponent(asked)}`)
}

/**
 * The tenant of a dashboard page and what the signed-in user may do in it. Whoever is not a member sees the same
 * "not found" as for a tenant that is not there; a visitor is sent to sign in.
 */
export const requirePageTenant = cache(
  async (
    slug: string,
  ): Promise<{
    tenant: TenantRouting
    user: PageUser
    role: MemberRole
    permissions: readonly Permission[]
    actor: Actor
  }> => {
    const user = await requirePageUser()
    const tenant = /^[a-z0-9-]{1,63}$/.test(slug) ? await findTenantRouting({ slug }) : null
    if (!tenant) notFound()
    const caller = { kind: 'user', user, tenant: null, by: 'cookie', portal_of: null } as const
    const access = await orNull(findAccess(caller, tenant, readFacts({ headers: await headers() }), false))
    if (!access || access.role === 'customer' || access.role === 'api_key') notFound()
    const { role, actor } = access
    return { tenant, user, role, permissions: actor.permissions as readonly Permission[], actor }
  },
)

/** The operator who asks for a page of the operator console; everybody else sees "not found". */
export const requirePageOperator = cache(async (): Promise<{ user: PageUser; role: OperatorRole }> => {
  const user = await requirePageUser()
  const role = await findOperatorRole(user.id)
  if (!role) notFound()
  return { user, role }
})

/** The tenant whose portal a host shows, with its brand. `segment` is a slug or a verified custom host name. */
export const findPortal = cache(async (segment: string): Promise<{ tenant: TenantRouting; branding: Branding }> => {
  const name = decodeURIComponent(segment)
  const tenant = await findTenantRouting(name.includes('.') ? { hostname: name } : { slug: name })
  if (!tenant) notFound()
  const [branding] = await serverQuery<Branding>(
    'select display_name, primary_color, accent_color, support_url from app.portal_branding($1)',
    [tenant.id],
  )
  if (!branding) notFound()
  return { tenant, branding }
})

/** The customer who asks for a page of a portal; a visitor is sent to sign in, a stranger to the tenant likewise. */
export async function requirePortalCustomer(
  segment: string,
): Promise<{ tenant: TenantRouting; branding: Branding; user: PageUser; customer_id: string }> {
  const { tenant, branding } = await findPortal(segment)
  const user = await requirePageUser()
  const { customer_id } = await findStanding(user.id, tenant.id)
  if (!customer_id) redirect('/sign-in?reason=not-a-customer')
  return { tenant, branding, user, customer_id }
}
