import { disabledKey, unauthenticated } from '@/libs/errors'
import { type ApiKey, findApiKey } from './api-key'
import { readSessionToken } from './session-cookie'
import { findTokenUser } from './sessions'

/** Who is calling, as proved by what they sent. */
export type Caller =
  | {
      kind: 'user'
      user: { id: string; email: string }
      tenant: string | null
      by: 'cookie' | 'bearer'
      /** The tenant on whose portal the session was opened: it is good for nothing beyond. Null for all others. */
      portal_of: string | null
    }
  | { kind: 'api_key'; key: ApiKey }

const BEARER = /^Bearer ([\x21-\x7e]{1,8192})$/i

/** The bearer credential of a request (`Authorization: Bearer` or `X-API-Key`), or null. @throws AppError when malformed, or when both are there and differ. */
function readBearer(headers: Headers): string | null {
  const authorization = headers.get('authorization')
  const key = headers.get('x-api-key')
  if (authorization === null) return key
  const token = BEARER.exec(authorization)?.[1]
  if (!token || (key !== null && key !== token)) throw unauthenticated()
  return token
}

/**
 * Who sent a request, or null when it carries no credential at all.
 * A credential that is there and wrong is refused, never ignored. @throws AppError unauthenticated; key_disabled to whoever
 * holds a key that is right.
 */
export async function readCaller(request: Request, { cached }: { cached: boolean }): Promise<Caller | null> {
  const bearer = readBearer(request.headers)
  if (bearer?.startsWith('hf_')) {
    const key = await findApiKey(bearer, { cached })
    if (!key) throw unauthenticated()
    if (key.disabled_at !== null) throw disabledKey()
    return { kind: 'api_key', key }
  }
  const token = bearer ?? (await readSessionToken(request))
  if (!token) return null
  const user = await findTokenUser(token, request.headers.get('host'))
  if (!user) {
    // A session that has run out is like none: the caller signs in again. A bad bearer token is an error of the client.
    if (bearer) throw unauthenticated()
    return null
  }
  return {
    kind: 'user',
    user: { id: user.id, email: user.email },
    tenant: user.tenant,
    portal_of: user.portal_of,
    by: bearer ? 'bearer' : 'cookie',
  }
}
