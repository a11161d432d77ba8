import { combineChunks, parseCookieHeader, stringFromBase64URL } from '@supabase/ssr'

/**
 * Name of the session cookie. Over https it carries the `__Host-` prefix (host-only, Secure, path /), which browsers
 * accept over https alone; development over http uses the bare name.
 */
function sessionCookieName(secure: boolean): string {
  return secure ? '__Host-hf-session' : 'hf-session'
}

/** Whether a cookie holds the session, or a part of one that is too long for a single cookie. */
export function isSessionCookie(cookie: string, secure: boolean): boolean {
  const name = sessionCookieName(secure)
  return cookie === name || (cookie.startsWith(`${name}.`) && /^\d+$/.test(cookie.slice(name.length + 1)))
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

/** The cookies of a request. */
export function readCookies(headers: Headers): { name: string; value: string }[] {
  return parseCookieHeader(headers.get('cookie') ?? '').map(({ name, value }) => ({ name, value: value ?? '' }))
}

/** What is in the session cookie, not verified; null when there is none or it cannot be read. */
export async function readSession(request: {
  url: string
  headers: Headers
}): Promise<{ access_token?: unknown; refresh_token?: unknown; expires_at?: unknown } | null> {
  const name = sessionCookieName(isSecureRequest(request))
  if (!request.headers.get('cookie')?.includes(name)) return null
  const cookies = readCookies(request.headers)
  const value = await combineChunks(name, (chunk) => cookies.find((cookie) => cookie.name === chunk)?.value ?? null)
  if (!value) return null
  try {
    const session: unknown = JSON.parse(value.startsWith('base64-') ? stringFromBase64URL(value.slice(7)) : value)
    return typeof session === 'object' ? session : null
  } catch {
    return null
  }
}

/** The access token in the session cookie, not verified; null when there is none. */
export async function readSessionToken(request: { url: string; headers: Headers }): Promise<string | null> {
  const token = (await readSession(request))?.access_token
  return typeof token === 'string' ? token : null
}
