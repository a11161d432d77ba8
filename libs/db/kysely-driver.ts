import { createHash } from 'node:crypto'
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
} from 'kysely'
import { LRUCache } from 'lru-cache'
import type pg from 'pg'
import { env } from '@/libs/env'

/** Runs one compiled statement somewhere: on the connection of a context, or in a transaction of its own. */
export type StatementRunner = (query: pg.QueryConfig) => Promise<pg.QueryResult>

const names = new LRUCache<string, string>({ max: 2_000 })

/** The name a statement is prepared under: its own hash, so that equal texts share one plan. Undefined when switched off. */
export function statementName(text: string): string | undefined {
  if (!env().DATABASE_PREPARED_STATEMENTS) return undefined
  const known = names.get(text)
  if (known) return known
  const name = `h${createHash('sha256').update(text).digest('base64url').slice(0, 20)}`
  names.set(text, name)
  return name
}

/** A Kysely dialect for Postgres without connections of its own: every statement goes to `run`. */
export function contextDialect(run: StatementRunner): Dialect {
  return {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => contextDriver(run),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  }
}

function contextDriver(run: StatementRunner): Driver {
  const refuse = () => Promise.reject(new Error('One request, one transaction: the wrapper begins and ends it.'))
  const connection: DatabaseConnection = {
    async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
      const result = await run({ text: query.sql, values: [...query.parameters], name: statementName(query.sql) })
      return {
        rows: result.rows as R[],
        numAffectedRows: result.rowCount === null ? undefined : BigInt(result.rowCount),
      }
    },
    streamQuery() {
      throw new Error('Statements are not streamed: page through them.')
    },
  }
  return {
    init: () => Promise.resolve(),
    acquireConnection: () => Promise.resolve(connection),
    releaseConnection: () => Promise.resolve(),
    beginTransaction: refuse,
    commitTransaction: refuse,
    rollbackTransaction: refuse,
    destroy: () => Promise.resolve(),
  }
}
