import pg from 'pg'
import { mapDatabaseError } from '@/libs/db/errors'
import { serverQuery } from '@/libs/db/server-query'
import { describeError } from '@/libs/errors'
import { atShutdown } from '@/libs/jobs/at-shutdown'
import { log } from '@/libs/log'
import { findTenantRouting } from '@/libs/tenancy/resolve-tenant'
import { systemActor } from '@/libs/tenancy/tenant-context'

type Count = { calls: number; bytes: number }

const FLUSH_MS = 5_000
const pending = new Map<string, Count>()
let timer: NodeJS.Timeout | undefined
let flushing: Promise<void> | undefined
atShutdown(flushMetrics)

/**
 * Counts one API request of a tenant: an addition in memory, written to its metrics within five seconds and at the end of
 * the process. A process that is killed loses what it counted since; these figures inform, nothing is billed by them.
 */
export function countRequest(
  tenantId: string,
  request: Pick<Request, 'headers'>,
  response: Pick<Response, 'headers'>,
): void {
  add(tenantId, 1, lengthOf(request) + lengthOf(response))
}

function add(tenantId: string, calls: number, bytes: number): void {
  const count = pending.get(tenantId)
  if (count) {
    count.calls += calls
    count.bytes += bytes
  } else pending.set(tenantId, { calls, bytes })
  timer ??= setTimeout(() => void flushMetrics(), FLUSH_MS).unref()
}

function lengthOf({ headers }: { headers: { get: (name: string) => string | null | undefined } }): number {
  const length = Number(headers.get('content-length') ?? 0)
  return length > 0 && length < 2 ** 31 ? length : 0
}

/** Writes what was counted, tenant by tenant, one statement each. What cannot be written is kept for the next time. */
export function flushMetrics(): Promise<void> {
  clearTimeout(timer)
  timer = undefined
  flushing = (flushing ?? Promise.resolve()).then(writeAll)
  return flushing
}

async function writeAll(): Promise<void> {
  const counts = [...pending]
  pending.clear()
  for (const [tenantId, count] of counts) {
    try {
      await write(tenantId, count)
    } catch (error) {
      log.debug({ tenant: tenantId, error: describeError(error) }, 'metrics not written')
      // The database itself refusing the tenant is for good; anything else, its own end too, is tried again.
      if (!(error instanceof pg.DatabaseError) || mapDatabaseError(error)?.code === 'unavailable')
        add(tenantId, count.calls, count.bytes)
    }
  }
}

async function write(tenantId: string, { calls, bytes }: Count): Promise<void> {
  const routing = await findTenantRouting({ id: tenantId })
  if (!routing) return
  await serverQuery('select app.note_metrics($1, $2, $3, $4, $5, $6, $7)', [
    tenantId,
    routing.epoch,
    JSON.stringify(systemActor()),
    routing.time_zone,
    ['api_calls', 'bandwidth_bytes'],
    ['', ''],
    [calls, bytes],
  ])
}
