import type pg from 'pg'

/**
 * Runs `work` on a connection of its own: commits when it returns, rolls back when it throws. `work` opens the transaction, so
 * that context and `begin` can be one message. A connection that cannot even be rolled back is thrown away.
 * @throws whatever `work` and the database throw; Error when a statement failed and `work` swallowed that.
 */
export async function runTransaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  let broken: Error | undefined
  try {
    const result = await work(client)
    const { command } = await client.query('commit')
    if (command !== 'COMMIT') throw new Error('The transaction was rolled back: an error inside of it was swallowed.')
    return result
  } catch (error) {
    await client.query('rollback').catch((failure: Error) => {
      broken = failure
    })
    throw error
  } finally {
    client.release(broken)
  }
}
