import { stringify } from 'csv-stringify/sync'
import { AuditLogger } from '@/libs/audit/audit-logger'
import { escapeFormula } from '@/libs/csv-cell'
import { streamRows } from '@/libs/db/stream-rows'
import { tenantQuery } from '@/libs/db/tenant-db'
import { invalidInput } from '@/libs/errors'
import { log } from '@/libs/log'
import { type Actor, currentContext, runInTenant, runOutsideTenant } from '@/libs/tenancy/tenant-context'
import { readTimeZone } from '@/libs/tenancy/time-zone'
import { dayIn } from '@/libs/tenancy/zoned-day'
import type { BillingExportQuery, BillingFormat } from '../schema'
import { getBillingPeriod, METER_NAME, readMoment, type StoredLine, toLine } from './billing-period-service'

export type BillingFile = { file_name: string; content_type: string; body: ReadableStream<Uint8Array> }

const COLUMNS = [
  'customer_id',
  'customer',
  'meter_id',
  'meter',
  'starts_on',
  'ends_on',
  'quantity',
  'events',
  'tier',
  'tier_version',
  'cap_limit',
  'overage',
  'adjustment',
  'meter_name',
] as const
const SELECTED = `l.customer_id, l.customer, l.meter_id, l.meter, ${METER_NAME}, l.starts_on::text as starts_on, l.ends_on::text as ends_on,
  trim_scale(l.quantity)::text as quantity, l.events::text as events, l.tier, l.tier_version, trim_scale(l.cap_limit)::text as cap_limit,
  trim_scale(l.overage)::text as overage, l.adjustment`
const TYPES: Record<BillingFormat, string> = { csv: 'text/csv; charset=utf-8', jsonl: 'application/x-ndjson' }
/** What a cut is made of; the lines themselves are what the caller may see. */
const READS = ['usage:read', 'customers:read', 'meters:read', 'tiers:read', 'billing-periods:read']

/** What people wrote is kept from being a formula; what is taken back has a minus, and stays a number. */
function toCells(row: StoredLine): StoredLine {
  return { ...row, customer: escapeFormula(row.customer), meter_name: escapeFormula(row.meter_name) }
}

function encode(format: BillingFormat): (rows: StoredLine[], first: boolean) => Uint8Array {
  if (format === 'jsonl') return (rows) => Buffer.from(rows.map((row) => `${JSON.stringify(toLine(row))}\n`).join(''))
  return (rows, first) =>
    Buffer.from(
      rows.length === 0 && !first
        ? ''
        : stringify(rows.map(toCells), {
            columns: [...COLUMNS],
            header: first,
            cast: { boolean: (value) => String(value) },
            record_delimiter: 'windows',
          }),
    )
}

async function toFile(
  name: string,
  format: BillingFormat,
  metadata: Record<string, unknown>,
  statement: () => Promise<{ text: string; values: unknown[] }>,
  actor: Actor,
  signal: AbortSignal,
): Promise<BillingFile> {
  const { tenantId, actor: caller } = currentContext()
  const body = await streamRows<StoredLine>(tenantId, actor, {
    prepare: async () => {
      // In a transaction of its own, as who asked for it: it stays when the file breaks off.
      await runOutsideTenant(() =>
        runInTenant(tenantId, caller, () => AuditLogger.logExport('billing_period', { format, ...metadata })),
      )
      return statement()
    },
    encode: encode(format),
    signal,
    onEnd: (rows, error) => {
      if (error) log.info({ error: error.message, rows }, 'billing export ended early')
    },
  })
  return { file_name: `${name}.${format}`, content_type: TYPES[format], body }
}

/**
 * Usage received in a range, as lines, cut now: nothing is kept. To be called outside of a transaction.
 * @throws AppError invalid_input for a range that is turned round, rate_limited while too many exports run.
 */
export async function exportUsageCut(
  { from, to, format }: BillingExportQuery,
  slug: string,
  signal: AbortSignal,
): Promise<BillingFile> {
  const { tenantId, actor } = currentContext()
  const zone = await readTimeZone()
  const today = dayIn(zone)
  const start = readMoment(from ?? `${today.slice(0, 8)}01`, zone)
  // Nothing was received in the future, and periods until the year 9999 would be gone through for it.
  const now = new Date()
  const asked = to === undefined ? now : readMoment(to, zone)
  const end = asked < now ? asked : now
  if (start >= end) throw invalidInput('/from', start < asked ? 'must be in the past' : 'must be before `to`')
  const reader = { ...actor, permissions: [...new Set([...actor.permissions, ...READS])] }
  return toFile(
    `${slug}-usage-${start.toISOString().slice(0, 10)}-${end.toISOString().slice(0, 10)}`,
    format,
    { from: start, to: end },
    async () => {
      // What was received by now is committed first: the same range is the same later, and the next one begins where it ends.
      await tenantQuery('select app.await_usage_writers($1)', [tenantId])
      return {
        text: `select ${SELECTED} from app.cut_usage($1, $2, $3, $4, false) l`,
        values: [tenantId, zone, start, end],
      }
    },
    reader,
    signal,
  )
}

/** The lines of a closed period as a file. To be called outside of a transaction. @throws AppError not_found. */
export async function downloadBillingPeriod(
  id: string,
  format: BillingFormat,
  slug: string,
  signal: AbortSignal,
): Promise<BillingFile> {
  const { tenantId, actor } = currentContext()
  const { ends_at } = await getBillingPeriod(id)
  return toFile(
    `${slug}-billing-${ends_at.slice(0, 10)}`,
    format,
    { billing_period_id: id },
    () =>
      Promise.resolve({
        text: `select ${SELECTED} from billing_lines l where l.tenant_id = $1 and l.billing_period_id = $2
          order by l.customer_id, l.meter_id, l.starts_on`,
        values: [tenantId, id],
      }),
    actor,
    signal,
  )
}
