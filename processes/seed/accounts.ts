import { createClient } from '@supabase/supabase-js'
import pg from 'pg'
import { authServer } from '@/libs/supabase/server-client'
import { DEMO_PASSWORD } from './demo-tenants'

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
  if (made.user && made.session) return { id: made.user.id, email }
  await confirmAddress(email)
  const { data, error } = await supabase.auth.signInWithPassword({ email, password })
  if (!data.user) throw new Error(`The demo account ${email} cannot be used: ${error?.message ?? 'no answer'}`)
  return { id: data.user.id, email }
}

/** Nobody reads the mails to addresses of the demo: where the embedded auth server asks for that, its database is told. */
async function confirmAddress(email: string): Promise<void> {
  const { SUPABASE_DATABASE_URL } = process.env
  if (!SUPABASE_DATABASE_URL) return
  const client = new pg.Client({ connectionString: SUPABASE_DATABASE_URL })
  await client.connect()
  try {
    await client.query(
      'update auth.users set email_confirmed_at = now() where email = $1 and email_confirmed_at is null',
      [email],
    )
  } finally {
    await client.end()
  }
}
