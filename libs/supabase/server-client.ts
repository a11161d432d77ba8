import { type CookieOptions, createServerClient, serializeCookieHeader } from '@supabase/ssr'
import type { SupabaseClient } from '@supabase/supabase-js'
import { isSecureRequest, isSessionCookie, readCookies, sessionCookieOptions } from '@/libs/auth/session-cookie'
import { env } from '@/libs/env'
import { AppError } from '@/libs/errors'

const ANSWER_WITHIN_MS = 10_000

/** A client of the auth server for one request, and the way its session gets into the answer. */
export type AuthClient = {
  supabase: SupabaseClient
  /** Puts the cookies and cache headers that the client has asked for onto an answer. */
  respond: (response: Response) => Response
  /** Takes the session out of the browser, whether or not the auth server could be reached. */
  clear: () => void
}

/** The auth server's address and public key. @throws AppError unavailable when no key is configured. */
export function authServer(): { url: string; key: string } {
  const { SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY } = env()
  if (!SUPABASE_PUBLISHABLE_KEY) throw new AppError('unavailable', 'No auth server is configured.')
  return { url: SUPABASE_URL, key: SUPABASE_PUBLISHABLE_KEY }
}

/**
 * A client of the auth server that reads its session from a request and keeps what changes for the response.
 * One per request: it holds that visitor's session. Cookies are host-only, so each host has a session of its own.
 */
export function createAuthClient(request: { url: string; headers: Headers }): AuthClient {
  const { url, key } = authServer()
  const options = sessionCookieOptions(isSecureRequest(request))
  const cookies = new Map<string, { value: string; options: CookieOptions }>()
  const headers = new Map<string, string>()
  const present = readCookies(request.headers)
  const supabase = createServerClient(url, key, {
    cookieOptions: options,
    cookies: {
      getAll: () => present,
      setAll: (changed, extra) => {
        // The library keeps verifiers of links too, which no link of ours needs: their tokens are proof enough.
        for (const { name, value, options: own } of changed)
          if (isSessionCookie(name, options.secure))
            cookies.set(name, { value, options: { ...own, ...withoutName(options) } })
        for (const [name, value] of Object.entries(extra)) headers.set(name, value)
      },
    },
    global: {
      fetch: (input, init) =>
        fetch(input, { ...init, signal: init?.signal ?? AbortSignal.timeout(ANSWER_WITHIN_MS), cache: 'no-store' }),
    },
  })
  return {
    supabase,
    clear: () => {
      for (const cookie of present) {
        if (isSessionCookie(cookie.name, options.secure))
          cookies.set(cookie.name, { value: '', options: { ...withoutName(options), maxAge: 0 } })
      }
    },
    respond: (response) => {
      for (const [name, { value, options: attributes }] of cookies)
        response.headers.append('set-cookie', serializeCookieHeader(name, value, attributes))
      for (const [name, value] of headers) response.headers.set(name, value)
      return response
    },
  }
}

function withoutName({ name: _, ...attributes }: ReturnType<typeof sessionCookieOptions>) {
  return attributes
}
