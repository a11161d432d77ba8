import { TenantAnalytics } from '@/libs/analytics/tenant-analytics'
import { findAccess } from '@/libs/api-utils/find-access'
import { type RequestFacts, traceOf } from '@/libs/api-utils/request-facts'
import { AuditLogger } from '@/libs/audit/audit-logger'
import { listUserTenants } from '@/libs/auth/standing'
import { serverQuery } from '@/libs/db/server-query'
import { AppError, describeError } from '@/libs/errors'
import { log } from '@/libs/log'
import type { TenantRouting } from '@/libs/tenancy/resolve-tenant'
import { type Actor, runInTenant } from '@/libs/tenancy/tenant-context'

type AuthUser = { id: string; email: string }

const MOST_TENANTS = 5

const WRITERS = {
  signed_in: async (userId: string, metadata: Record<string, unknown>) => {
    await AuditLogger.logSignIn(userId, metadata)
    return TenantAnalytics.trackEvent(userId, 'signed_in', metadata)
  },
  signed_out: AuditLogger.logSignOut,
  password_changed: (userId: string, metadata: Record<string, unknown>) =>
    AuditLogger.log({ action: 'user.password_changed', target_type: 'user', target_id: userId, metadata }),
} as const

export type AuthAct = keyof typeof WRITERS

/**
 * Notes an act of a signed-in user in the audit log, and a sign-in in the analytics, of whom it concerns: on a portal that
 * tenant, if the user is somebody there; elsewhere each tenant the user is a member of, at most five. Never fails the act.
 */
export async function recordAuthAct(
  act: AuthAct,
  user: AuthUser,
  portal: TenantRouting | null,
  facts: RequestFacts,
): Promise<void> {
  try {
    if (portal) {
      const { actor } = await findAccess(
        { kind: 'user', user, tenant: null, by: 'cookie', portal_of: portal.id },
        portal,
        facts,
        true,
      )
      await runInTenant(portal, actor, () => WRITERS[act](user.id, { place: 'portal' }))
      return
    }
    const tenants = (await listUserTenants(user.id)).filter(({ status }) => status !== 'suspended')
    const actor: Actor = { id: user.id, kind: 'user', permissions: [], label: user.email, ...traceOf(facts) }
    for (const tenant of tenants.slice(0, MOST_TENANTS))
      await runInTenant(tenant.id, actor, () => WRITERS[act](user.id, { place: 'dashboard' }))
  } catch (error) {
    // A stranger to the portal is no business of that tenant.
    if (error instanceof AppError && error.code === 'not_found') return
    log.warn({ error: describeError(error), act }, 'sign-in not recorded')
  }
}

/**
 * Notes a refused sign-in: on a portal in that tenant's audit log, elsewhere in those of the tenants that know a member
 * by this address. Never fails, and never tells the caller which it was.
 */
export async function recordSignInFailure(
  email: string,
  portal: TenantRouting | null,
  facts: RequestFacts,
): Promise<void> {
  try {
    const tenants = portal ? [portal.id] : await listTenantsOfEmail(email)
    const actor: Actor = { id: 'visitor', kind: 'system', permissions: [], label: email, ...traceOf(facts) }
    for (const id of tenants)
      await runInTenant(id, actor, () =>
        AuditLogger.logSignInFailed(null, 'invalid_credentials', { place: portal ? 'portal' : 'dashboard' }),
      )
  } catch (error) {
    log.warn({ error: describeError(error) }, 'refused sign-in not recorded')
  }
}

async function listTenantsOfEmail(email: string): Promise<string[]> {
  const rows = await serverQuery<{ tenant_id: string }>('select tenant_id from app.list_email_tenants($1)', [email])
  return rows.map((row) => row.tenant_id)
}
