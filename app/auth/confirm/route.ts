import { requireAuthHost } from '@/features/auth/services/auth-host'
import { confirmAddressToken } from '@/features/auth/services/auth-service'
import { readMailCookie, setMailCookie } from '@/features/auth/services/mail-cookies'
import { answer } from '@/libs/api-utils/route-handler'
import { readSessionToken } from '@/libs/auth/session-cookie'
import { findTokenUser } from '@/libs/auth/sessions'
import { createAuthClient } from '@/libs/supabase/server-client'

const TOKEN = /^[\w.~+/=-]{8,512}$/
const CONFIRMATIONS = ['signup', 'email', 'magiclink', 'email_change', 'invite'] as const

function goTo(path: string, cookie?: string): Response {
  return new Response(null, { status: 303, headers: { location: path, ...(cookie ? { 'set-cookie': cookie } : {}) } })
}

/**
 * The target of links in mails. A confirmation signs in whoever is not signed in already; a recovery token is put aside until the new password is sent.
 * Targets are paths on this host.
 */
export function GET(request: Request): Promise<Response> {
  return answer(request, async (facts) => {
    const host = await requireAuthHost(request)
    const query = new URL(request.url).searchParams
    const token = query.get('token_hash') ?? ''
    const type = query.get('type')
    if (TOKEN.test(token) && type === 'recovery')
      return goTo('/reset-password', setMailCookie(request, 'recovery', token))
    const confirmation = CONFIRMATIONS.find((known) => known === type)
    if (!TOKEN.test(token) || !confirmation) return goTo('/sign-in?reason=link')
    const client = createAuthClient(request)
    const next = query.get('next') ?? readMailCookie(request, 'next')
    const session = await readSessionToken(request)
    const present = session ? await findTokenUser(session, request.headers.get('host')) : null
    const result = await confirmAddressToken(token, confirmation, next, present?.id ?? null, { client, host, facts })
    if (result === 'confirmed') return goTo('/sign-in?reason=confirmed')
    return client.respond(
      goTo(result?.redirect_to ?? '/sign-in?reason=link', result ? setMailCookie(request, 'next', null) : undefined),
    )
  })
}

/** Mail scanners ask with HEAD; that uses up nothing. */
export function HEAD(): Response {
  return new Response(null, { status: 204, headers: { 'cache-control': 'no-store' } })
}
