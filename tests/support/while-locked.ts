import pg from 'pg'
import { requireVariable } from './variables'

/** Also those that wait for one that waits. */
const WAITING = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"

/**
 * What `work` comes to that has to wait, in `waiting` statements, for what another transaction did in `statements`. That one ends
 * with `last` once they wait.
 */
export async function whileLocked<T>(
  statements: string,
  work: () => Promise<T>,
  { waiting = 1, last = '' } = {},
): Promise<T> {
  const other = new pg.Client({ connectionString: requireVariable('SUPERUSER_DATABASE_URL') })
  await other.connect()
  try {
    await other.query(`begin; ${statements}`)
    const result = work()
    for (let found = 0; found < waiting; ) found = (await other.query(WAITING)).rowCount ?? 0
    await other.query(`${last}; commit`)
    return await result
  } finally {
    await other.end()
  }
}
