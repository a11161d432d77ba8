import { type Asked, exportRows, type RowFile } from '@/libs/audit/export-rows'
import { escapeFormula } from '@/libs/csv-cell'
import { CSV_TYPE, toCsv } from '@/libs/csv-file'
import { tenantQuery } from '@/libs/db/tenant-db'
import { invalidInput } from '@/libs/errors'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { readTimeZone } from '@/libs/tenancy/time-zone'
import { dayIn } from '@/libs/tenancy/zoned-day'
import type { BillingExportQuery, BillingFormat } from '../schema'
import { getBillingPeriod, METER_NAME, readMoment, type StoredLine, toLine } from './billing-period-service'

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
/** What a cut is made of; the lines themselves are what the caller may see. */
const READS = ['usage:read', 'customers:read', 'meters:read', 'tiers:read', 'billing-periods:read']

/** What people wrote is kept from being a formula; what is taken back has a minus, and stays a number. */
function toCells(row: StoredLine): StoredLine {
  return { ...row, customer: escapeFormula(row.customer), meter_name: escapeFormula(row.meter_name) }
}

function encode(format: BillingFormat, rows: StoredLine[], first: boolean): Uint8Array {
  if (format === 'jsonl') return Buffer.from(rows.map((row) => `${JSON.stringify(toLine(row))}\n`).join(''))
  const cast = { boolean: (value: boolean) => String(value) }
  return Buffer.from(toCsv(rows.map(toCells), { columns: [...COLUMNS], header: first, cast }))
}

/** What is the same for all files of lines. */
function fileOf(name: string, format: BillingFormat) {
  return {
    noun: 'billing_period',
    file_name: `${name}.${format}`,
    content_type: format === 'csv' ? CSV_TYPE : 'application/x-ndjson',
    counted: 'lines' as const,
    encode: (rows: StoredLine[], first: boolean) => encode(format, rows, first),
  }
}

/**
 * Usage received in a range, as lines, cut now: nothing is kept. To be called outside of a transaction.
 * @throws AppError invalid_input for a range that is turned round, rate_limited while too many exports run.
 */
export async function exportUsageCut(
  { from, to, format }: BillingExportQuery,
  slug: string,
  request: Asked,
): Promise<RowFile> {
  const { tenantId, actor } = currentContext()
  const zone = await readTimeZone()
  const today = dayIn(zone)
  const start = readMoment(from ?? `${today.slice(0, 8)}01`, zone)
  // Nothing was received in the future, and periods until the year 9999 would be gone through for it.
  const now = new Date()
  const asked = to === undefined ? now : readMoment(to, zone)
  const end = asked < now ? asked : now
  if (start >= end) throw invalidInput('/from', start < asked ? 'must be in the past' : 'must be before `to`')
  return exportRows<StoredLine>(
    {
      ...fileOf(`${slug}-usage-${start.toISOString().slice(0, 10)}-${end.toISOString().slice(0, 10)}`, format),
      reader: { ...actor, permissions: [...new Set([...actor.permissions, ...READS])] },
      prepare: async () => {
        // What was received by now is committed first: the same range is the same later, and the next one begins where it ends.
        await tenantQuery('select app.await_usage_writers($1)', [tenantId])
        // Cut as it is read: the lines of the first customers leave before those of the next are looked for.
        const text = `select ${SELECTED}
          from app.cut_parts($1) p cross join lateral app.cut_usage($1, $2, $3, $4, false, p.since, p.until) l`
        return { text, values: [tenantId, zone, start, end], metadata: { format, from: start, to: end } }
      },
    },
    request,
  )
}

/** The lines of a closed period as a file. To be called outside of a transaction. @throws AppError not_found. */
export async function downloadBillingPeriod(
  id: string,
  format: BillingFormat,
  slug: string,
  request: Asked,
): Promise<RowFile> {
  const { tenantId } = currentContext()
  const { ends_at } = await getBillingPeriod(id)
  return exportRows<StoredLine>(
    {
      ...fileOf(`${slug}-billing-${ends_at.slice(0, 10)}`, format),
      prepare: () =>
        Promise.resolve({
          text: `select ${SELECTED} from billing_lines l where l.tenant_id = $1 and l.billing_period_id = $2
            order by l.customer_id, l.meter_id, l.starts_on`,
          values: [tenantId, id],
          metadata: { format, billing_period_id: id },
        }),
    },
    request,
  )
}
