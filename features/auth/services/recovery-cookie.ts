import { parseCookieHeader, serializeCookieHeader } from '@supabase/ssr'
import { isSecureRequest } from '@/libs/auth/session-cookie'

const LASTS_S = 900

function nameOf(secure: boolean): string {
  return secure ? '__Host-hf-recovery' : 'hf-recovery'
}

/**
 * The Set-Cookie that takes a recovery token out of the address of the mailed link, for a quarter of an hour. The token
 * is used up only with the new password: a mail scanner that opens the link spoils nothing, and nobody is signed in yet.
 */
export function setRecoveryCookie(request: Request, tokenHash: string | null): string {
  const secure = isSecureRequest(request)
  return serializeCookieHeader(nameOf(secure), tokenHash ?? '', {
    path: '/',
    httpOnly: true,
    sameSite: 'lax',
    secure,
    maxAge: tokenHash === null ? 0 : LASTS_S,
  })
}

/** The recovery token that this browser holds, or null. */
export function readRecoveryCookie(request: Pick<Request, 'url' | 'headers'>): string | null {
  const name = nameOf(isSecureRequest(request))
  const cookie = parseCookieHeader(request.headers.get('cookie') ?? '').find((one) => one.name === name)
  return cookie?.value || null
}
