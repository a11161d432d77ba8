import { Kysely } from 'kysely'
import type pg from 'pg'
import { currentContext, runInTenant } from '@/libs/tenancy/tenant-context'
import type { DB } from './generated/database'
import { contextDialect, statementName } from './kysely-driver'
import { tenantIdPlugin } from './tenant-id-plugin'

function runInContext(query: pg.QueryConfig): Promise<pg.QueryResult> {
  const context = currentContext()
  if (context.client) return context.client.query(query)
  return runInTenant(context.tenantId, context.actor, ({ client }) => {
    if (!client) throw new Error('A tenant transaction has a connection.')
    return client.query(query)
  })
}

const database = new Kysely<DB>({
  dialect: contextDialect(runInContext),
  plugins: [tenantIdPlugin(() => currentContext().tenantId)],
})

/**
 * The current tenant's data, in the transaction of the current context. Every statement on a tenant's table carries
 * `tenant_id` itself (so that a distributed database can route it); row security checks it once more.
 * @throws Error outside of a context, or after its transaction has ended.
 */
export function tenantDb(): Kysely<DB> {
  currentContext()
  return database
}

/**
 * The twin of tenantDb() on the control database, scoped to the same tenant, for tables commented @control.
 * In shared placement both are one transaction. A service writes through one of the two, never both.
 */
export function registryDb(): Kysely<DB> {
  currentContext()
  return database
}

/** Runs one parameterised statement in the current context and gives its rows; for SQL that Kysely cannot say. */
export async function tenantQuery<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
  const result = await runInContext({ text, values, name: statementName(text) })
  return result.rows as Row[]
}
