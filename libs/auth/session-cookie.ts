import { combineChunks, parseCookieHeader, stringFromBase64URL } from '@supabase/ssr'

/**
 * Name of the session cookie. Over https it carries the `__Host-` prefix (host-only, Secure, path /), which browsers
 * accept over https alone; development over http uses the bare name.
 */
export function sessionCookieName(secure: boolean): string {
  return secure ? '__Host-hf-session' : 'hf-session'
}

/** Attributes of the session cookie: host-only, out of reach of scripts, not sent on cross-site requests. */
export function sessionCookieOptions(secure: boolean) {
  return { name: sessionCookieName(secure), path: '/', httpOnly: true, sameSite: 'lax' as const, secure }
}

/** Whether a request came over https, as the nearest trusted party says. */
export function isSecureRequest(request: { url: string; headers: Headers }): boolean {
  const forwarded = request.headers.get('x-forwarded-proto')
  return forwarded ? forwarded.split(',')[0]?.trim() === 'https' : request.url.startsWith('https:')
}

/** The access token in the session cookie, not verified; null when there is none or it cannot be read. */
export async function readSessionToken(request: { url: string; headers: Headers }): Promise<string | null> {
  const header = request.headers.get('cookie')
  if (!header) return null
  const cookies = parseCookieHeader(header)
  const name = sessionCookieName(isSecureRequest(request))
  const value = await combineChunks(name, (chunk) => cookies.find((cookie) => cookie.name === chunk)?.value ?? null)
  if (!value) return null
  try {
    const text = value.startsWith('base64-') ? stringFromBase64URL(value.slice(7)) : value
    const session: unknown = JSON.parse(text)
    const token =
      typeof session === 'object' && session !== null && 'access_token' in session ? session.access_token : null
    return typeof token === 'string' ? token : null
  } catch {
    return null
  }
}
