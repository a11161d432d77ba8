import { AsyncLocalStorage } from 'node:async_hooks'
import pg from 'pg'
import type { Actor } from '@/libs/tenancy/tenant-context'
import { operatorPool } from './pools'
import { runTransaction } from './transaction'

type OperatorContext = { client: pg.PoolClient; finished: boolean }
const storage = new AsyncLocalStorage<OperatorContext>()

function current(): pg.PoolClient {
  const context = storage.getStore()
  if (!context) throw new Error('No operator context: call this within runAsOperator.')
  if (context.finished) throw new Error('This operator context has ended with its transaction.')
  return context.client
}

/**
 * Runs one parameterised statement on the registry, in the transaction of the current operator, and gives its rows. Only
 * operator services and jobs use it.
 */
export async function operatorQuery<Row extends pg.QueryResultRow>(
  text: string,
  values: unknown[] = [],
): Promise<Row[]> {
  const result = await current().query<Row>(text, values)
  return result.rows
}

/**
 * Runs `work` in one registry transaction of an operator; `support` gets a read-only one.
 * @throws AppError not_found (by mapping of TM005) when the actor is not an operator.
 */
export function runAsOperator<T>(actor: Actor, work: () => Promise<T>): Promise<T> {
  return runTransaction(operatorPool(), async (client) => {
    await client.query(`begin; select app.begin_operator(${pg.escapeLiteral(JSON.stringify(actor))}::jsonb)`)
    const context: OperatorContext = { client, finished: false }
    try {
      return await storage.run(context, work)
    } finally {
      context.finished = true
    }
  })
}
