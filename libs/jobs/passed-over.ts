import { mapDatabaseError } from '@/libs/db/errors'
import { AppError } from '@/libs/errors'
import { log } from '@/libs/log'

const TAKES_NO_WRITES = new Set<string>(['tenant_suspended', 'tenant_read_only', 'not_found'])

/** Writes down that a job passed over a tenant: nothing to look at when the tenant takes no writes at the moment, else a warning. */
export function notePassedOver(job: string, tenantId: string, error: unknown): void {
  const { code } = (error instanceof AppError ? error : mapDatabaseError(error)) ?? {}
  const level = code !== undefined && TAKES_NO_WRITES.has(code) ? 'debug' : 'warn'
  log[level]({ job, tenant: tenantId, err: error }, 'tenant passed over')
}
