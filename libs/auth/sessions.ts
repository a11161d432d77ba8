import { serverQuery } from '@/libs/db/server-query'
import { findHostTenant } from '@/libs/tenancy/find-host-tenant'
import { type TokenUser, verifyAccessToken } from './access-token'

/** A session as its tokens name it. */
type Session = Pick<TokenUser, 'id' | 'session_id'>

/** A user, and the tenant on whose portal alone the session is good; null for one that was opened elsewhere. */
export type SessionUser = TokenUser & { portal_of: string | null }

/**
 * The user of a valid access token that is good on a host, or null: its session has not been ended, and one that was opened on
 * the portal of a tenant is used on no other host than that tenant's. A token is valid by itself until it runs out, so that the
 * database is asked. @throws AppError unavailable.
 */
export async function findTokenUser(token: string, host: string | null): Promise<SessionUser | null> {
  const session = await findSession(await verifyAccessToken(token))
  if (!session) return null
  const { portal_of } = session
  return portal_of !== null && (await findHostTenant(host))?.id !== portal_of ? null : session
}

/**
 * The user of an access token whose session can be ended: a page that was open for hours signs out with a token that has run out, and
 * others may hold newer ones of the same session. Null where it has ended already. @throws AppError unavailable.
 */
export async function findUserToSignOut(token: string): Promise<TokenUser | null> {
  return findSession(await verifyAccessToken(token, { runOut: true }))
}

async function findSession(user: TokenUser | null): Promise<SessionUser | null> {
  if (!user) return null
  const [session] = await serverQuery<{ ended: boolean; portal_of: string | null }>(
    'select ended, portal_of from app.read_session($1, $2, $3)',
    [user.id, user.session_id, Math.floor(user.issued_at)],
  )
  return !session || session.ended ? null : { ...user, portal_of: session.portal_of }
}

/** Notes that a session has just been opened on the portal of a tenant. */
export async function openPortalSession({ id, session_id }: Session, tenantId: string): Promise<void> {
  if (session_id !== null) await serverQuery('select app.open_portal_session($1, $2, $3)', [id, session_id, tenantId])
}

/** From now on no token of a session is believed. */
export async function endSession({ id, session_id }: Session): Promise<void> {
  if (session_id !== null) await end(id, session_id, false)
}

/** From now on no token that a user has got so far is believed, but those of the session given. */
export async function endOtherSessions({ id, session_id }: Session): Promise<void> {
  await end(id, session_id ?? 'none', true)
}

async function end(userId: string, sessionId: string, allOthers: boolean): Promise<void> {
  await serverQuery('select app.end_sessions($1, $2, $3)', [userId, sessionId, allOthers])
}
