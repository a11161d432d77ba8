import { isAuthApiError, isAuthRetryableFetchError, type Session, type User } from '@supabase/supabase-js'
import type { RequestFacts } from '@/libs/api-utils/request-facts'
import { type TokenUser, verifyAccessToken } from '@/libs/auth/access-token'
import { toRelativePath } from '@/libs/auth/relative-path'
import { endOtherSessions, endSession, openPortalSession } from '@/libs/auth/sessions'
import { findOperatorRole, listUserTenants } from '@/libs/auth/standing'
import { AppError, describeError } from '@/libs/errors'
import { log } from '@/libs/log'
import type { AuthClient } from '@/libs/supabase/server-client'
import type { SignedIn, SignInInput, SignUpAnswer, SignUpInput } from '../schema'
import type { AuthHost } from './auth-host'
import { countAttempt, forgetAttempts, limitedAddress, returnAttempt } from './auth-limits'
import { recordAuthAct, recordSignInFailure } from './auth-records'
import { confirmsAddresses } from './auth-settings'
import { failEvenly, inEvenTime, startWithin } from './even-time'

/** What the auth server gives for a password or a link. */
type Opened = { user: Pick<User, 'id' | 'email'>; session: Pick<Session, 'access_token'> | null }

/** What every act of signing in knows of its request. */
export type AuthRequest = { client: AuthClient; host: AuthHost; facts: RequestFacts }

/** What an error of the auth server means where it is not about the visitor's input. */
function toAuthFailure(error: unknown): AppError {
  if (isAuthApiError(error) && error.status === 429)
    return new AppError('rate_limited', 'Too many attempts. Wait a while.', { retry_after: 60 }, error)
  return new AppError('unavailable', 'Sign-in is not available at the moment.', { retry_after: 5 }, error)
}

/** Whether the auth server understood the request and refused it, as opposed to being away or busy. */
function isRefusal(error: unknown): boolean {
  return isAuthApiError(error) && error.status < 500 && error.status !== 429
}

/**
 * Signs in with e-mail and password and answers where to go. An unknown address, one that waits to be confirmed and a wrong
 * password get the same words after the same time.
 * @throws AppError unauthenticated, rate_limited, unavailable.
 */
export function signIn(input: SignInInput, request: AuthRequest): Promise<SignedIn> {
  const { client, host, facts } = request
  return failEvenly(async () => {
    await countAttempt('sign_in_address', limitedAddress(facts.ip))
    await countAttempt('sign_in_account', input.email)
    const { email, password } = input
    const { data, error } = await client.supabase.auth.signInWithPassword({ email, password })
    if (error || !data.user) {
      if (!isRefusal(error)) throw toAuthFailure(error)
      await recordSignInFailure(email, host.tenant, facts)
      // An auth server may say of an address that it waits to be confirmed before it has looked at the password.
      const words = (await confirmsAddresses())
        ? 'E-mail address or password is wrong, or the address waits to be confirmed by the link in our mail.'
        : 'E-mail address or password is wrong.'
      throw new AppError('unauthenticated', words, {}, error)
    }
    await forgetAttempts('sign_in_account', email)
    await returnAttempt('sign_in_address', limitedAddress(facts.ip))
    return finishSignIn({ user: data.user, session: data.session }, input.next, request)
  })
}

async function finishSignIn(
  { user: { id, email = '' }, session }: Opened,
  next: string | null | undefined,
  { host, facts }: Pick<AuthRequest, 'host' | 'facts'>,
): Promise<SignedIn> {
  const user = { id, email }
  const own = session && (await verifyAccessToken(session.access_token))
  if (own && host.tenant) await openPortalSession(own, host.tenant.id)
  await recordAuthAct('signed_in', user, host.tenant, facts)
  return { status: 'signed_in', user, redirect_to: toRelativePath(next, await chooseStart(id, host)) }
}

/** Where somebody goes who signed in without wanting to go anywhere in particular. */
async function chooseStart(userId: string, host: AuthHost): Promise<string> {
  if (host.tenant) return '/'
  const tenants = await listUserTenants(userId)
  if (tenants.length > 1) return '/tenants'
  if (tenants[0]) return `/${tenants[0].slug}`
  return (await findOperatorRole(userId)) ? '/operator' : '/create-tenant'
}

/**
 * Makes an account. Where the auth server wants the address confirmed, everybody is told to look into their mail; an
 * address that has an account already gets a mail to set a new password, and the same answer.
 * @throws AppError rate_limited, unavailable, invalid_input when the auth server wants a stronger password.
 */
export function signUp(input: SignUpInput, request: AuthRequest): Promise<SignUpAnswer> {
  const { client, host, facts } = request
  return inEvenTime(async () => {
    await countAttempt('sign_up_address', limitedAddress(facts.ip))
    const { email, password } = input
    const { data, error } = await client.supabase.auth.signUp({
      email,
      password,
      options: { emailRedirectTo: confirmAddress(host) },
    })
    if (error) {
      if (!isRefusal(error)) {
        // How some servers say, where addresses are confirmed, that there is such an account.
        if (isAuthApiError(error) && error.code === 'over_email_send_rate_limit') return sendWayBack(email, request)
        throw toAuthFailure(error)
      }
      if (error.code === 'weak_password')
        throw new AppError('invalid_input', 'Choose a stronger password.', {
          errors: [{ pointer: '/password', detail: 'is too weak' }],
        })
      if (error.code === 'signup_disabled') throw new AppError('forbidden', 'Nobody can sign up here at the moment.')
      return sendWayBack(email, request)
    }
    // And how others do: a user without any identity.
    if (!data.session && data.user?.identities?.length === 0) return sendWayBack(email, request)
    return data.session && data.user
      ? finishSignIn({ user: data.user, session: data.session }, input.next, request)
      : { status: 'check_mail' }
  })
}

/** The mail with which somebody gets back in whose address has an account; not more often than such mails are sent anyway. */
async function sendWayBack(email: string, request: AuthRequest): Promise<SignUpAnswer> {
  try {
    await countAttempt('mail_account', email)
    await sendRecovery(email, request)
  } catch (error) {
    if (!(error instanceof AppError && error.code === 'rate_limited')) throw error
  }
  return { status: 'check_mail' }
}

function confirmAddress(host: AuthHost): string {
  return `${host.origin}/auth/confirm`
}

/** Sends the mail with which a forgotten password is replaced, if there is such an account; says nothing of whether there is. */
export function forgotPassword(email: string, request: AuthRequest): Promise<void> {
  return inEvenTime(async () => {
    await countAttempt('mail_address', limitedAddress(request.facts.ip))
    await countAttempt('mail_account', email)
    await sendRecovery(email, request)
  })
}

async function sendRecovery(email: string, { client, host }: AuthRequest): Promise<void> {
  const sent = client.supabase.auth
    .resetPasswordForEmail(email, { redirectTo: confirmAddress(host) })
    .then(({ error }) => {
      if (error && !isAuthApiError(error)) throw error
    })
  await startWithin(sent, (error) => log.warn({ error: describeError(error) }, 'recovery mail not sent'))
}

/**
 * Sets a new password with the token of a recovery mail, signs in, and ends every other session of that account at once.
 * @throws AppError unauthenticated when the token is missing, used or too old; rate_limited; invalid_input.
 */
export async function resetPassword(
  password: string,
  tokenHash: string | null,
  next: string | null,
  request: AuthRequest,
): Promise<SignedIn> {
  const { client, host, facts } = request
  await countAttempt('reset_address', limitedAddress(facts.ip))
  const used = () => new AppError('unauthenticated', 'This link was used before or is too old. Ask for a new one.')
  if (!tokenHash) throw used()
  const { data, error } = await client.supabase.auth.verifyOtp({ token_hash: tokenHash, type: 'recovery' })
  if (error || !data.user) throw isRefusal(error) ? used() : toAuthFailure(error)
  const { error: refused } = await client.supabase.auth.updateUser({ password })
  if (refused && !(isAuthApiError(refused) && refused.code === 'same_password')) {
    if (!isRefusal(refused)) throw toAuthFailure(refused)
    throw new AppError('invalid_input', 'Choose another password.', {
      errors: [{ pointer: '/password', detail: 'is not accepted' }],
    })
  }
  // Whoever knew the old password is out with it. The new one holds already, whatever becomes of this.
  const { error: kept } = await client.supabase.auth.signOut({ scope: 'others' })
  if (kept) log.warn({ error: kept.message }, 'other sessions not ended after a new password')
  const { id, email = '' } = data.user
  const own = data.session && (await verifyAccessToken(data.session.access_token))
  await endOtherSessions({ id, session_id: own?.session_id ?? null })
  await forgetAttempts('sign_in_account', email)
  await recordAuthAct('password_changed', { id, email }, host.tenant, facts)
  return finishSignIn({ user: data.user, session: data.session }, next, request)
}

/**
 * Uses the token of a confirmation mail, and signs in with it. Whoever is signed in as somebody else stays so: a link that was sent by
 * others must not put people into an account of theirs. Null when it is used up, too old or made up. @throws AppError unavailable.
 */
export async function confirmAddressToken(
  tokenHash: string,
  type: 'signup' | 'email' | 'magiclink' | 'email_change' | 'invite',
  next: string | null,
  signedInAs: string | null,
  request: AuthRequest,
): Promise<SignedIn | 'confirmed' | null> {
  const { data, error } = await request.client.supabase.auth.verifyOtp({ token_hash: tokenHash, type })
  if (error || !data.user) {
    if (isAuthRetryableFetchError(error)) throw toAuthFailure(error)
    return null
  }
  if (signedInAs !== null && signedInAs !== data.user.id) {
    const unwanted = data.session && (await verifyAccessToken(data.session.access_token))
    if (unwanted) await endSession(unwanted)
    return 'confirmed'
  }
  return finishSignIn({ user: data.user, session: data.session }, next, request)
}

/** Ends the session of this browser, here and at the auth server; a copy of its cookie is worth nothing any more. */
export async function signOut(user: TokenUser | null, request: AuthRequest): Promise<void> {
  const { client, host, facts } = request
  if (user) await endSession(user)
  const { error } = await client.supabase.auth.signOut({ scope: 'local' })
  if (error && !isAuthApiError(error)) log.warn({ error: error.message }, 'session not ended at the auth server')
  client.clear()
  if (user) await recordAuthAct('signed_out', user, host.tenant, facts)
}
