import { createClient } from '@supabase/supabase-js'
import { authServer } from '@/libs/supabase/server-client'
import { DEMO_PASSWORD } from './demo-data'

export type Account = { id: string; email: string }

const known = new Map<string, Promise<Account>>()

/** The account of the auth server with this address; made with the demo password when there is none. */
export function ensureAccount(email: string): Promise<Account> {
  const present = known.get(email)
  if (present) return present
  const account = findOrCreate(email)
  known.set(email, account)
  return account
}

async function findOrCreate(email: string): Promise<Account> {
  const { url, key } = authServer()
  const supabase = createClient(url, key, { auth: { persistSession: false, autoRefreshToken: false } })
  const password = DEMO_PASSWORD
  const { data: made } = await supabase.auth.signUp({ email, password })
  // Where addresses must be confirmed, the auth server answers a sign-up of a known address with a user that is not real.
  if (made.user && (made.session || (made.user.identities?.length ?? 0) > 0)) return { id: made.user.id, email }
  const { data, error } = await supabase.auth.signInWithPassword({ email, password })
  if (!data.user) throw new Error(`The demo account ${email} cannot be used: ${error?.message ?? 'no answer'}`)
  return { id: data.user.id, email }
}
