import { setTimeout as sleep } from 'node:timers/promises'
import { env } from '@/libs/env'
import { readOnlyTenant } from '@/libs/errors'
import { forgetTenantRouting, routeTenant, type TenantRouting } from '@/libs/tenancy/resolve-tenant'
import type { Actor } from '@/libs/tenancy/tenant-context'
import { isLost, isRetryable, isStaleRouting, isTakenBack } from './errors'
import { statementName } from './kysely-driver'
import { queryInPipeline } from './pipelines'
import { serverPool } from './pools'
import { isSilent } from './silence'
import { tenantQuery } from './tenant-db'
import { inTurn } from './tenant-turns'

/** A statement that is over in a moment, and whether it writes. */
export type Short = 'reads' | 'writes'

const ATTEMPTS = 6
/** Connections for statements of one tenant that turned out not to be short. */
const TAKEN_BACK = 2

/** The actor of a statement that serves several requests of the same caller: who it is, with the rights it is asked with. */
export function statementActor({ id, kind, label, on_behalf_of }: Actor, permissions: readonly string[]): string {
  return JSON.stringify({ id, kind, label, on_behalf_of, permissions })
}

/**
 * Sends one statement whose function opens its tenant itself, as a transaction of its own, and gives its one value. What is
 * short goes out together with what others send at this moment; where it finds a lock in its way, or takes long after all, it
 * has changed nothing and goes to a connection of its own, of which its tenant has two. @throws what the database says, AppError unavailable.
 */
export async function sendStatement<T>(text: string, tenantId: string, values: unknown[], short?: Short): Promise<T> {
  const query = { name: statementName(text), text, values }
  const alone = () => serverPool().query<{ value: T }>(query)
  // A pooler may drop the time limits a connection asks for, and without them one that waits holds up those behind it.
  const { rows } =
    short && env().DATABASE_PREPARED_STATEMENTS
      ? await queryInPipeline<{ value: T }>(query, { writes: short === 'writes' }).catch((error: unknown) => {
          if (isTakenBack(error)) return inTurn(`${tenantId} taken back`, alone, TAKEN_BACK)
          throw error
        })
      : await alone()
  return rows[0]?.value as T
}

type ToValues = (routing: TenantRouting, again: boolean) => unknown[]

type StatementOptions = {
  /** As in sendStatement. */
  short?: Short
  /** It may be sent again although a connection that broke may have done it: `toValues` hears that it comes again. */
  repeatable?: boolean
  /** Clears away what stood in its way the first time; false when it knows nothing of that. */
  mend?: (error: unknown) => Promise<boolean>
}

/**
 * Runs one statement whose function opens its tenant itself, as a transaction of its own, and gives its one value. Stale
 * routing is read again; a deadlock or serialisation failure, which has changed nothing, is tried again.
 * @throws AppError not_found, tenant_read_only, and of the database.
 */
export async function runTenantStatement<T>(
  text: string,
  tenantId: string,
  toValues: ToValues,
  options: StatementOptions = {},
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const routing = await routeTenant(tenantId)
    try {
      return await sendStatement<T>(text, tenantId, toValues(routing, attempt > 1), options.short)
    } catch (error) {
      if (attempt < ATTEMPTS && (await mayRepeat(error, tenantId, attempt, options))) continue
      throw isRefused(error) ? readOnlyTenant(error) : error
    }
  }
}

async function mayRepeat(
  error: unknown,
  tenantId: string,
  attempt: number,
  { repeatable, mend }: StatementOptions,
): Promise<boolean> {
  if (isStaleRouting(error)) {
    forgetTenantRouting(tenantId)
    if (attempt > 1) await sleep(20 * attempt)
    return true
  }
  if (isRetryable(error)) return true
  if (repeatable && isLost(error) && !isSilent()) {
    await sleep(50 * 2 ** attempt)
    return true
  }
  return attempt === 1 && (await mend?.(error)) === true
}

/**
 * The same as part of the transaction that is open, which from then on acts with the rights the statement was given.
 * @throws what the database says.
 */
export async function runStatementInside<T>(text: string, tenantId: string, toValues: ToValues): Promise<T> {
  const [row] = await tenantQuery<{ value: T }>(text, toValues(await routeTenant(tenantId), false))
  return row?.value as T
}

/** Who comes as far as a statement may do what it does; a tenant that is read-only lets nobody. */
function isRefused(error: unknown): boolean {
  return error instanceof Error && (error as Error & { code?: string }).code === '42501'
}
