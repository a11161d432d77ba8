import { cutPage, isCount, type Page, type PageQuery, readCursor } from '@/libs/api-utils/page'
import { tenantQuery } from '@/libs/db/tenant-db'
import { AppError, notFound } from '@/libs/errors'
import { isUuid, newId } from '@/libs/ids'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { readTimeZone } from '@/libs/tenancy/time-zone'
import type { DriftRow, ReconciliationListQuery, ReconciliationRow } from '../schema'

/** Topic of the outbox by which a run that was asked for reaches the worker. */
export const RECONCILIATION_TOPIC = 'reconciliation'

const COLUMNS = `r.id, r.requested_by, r.status, r.created_at, r.started_at, r.finished_at, r.from_day::text, r.events::float8, r.rows_checked::float8,
  r.drifts::float8, r.error, r.repaired_at, r.repaired::float8`

type Stored = Omit<ReconciliationRow, 'created_at' | 'started_at' | 'finished_at' | 'repaired_at'> &
  Record<'created_at', Date> &
  Record<'started_at' | 'finished_at' | 'repaired_at', Date | null>

function toRow({ created_at, started_at, finished_at, repaired_at, ...rest }: Stored): ReconciliationRow {
  return {
    ...rest,
    created_at: created_at.toISOString(),
    started_at: started_at?.toISOString() ?? null,
    finished_at: finished_at?.toISOString() ?? null,
    repaired_at: repaired_at?.toISOString() ?? null,
  }
}

/** Asks for a run; the worker does it. While one waits already, that one is given. */
export async function requestReconciliation(): Promise<ReconciliationRow> {
  const { tenantId } = currentContext()
  await tenantQuery('select pg_advisory_xact_lock(hashtextextended($1, 2))', [`reconciliation ${tenantId}`])
  const [waiting] = await tenantQuery<Stored>(
    `select ${COLUMNS} from reconciliations r where r.tenant_id = $1 and r.status = 'waiting' and r.created_at > now() - interval '10 minutes'
     order by r.created_at desc limit 1`,
    [tenantId],
  )
  if (waiting) return toRow(waiting)
  const id = await addRun('person')
  await tenantQuery('insert into outbox (tenant_id, id, topic, payload) values ($1, $2, $3, $4)', [
    tenantId,
    newId(),
    RECONCILIATION_TOPIC,
    JSON.stringify({ reconciliation_id: id }),
  ])
  return getReconciliation(id)
}

/** Makes a run that is to be done by the caller. */
export async function addRun(requestedBy: ReconciliationRow['requested_by']): Promise<string> {
  const id = newId()
  await tenantQuery('insert into reconciliations (tenant_id, id, requested_by) values ($1, $2, $3)', [
    currentContext().tenantId,
    id,
    requestedBy,
  ])
  return id
}

/** Runs, the newest first. */
export async function listReconciliations({
  cursor,
  limit,
}: ReconciliationListQuery): Promise<Page<ReconciliationRow>> {
  const [before] = readCursor(cursor, isUuid)
  const rows = await tenantQuery<Stored>(
    `select ${COLUMNS} from reconciliations r where r.tenant_id = $1 and ($2::uuid is null or r.id < $2) order by r.id desc limit $3`,
    [currentContext().tenantId, before, limit + 1],
  )
  return cutPage(rows.map(toRow), limit, ({ id }) => [id])
}

/** One run. @throws AppError not_found. */
export async function getReconciliation(id: string): Promise<ReconciliationRow> {
  if (!isUuid(id)) throw notFound()
  const [row] = await tenantQuery<Stored>(
    `select ${COLUMNS} from reconciliations r where r.tenant_id = $1 and r.id = $2`,
    [currentContext().tenantId, id],
  )
  if (!row) throw notFound()
  return toRow(row)
}

/** What a run found, named to the row; the first thousand. @throws AppError not_found. */
export async function listDrifts(id: string, { cursor, limit }: PageQuery): Promise<Page<DriftRow>> {
  await getReconciliation(id)
  const [after] = readCursor(cursor, isCount)
  const rows = await tenantQuery<DriftRow>(
    `select d.position, d.table_name, d.row_key, m.name as meter_name, d.stored, d.expected
     from reconciliation_drifts d
     left join meters m on m.tenant_id = $1 and m.id = (d.row_key ->> 'meter_id')::uuid
     where d.tenant_id = $1 and d.reconciliation_id = $2 and d.position > $3 order by d.position limit $4`,
    [currentContext().tenantId, id, after ?? 0, limit + 1],
  )
  return cutPage(rows, limit, ({ position }) => [String(position)])
}

/**
 * Sets what a run found to what the events say now, in one transaction, on record; whoever sends usage waits meanwhile.
 * @throws AppError not_found, conflict for a run that has not finished or was repaired.
 */
export async function repairReconciliation(id: string): Promise<ReconciliationRow> {
  const { tenantId } = currentContext()
  const before = await getReconciliation(id)
  if (before.status !== 'finished')
    throw new AppError('conflict', 'This run has not finished; there is nothing to repair.')
  if (before.repaired_at !== null) throw new AppError('conflict', 'What this run found was repaired already.')
  await tenantQuery("set local statement_timeout = '5min'")
  await tenantQuery('select app.repair_reconciliation($1, $2, $3)', [tenantId, await readTimeZone(), id])
  return getReconciliation(id)
}

/** Does a run, within the transaction of the caller, after any other of the tenant. False when it was done before. Nobody waits for it. */
export async function doReconciliation(id: string): Promise<boolean> {
  const { tenantId } = currentContext()
  await tenantQuery("select set_config('statement_timeout', '30min', true), set_config('work_mem', '128MB', true)")
  await tenantQuery('select pg_advisory_xact_lock(hashtextextended($1, 3))', [`reconciliation ${tenantId}`])
  const [run] = await tenantQuery<{ status: string }>(
    'select status from reconciliations where tenant_id = $1 and id = $2',
    [tenantId, id],
  )
  if (!run || !['waiting', 'running'].includes(run.status)) return false
  await failAbandonedRuns(id)
  await tenantQuery('select app.reconcile_usage($1, $2, $3)', [tenantId, await readTimeZone(), id])
  return true
}

/** Runs whose worker ended before they did: none takes an hour. */
async function failAbandonedRuns(except: string): Promise<void> {
  await tenantQuery(
    `update reconciliations set status = 'failed', error = 'The worker ended before the run did.', finished_at = clock_timestamp()
     where tenant_id = $1 and id <> $2 and created_at < now() - interval '1 hour'
       and (status = 'running' and started_at < now() - interval '1 hour' or status = 'waiting' and requested_by = 'schedule')`,
    [currentContext().tenantId, except],
  )
}

/** Says that a run has begun, or why it failed. */
export async function markRun(id: string, status: 'running' | 'failed', error: string | null = null): Promise<void> {
  await tenantQuery(
    `update reconciliations set status = $3, error = $4, started_at = coalesce(started_at, clock_timestamp()),
       finished_at = case when $3 = 'failed' then clock_timestamp() end
     where tenant_id = $1 and id = $2 and status in ('waiting', 'running')`,
    [currentContext().tenantId, id, status, error],
  )
}
