import type pg from 'pg'
import { statementName } from './kysely-driver'
import { serverPool } from './pools'

/**
 * Runs one parameterised statement as `app_server`, as a transaction of its own without a tenant, and gives its rows: for what
 * is asked before there is a tenant, and for jobs that look for tenants.
 */
export async function serverQuery<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
  const { rows } = await serverPool().query<Row>({ text, values, name: statementName(text) })
  return rows
}
