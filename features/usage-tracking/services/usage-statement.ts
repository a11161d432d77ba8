import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { isRetryable, isStaleRouting } from '@/libs/db/errors'
import { serverPool } from '@/libs/db/pools'
import { sendStatement } from '@/libs/db/tenant-statement'
import { forgetTenantRouting, routeTenant, type TenantRouting } from '@/libs/tenancy/resolve-tenant'
import type { Actor } from '@/libs/tenancy/tenant-context'

const NO_PARTITION = '23514'
const ATTEMPTS = 6

/** The actor of a statement that serves several requests of the same caller: who it is and what it may do with usage. */
export function usageActor({ id, kind, label, permissions, on_behalf_of }: Actor): string {
  return JSON.stringify({
    id,
    kind,
    label,
    on_behalf_of,
    permissions: permissions.filter((permission) => permission === 'usage:write' || permission === 'usage:read'),
  })
}

/** What requests of a tenant have in common that may share a statement: the same caller with the same rights. */
export function callerKey({ kind, id, permissions }: Actor): string {
  return `${kind} ${id} ${permissions.includes('usage:read')}`
}

/** A connection that broke: what it was doing may or may not have been committed. */
function isLost(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code = '' } = error as Error & { code?: string }
  return (
    /^(?:ECONN|EPIPE|ETIMEDOUT|57P0|08)/.test(code) ||
    /Connection terminated|timeout exceeded|is not queryable/.test(error.message)
  )
}

/**
 * Runs one statement that opens its tenant itself (app.ingest_usage, app.check_usage), as a transaction of its own, and
 * gives its one value. Stale routing is read again; a deadlock, a serialisation failure or a lost connection is tried
 * again, which the statement must allow: `toValues` hears of it and may ask to look for what is there already. `short` as
 * in sendStatement.
 */
export async function runStatement<T>(
  text: string,
  tenantId: string,
  toValues: (routing: TenantRouting, again: boolean) => unknown[],
  short = false,
): Promise<T> {
  let again = false
  for (let attempt = 1; ; attempt += 1) {
    const routing = await routeTenant(tenantId)
    try {
      return await sendStatement<T>(text, tenantId, toValues(routing, again), short)
    } catch (error) {
      if (attempt === ATTEMPTS || !(await prepareAgain(error, tenantId, attempt))) throw error
      again = true
    }
  }
}

async function prepareAgain(error: unknown, tenantId: string, attempt: number): Promise<boolean> {
  if (isStaleRouting(error)) {
    forgetTenantRouting(tenantId)
    if (attempt > 1) await sleep(20 * attempt)
    return true
  }
  if (error instanceof pg.DatabaseError && error.code === NO_PARTITION) {
    await serverPool().query('select app.make_usage_partitions(1)')
    return attempt === 1
  }
  if (isRetryable(error)) return true
  if (!isLost(error)) return false
  await sleep(50 * 2 ** attempt)
  return true
}
