import { parseCookieHeader, serializeCookieHeader } from '@supabase/ssr'
import { isSecureRequest } from '@/libs/auth/session-cookie'

/** As long as the link of a confirmation mail is good. */
const LASTS_S = 3_600

function nameOf(secure: boolean): string {
  return secure ? '__Host-hf-next' : 'hf-next'
}

/** The Set-Cookie that keeps where somebody wanted to go while they look into their mail; null takes it away. */
export function setNextCookie(request: Request, next: string | null): string {
  const secure = isSecureRequest(request)
  return serializeCookieHeader(nameOf(secure), encodeURIComponent(next ?? ''), {
    path: '/',
    httpOnly: true,
    sameSite: 'lax',
    secure,
    maxAge: next === null ? 0 : LASTS_S,
  })
}

/** Where this browser wanted to go before its mail was read, or undefined. Not to be trusted more than any other target. */
export function readNextCookie(request: Request): string | undefined {
  const name = nameOf(isSecureRequest(request))
  const cookie = parseCookieHeader(request.headers.get('cookie') ?? '').find((one) => one.name === name)
  try {
    return decodeURIComponent(cookie?.value ?? '') || undefined
  } catch {
    return undefined
  }
}
