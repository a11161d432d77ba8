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

export type BillingFile = { file_name: string; content_type: string; body: ReadableStream<Uint8Array> | null }
/** How a file is asked for: as a request does. HEAD gets no body, and nothing is read for it or recorded. */
type Asked = { method: string; signal: AbortSignal }

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
/** A cut is made of so many customers at a time, at least, and at most of so many such parts: each looks through what was received. */
const CUSTOMERS_AT_ONCE = 500
const MOST_PARTS = 16
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

/**
 * Rows as a file. `billing_period.exported` is on record before the first byte leaves, and `billing_period.export_completed`
 * with the number of lines afterwards: a failure, where the file is not whole.
 */
async function toFile(
  name: string,
  format: BillingFormat,
  metadata: Record<string, unknown>,
  statement: () => Promise<{ text: string; values: unknown[] }>,
  actor: Actor,
  { method, signal }: Asked,
): Promise<BillingFile> {
  const { tenantId, actor: caller } = currentContext()
  const file = { file_name: `${name}.${format}`, content_type: TYPES[format] }
  if (method === 'HEAD') return { ...file, body: null }
  // In transactions of their own, as who asked for it: they stay when the file breaks off.
  const record = (work: () => Promise<string>) => runOutsideTenant(() => runInTenant(tenantId, caller, work))
  let exportId = ''
  const body = await streamRows<StoredLine>(tenantId, actor, {
    prepare: async () => {
      exportId = await record(() => AuditLogger.logExport('billing_period', { format, ...metadata }))
      return statement()
    },
    encode: encode(format),
    signal,
    onEnd: async (lines, error) => {
      if (error) log.info({ error: error.message, export_id: exportId, lines }, 'billing export ended early')
      if (exportId === '') return
      await record(() =>
        AuditLogger.log({
          action: 'billing_period.export_completed',
          target_type: 'billing_period',
          target_id: exportId,
          outcome: error ? 'failure' : 'success',
          metadata: { lines },
        }),
      ).catch((failure: unknown) =>
        log.warn({ error: String(failure), export_id: exportId }, 'end of a billing export not recorded'),
      )
    },
  })
  return { ...file, body }
}

// A cut is made when it is asked for its first row: the lines of the first customers leave before those of the next are looked for.
const CUT = `
  select ${SELECTED}
  from (
    select c.id as since, lead(c.id) over (order by c.id) as until
    from (
      select u.id, row_number() over (order by u.id) - 1 as place, count(*) over () as customers from customers u where u.tenant_id = $1
    ) c
    where c.place % greatest($5, ceil(c.customers::numeric / $6)) = 0
    order by c.id
  ) c
  cross join lateral app.cut_usage($1, $2, $3, $4, false, c.since, c.until) l`

/**
 * Usage received in a range, as lines, cut now: nothing is kept. To be called outside of a transaction.
 * @throws AppError invalid_input for a range that is turned round, rate_limited while too many exports run.
 */
export async function exportUsageCut(
  { from, to, format }: BillingExportQuery,
  slug: string,
  request: Asked,
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
      return { text: CUT, values: [tenantId, zone, start, end, CUSTOMERS_AT_ONCE, MOST_PARTS] }
    },
    reader,
    request,
  )
}

/** The lines of a closed period as a file. To be called outside of a transaction. @throws AppError not_found. */
export async function downloadBillingPeriod(
  id: string,
  format: BillingFormat,
  slug: string,
  request: Asked,
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
    request,
  )
}
