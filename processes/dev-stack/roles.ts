import { readFile } from 'node:fs/promises'
import pg from 'pg'
import { inRepository } from './repository'

/** Passwords of the four logins of supabase/roles.sql. */
export type RolePasswords = { owner: string; server: string; operator: string; auth: string }

/** Makes the roles of supabase/roles.sql in a cluster and sets their passwords. `superuserUrl` may name any database. */
export async function applyRoles(superuserUrl: string, passwords: RolePasswords): Promise<void> {
  await withClient(superuserUrl, async (client) => {
    await client.query(
      `select set_config('holdfast.owner_password', $1, false), set_config('holdfast.server_password', $2, false),
              set_config('holdfast.operator_password', $3, false), set_config('holdfast.auth_password', $4, false)`,
      [passwords.owner, passwords.server, passwords.operator, passwords.auth],
    )
    await client.query(await readFile(inRepository('supabase', 'roles.sql'), 'utf8'))
  })
}

/** Makes a database of the product (empty, owned by holdfast_owner) unless it is there, and sets its privileges. */
export async function ensureProductDatabase(
  superuserUrl: (database?: string) => string,
  database: string,
): Promise<void> {
  await ensureDatabase(superuserUrl(), database, 'holdfast_owner')
  await withClient(superuserUrl(database), async (client) => {
    await client.query(await readFile(inRepository('supabase', 'database.sql'), 'utf8'))
  })
}

/** Makes the database of the auth server unless it is there; nobody else may connect to it. */
export async function ensureAuthDatabase(superuserUrl: (database?: string) => string, database: string): Promise<void> {
  await ensureDatabase(superuserUrl(), database, 'holdfast_auth')
  await withClient(superuserUrl(database), async (client) => {
    await client.query(`revoke all on database ${client.escapeIdentifier(database)} from public`)
    await client.query('alter schema public owner to holdfast_auth')
  })
}

async function ensureDatabase(superuserUrl: string, database: string, owner: string): Promise<void> {
  await withClient(superuserUrl, async (client) => {
    const found = await client.query('select from pg_database where datname = $1', [database])
    if (found.rowCount) return
    await client.query(`create database ${client.escapeIdentifier(database)} owner ${client.escapeIdentifier(owner)}`)
  })
}

/** Runs `work` with a connection that is closed afterwards, whatever happens. `limits` are for those who do not want to wait for ever. */
export async function withClient<T>(
  url: string,
  work: (client: pg.Client) => Promise<T>,
  limits: Pick<pg.ClientConfig, 'connectionTimeoutMillis' | 'query_timeout'> = {},
): Promise<T> {
  const client = new pg.Client({ connectionString: url, ...limits })
  client.on('error', () => {})
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end().catch(() => {})
  }
}
