import { serverQuery } from './server-query'

/** The oldest Postgres that is safe to run on, as `server_version_num`: below it row security has known holes. */
const OLDEST_POSTGRES = 170_010

/** @throws Error when the database is older than OLDEST_POSTGRES; connection errors are thrown as they are. */
export async function requireSafePostgres(): Promise<void> {
  const [found] = await serverQuery<{ number: string; version: string }>(
    "select current_setting('server_version_num') as number, current_setting('server_version') as version",
  )
  if (Number(found?.number ?? 0) < OLDEST_POSTGRES) {
    throw new Error(
      `Postgres ${found?.version} is below the security floor 17.10: upgrade the database before starting.`,
    )
  }
}
