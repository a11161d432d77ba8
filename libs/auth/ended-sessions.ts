import { serverPool } from '@/libs/db/pools'
import { type TokenUser, verifyAccessToken } from './access-token'

/** A session as its tokens name it. */
type Session = Pick<TokenUser, 'id' | 'session_id'>

/**
 * The user of a valid access token whose session has not been ended, or null. A token is valid by itself until it runs out,
 * so that the database is asked. @throws AppError unavailable.
 */
export async function findTokenUser(token: string): Promise<TokenUser | null> {
  const user = await verifyAccessToken(token)
  if (!user) return null
  const { rows } = await serverPool().query<{ ended: boolean }>({
    name: 'is_session_ended',
    text: 'select app.is_session_ended($1, $2, $3) as ended',
    values: [user.id, user.session_id, Math.floor(user.issued_at)],
  })
  return rows[0]?.ended === false ? user : null
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
  await serverPool().query('select app.end_sessions($1, $2, $3)', [userId, sessionId, allOthers])
}
