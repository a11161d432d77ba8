import { SignJWT } from 'jose'
import { requireVariable } from './variables'

/** A person as the auth server knows them. */
export type TestUser = { id: string; email: string }

export type TokenOptions = {
  /** More claims, such as `tenant_id`; also to replace the usual ones. */
  claims?: Record<string, unknown>
  /** Seconds until it runs out, negative for one that has; default an hour. */
  seconds?: number
  /** Signed with another secret than the auth server's. */
  secret?: string
}

/** An access token of the auth server for a user, as it would issue it after sign-in. */
export function tokenFor(user: TestUser, { claims = {}, seconds = 3_600, secret }: TokenOptions = {}): Promise<string> {
  const now = Math.floor(Date.now() / 1_000)
  return new SignJWT({ email: user.email, role: 'authenticated', session_id: user.id, ...claims })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(user.id)
    .setAudience('authenticated')
    .setIssuedAt(now)
    .setExpirationTime(now + seconds)
    .sign(new TextEncoder().encode(secret ?? requireVariable('SUPABASE_JWT_SECRET')))
}

/** The session cookie a browser would hold after sign-in over http, as `name=value`. */
export async function sessionCookieFor(user: TestUser, options: TokenOptions = {}): Promise<string> {
  const session = { access_token: await tokenFor(user, options), token_type: 'bearer', user }
  return `hf-session=base64-${Buffer.from(JSON.stringify(session)).toString('base64url')}`
}
