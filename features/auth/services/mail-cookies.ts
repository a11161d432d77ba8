import { parseCookieHeader, serializeCookieHeader } from '@supabase/ssr'
import { isSecureRequest } from '@/libs/auth/session-cookie'

/**
 * What a browser keeps while somebody has to do with our mail, and for how many seconds.
 * `recovery`: the token of a recovery link, taken out of the address. It is used up only with the new password: a mail scanner that
 * opens the link spoils nothing, and nobody is signed in yet.
 * `next`: where somebody wanted to go, as long as the link of a confirmation mail is good. Not to be trusted more than any other target.
 */
const LASTS_S = { recovery: 900, next: 3_600 } as const

type Kind = keyof typeof LASTS_S

function nameOf(kind: Kind, secure: boolean): string {
  return `${secure ? '__Host-' : ''}hf-${kind}`
}

/** The Set-Cookie that keeps a value; null takes it away. */
export function setMailCookie(request: Request, kind: Kind, value: string | null): string {
  const secure = isSecureRequest(request)
  return serializeCookieHeader(nameOf(kind, secure), encodeURIComponent(value ?? ''), {
    path: '/',
    httpOnly: true,
    sameSite: 'lax',
    secure,
    maxAge: value === null ? 0 : LASTS_S[kind],
  })
}

/** What this browser keeps, or null. */
export function readMailCookie(request: Pick<Request, 'url' | 'headers'>, kind: Kind): string | null {
  const name = nameOf(kind, isSecureRequest(request))
  const cookie = parseCookieHeader(request.headers.get('cookie') ?? '').find((one) => one.name === name)
  try {
    return decodeURIComponent(cookie?.value ?? '') || null
  } catch {
    return null
  }
}
