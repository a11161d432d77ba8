import { createServerClient, serializeCookieHeader } from '@supabase/ssr'
import { answerWithin } from '@/libs/answer-within'
import { isSecureRequest, readCookies, readSession, sessionCookieOptions } from '@/libs/auth/session-cookie'
import { env } from '@/libs/env'

const REFRESH_BELOW_S = 60
const ANSWER_WITHIN_MS = 5_000

/** A session that was renewed (or has ended): what the browser gets, and what the rest of this request should see. */
export type RefreshedSession = {
  /** Values for Set-Cookie, one header each. */
  setCookies: string[]
  /** The Cookie header to go on with. */
  cookie: string
}

const flights = new Map<string, Promise<RefreshedSession | null>>()

/**
 * Renews the session of a request whose access token runs out within a minute; null when there is nothing to do, or when
 * the auth server does not answer (the session stays as it is then, and the next request tries again).
 * Requests that arrive together renew it once. Edge-safe: no database, no Node modules.
 */
export async function refreshSession(request: { url: string; headers: Headers }): Promise<RefreshedSession | null> {
  const { expires_at, refresh_token } = (await readSession(request)) ?? {}
  if (typeof expires_at !== 'number' || typeof refresh_token !== 'string') return null
  if (expires_at - Date.now() / 1_000 > REFRESH_BELOW_S) return null
  const known = flights.get(refresh_token)
  if (known) return known
  const flight = renew(readCookies(request.headers), isSecureRequest(request))
  flights.set(refresh_token, flight)
  // Kept a moment longer than it runs: requests of the same page arrive with the old cookie for a while.
  const forget = () => setTimeout(() => flights.delete(refresh_token), 5_000)
  flight.then(forget, forget)
  return flight
}

type Cookie = ReturnType<typeof readCookies>[number]

async function renew(present: Cookie[], secure: boolean): Promise<RefreshedSession | null> {
  const { SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY } = env()
  if (!SUPABASE_PUBLISHABLE_KEY) return null
  const { name: _, ...attributes } = sessionCookieOptions(secure)
  const next = new Map(present.map((cookie) => [cookie.name, cookie.value]))
  const setCookies: string[] = []
  const supabase = createServerClient(SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY, {
    cookieOptions: sessionCookieOptions(secure),
    cookies: {
      getAll: () => present,
      setAll: (changed) => {
        for (const { name, value, options } of changed) {
          if (options.maxAge === 0) next.delete(name)
          else next.set(name, value)
          setCookies.push(serializeCookieHeader(name, value, { ...options, ...attributes }))
        }
      },
    },
    global: {
      fetch: (input, init) => fetch(input, { ...init, signal: AbortSignal.timeout(ANSWER_WITHIN_MS) }),
    },
  })
  // Reading a session that runs out within 90 seconds renews it.
  await answerWithin(ANSWER_WITHIN_MS, supabase.auth.getSession()).catch(() => null)
  if (setCookies.length === 0) return null
  return { setCookies, cookie: [...next].map(([name, value]) => `${name}=${value}`).join('; ') }
}
