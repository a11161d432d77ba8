import pg from 'pg'
import { serverQuery } from '@/libs/db/server-query'
import { runTenantStatement, type Short, statementActor } from '@/libs/db/tenant-statement'
import type { TenantRouting } from '@/libs/tenancy/resolve-tenant'
import type { Actor } from '@/libs/tenancy/tenant-context'

const NO_PARTITION = '23514'

/** The actor of a statement that serves several requests of the same caller: who it is and what it may do with usage. */
export function usageActor(actor: Actor): string {
  return statementActor(
    actor,
    actor.permissions.filter((permission) => permission === 'usage:write' || permission === 'usage:read'),
  )
}

/** What requests of a tenant have in common that may share a statement: the same caller with the same rights. */
export function callerKey({ kind, id, permissions }: Actor): string {
  return `${kind} ${id} ${permissions.includes('usage:read')}`
}

/**
 * Runs one statement that opens its tenant itself (app.ingest_usage, app.check_usage), as a transaction of its own, and
 * gives its one value. It must allow to be sent again when a connection breaks: `toValues` hears of it and may ask to look
 * for what is there already. `short` as in sendStatement. @throws as runTenantStatement.
 */
export function runStatement<T>(
  text: string,
  tenantId: string,
  toValues: (routing: TenantRouting, again: boolean) => unknown[],
  short?: Short,
): Promise<T> {
  return runTenantStatement<T>(text, tenantId, toValues, { short, repeatable: true, mend: makePartition })
}

/** Makes the partition that an event found missing. */
async function makePartition(error: unknown): Promise<boolean> {
  if (!(error instanceof pg.DatabaseError && error.code === NO_PARTITION)) return false
  await serverQuery('select app.make_usage_partitions(1)')
  return true
}
