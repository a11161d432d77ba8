import { createRemoteJWKSet, decodeProtectedHeader, type JWTPayload, jwtVerify } from 'jose'
import { env } from '@/libs/env'
import { AppError } from '@/libs/errors'
import { isUuid } from '@/libs/ids'

/** Who an access token speaks for. */
export type TokenUser = {
  id: string
  email: string
  /** Tenant the token is bound to, by id or slug, where the auth server adds such a claim. */
  tenant: string | null
  /** The session that the token was given out for, where the auth server names it. */
  session_id: string | null
  /** When it was issued, in seconds since 1970. */
  issued_at: number
}

/** Three parts of base64url without padding: what is decoded leniently would have many spellings. */
const COMPACT = /^[\w-]+\.[\w-]+\.[\w-]+$/

/** What every token of a signed-in user says; one that never ends, or has no beginning, is none of them. */
const ASKED = { audience: 'authenticated', requiredClaims: ['exp', 'iat', 'sub'] }

/** As long as a browser keeps the cookie of a session, in seconds. */
const COOKIE_LASTS_S = 34_560_000

let remoteKeys: ReturnType<typeof createRemoteJWKSet> | undefined

function remote() {
  remoteKeys ??= createRemoteJWKSet(new URL('/auth/v1/.well-known/jwks.json', env().SUPABASE_URL))
  return remoteKeys
}

/**
 * The user of a valid access token of our auth server, or null. Verified here, without asking the server: with its
 * shared secret (HS256) where one is configured, else with its published keys. `runOut`: also of one that was valid once.
 * @throws AppError unavailable when the published keys cannot be read.
 */
export async function verifyAccessToken(token: string, { runOut = false } = {}): Promise<TokenUser | null> {
  if (!COMPACT.test(token)) return null
  const asked = { ...ASKED, clockTolerance: runOut ? COOKIE_LASTS_S : 0 }
  try {
    const secret = env().SUPABASE_JWT_SECRET
    const symmetric = decodeProtectedHeader(token).alg === 'HS256'
    if (symmetric && !secret) return null
    const { payload } = symmetric
      ? await jwtVerify(token, new TextEncoder().encode(secret), { algorithms: ['HS256'], ...asked })
      : await jwtVerify(token, remote(), { algorithms: ['ES256', 'RS256'], ...asked })
    return readUser(payload)
  } catch (error) {
    if (isUnreachable(error))
      throw new AppError('unavailable', 'Sign-in cannot be checked at the moment.', { retry_after: 2 }, error)
    return null
  }
}

function isUnreachable(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code } = error as Error & { code?: string }
  return (
    code === 'ERR_JWKS_TIMEOUT' ||
    code === 'ERR_JOSE_GENERIC' ||
    (error instanceof TypeError && /fetch/.test(error.message))
  )
}

function readSessionId(claim: unknown): string | null {
  return typeof claim === 'string' && claim.length > 0 && claim.length <= 255 ? claim : null
}

function readUser(payload: JWTPayload): TokenUser | null {
  // The auth server's own keys, for services and for visitors, are signed with the same secret and speak for nobody.
  if (!payload.sub || !isUuid(payload.sub) || (payload.role ?? 'authenticated') !== 'authenticated') return null
  const metadata = (typeof payload.app_metadata === 'object' && payload.app_metadata) || {}
  const claims: Record<string, unknown> = { ...metadata, ...payload }
  const tenant = [claims.tenant_id, claims.tenantId, claims.tenant_slug, claims.tenantSlug].find(
    (value) => typeof value === 'string',
  )
  return {
    id: payload.sub.toLowerCase(),
    email: typeof payload.email === 'string' ? payload.email : '',
    tenant: typeof tenant === 'string' ? tenant : null,
    session_id: readSessionId(payload.session_id),
    issued_at: payload.iat ?? 0,
  }
}
