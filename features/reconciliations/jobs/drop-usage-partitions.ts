import { serverQuery } from '@/libs/db/server-query'
import { tenantQuery } from '@/libs/db/tenant-db'
import { env } from '@/libs/env'
import { log } from '@/libs/log'
import { findTenantRouting } from '@/libs/tenancy/resolve-tenant'
import { jobActor, runInTenant } from '@/libs/tenancy/tenant-context'

const KEEPER = jobActor('usage-retention')
const TENANTS_AT_ONCE = 200
/** For so many months more, what a tenant that closes billing periods has not billed is kept. */
const PATIENCE_MONTHS = 12
/** How far the clock of the database may be from that of this process. */
const MOST_APART_MS = 24 * 3_600_000

/**
 * Lets go of usage events older than USAGE_RETENTION_MONTHS, a month of reception at a time: every tenant's totals are
 * compared with them a last time and sealed, then the partition is dropped. Totals stay. Gives the months that went.
 * A month that a tenant has not billed, or cannot be sealed for a tenant that takes no writes, waits, and those after it. All
 * wait while the clock of the database cannot be right.
 */
export async function dropUsagePartitions(signal: AbortSignal): Promise<string[]> {
  const months = env().USAGE_RETENTION_MONTHS
  if (months === 0) return []
  const rows = await serverQuery<{ month: string }>(
    `select m.month::text as month from app.usage_months() m
     where m.month < date_trunc('month', now() at time zone 'UTC')::date - make_interval(months => $1)`,
    [months],
  )
  if (rows.length === 0 || !(await isClockRight())) return []
  for (const { month } of rows) {
    if (signal.aborted || !(await sealMonth(month, months, signal))) break
  }
  if (signal.aborted) return []
  const [dropped] = await serverQuery<{ months: string[] }>('select app.drop_usage_partitions($1) as months', [months])
  return dropped?.months ?? []
}

/** Whether the present is about where this process has it too, and follows the newest usage: nothing brings back what a wrong one drops. */
async function isClockRight(): Promise<boolean> {
  const [row] = await serverQuery<{ now: Date; newest: string | null; follows: boolean }>(
    `select now(), d.newest::text, coalesce(d.newest >= date_trunc('month', now() at time zone 'UTC') - interval '1 month', true) as follows
     from app.newest_usage_month() d (newest)`,
  )
  if (row?.follows && Math.abs(row.now.getTime() - Date.now()) < MOST_APART_MS) return true
  log.error(
    { database_time: row?.now, newest_usage: row?.newest },
    'no month of usage is dropped: the clock of the database cannot be right, or nothing was received for more than a month',
  )
  return false
}

/** Whether every tenant with events of a month has sealed it. */
async function sealMonth(month: string, months: number, signal: AbortSignal): Promise<boolean> {
  for (;;) {
    const rows = await serverQuery<{ tenant_id: string }>('select tenant_id from app.tenants_to_seal($1, $2)', [
      month,
      TENANTS_AT_ONCE,
    ])
    if (rows.length === 0) return true
    for (const { tenant_id } of rows) {
      if (signal.aborted) return false
      if (!(await sealTenant(tenant_id, month, months))) return false
    }
  }
}

async function sealTenant(tenantId: string, month: string, months: number): Promise<boolean> {
  try {
    const routing = await findTenantRouting({ id: tenantId })
    if (!routing) return false
    return await runInTenant(routing, KEEPER, async () => {
      await tenantQuery("set local statement_timeout = '30min'")
      const [row] = await tenantQuery<{ sealed: boolean }>('select app.seal_usage($1, $2, $3, $4) as sealed', [
        tenantId,
        routing.time_zone,
        month,
        months + PATIENCE_MONTHS,
      ])
      return row?.sealed ?? false
    })
  } catch (error) {
    log.info({ tenant: tenantId, month, err: error }, 'month not sealed')
    return false
  }
}
