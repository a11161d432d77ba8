import { escapeFormula, quantityCell } from '@/libs/csv-cell'
import { toCsv } from '@/libs/csv-file'
import { cutText } from '@/libs/cut-text'
import { tenantQuery } from '@/libs/db/tenant-db'
import { AppError, type InputError, nothingNamed } from '@/libs/errors'
import { isUuid } from '@/libs/ids'
import { toQuantity } from '@/libs/ingest/decimal'
import { findCustomerIds } from '@/libs/metering/find-customers'
import { FILLED, USED } from '@/libs/metering/load-usage'
import { type MeterFilter, propertiesOf } from '@/libs/metering/meter-filter'
import { MOST_CUSTOMERS, MOST_ROWS, type UsageQueryInput, type UsageSeries } from '@/libs/metering/usage-query'
import { readList } from '@/libs/metering/value-list'
import { routeTenant } from '@/libs/tenancy/resolve-tenant'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { resolveQueryRange } from './usage-range'

const DAY_MS = 86_400_000
/** Longest range of the small windows, in days. */
const LONGEST = { MINUTE: 7, HOUR: 366 } as const
/** The word that splits by customer, beside the properties of the meter. */
const CUSTOMER = 'customer'

type Meter = UsageSeries['meter']
type Row = {
  window_start: Date
  window_end: Date
  id: string | null
  external_id: string
  name: string | null
  group_values: Record<string, string | null> | null
  value: string | null
  events: number
}

function invalid(...errors: InputError[]): AppError {
  const [first] = errors
  const where = errors.length === 1 ? `${first?.pointer}: ${first?.detail}` : `${errors.length} fields`
  return new AppError('invalid_input', `Check ${where}.`, { errors })
}

/**
 * Usage of a meter over a range of event time, exactly: per window, customer and group as asked. Values are decimals of any
 * length; empty windows are left out unless `fill` asks for them. One total without window and groups is always one row.
 * @throws AppError not_found for the meter, invalid_input for anything asked that is not there, and beyond 50,000 rows.
 */
export async function queryUsage(ref: string, input: UsageQueryInput): Promise<UsageSeries> {
  const { tenantId } = currentContext()
  const { time_zone: ownZone } = await routeTenant(tenantId)
  const zone = input.time_zone ?? ownZone
  const meter = await findMeter(ref)
  const groups = input.group_by.filter((key) => key !== CUSTOMER)
  checkGroups(meter, input.group_by, input.filter)
  const { from, to } = await resolveQueryRange(input, zone)
  const window = input.window ?? null
  if (window === 'MINUTE' || window === 'HOUR') {
    const days = LONGEST[window]
    if (to.getTime() - from.getTime() > days * DAY_MS)
      throw invalid({
        pointer: '/window',
        detail: `${window} takes a range of at most ${days} days; choose a longer window`,
      })
  }
  const now = new Date()
  const customers = await findCustomers(input.customer)
  const byCustomer = input.group_by.includes(CUSTOMER)
  const rows = await tenantQuery<Row>(
    `select q.window_start, q.window_end, q.group_values, q.value::text, q.events::bigint, c.id, c.external_id, c.name
     from meters m
     cross join lateral app.query_usage($1, m.id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 or ${FILLED}, $13, $14) q
     left join customers c on c.tenant_id = $1 and c.id = q.customer_id
     where m.tenant_id = $1 and m.id = $2 and ($12 or ${USED})`,
    [
      tenantId,
      meter.id,
      from,
      to,
      window,
      zone,
      ownZone,
      customers,
      byCustomer,
      [...new Set(groups)],
      // Groups are kept as text.
      input.filter
        ? JSON.stringify(input.filter, (_, value) => (typeof value === 'boolean' ? String(value) : value))
        : null,
      input.fill || (window === null && input.group_by.length === 0),
      now,
      MOST_ROWS,
    ],
  )
  if (rows.length > MOST_ROWS) throw tooMany(input)
  return {
    meter,
    aggregation: meter.aggregation,
    from: from.toISOString(),
    to: to.toISOString(),
    window,
    time_zone: zone,
    as_of: now.toISOString(),
    data: rows.map(({ id, external_id, name, ...row }) => ({
      window_start: row.window_start.toISOString(),
      window_end: row.window_end.toISOString(),
      value: row.value === null ? null : toQuantity(row.value),
      events: Number(row.events),
      ...(id ? { customer: { id, external_id, name } } : {}),
      ...(row.group_values ? { group: row.group_values } : {}),
    })),
  }
}

async function findMeter(ref: string): Promise<Meter> {
  const [meter] = await tenantQuery<Meter>(
    `select id, slug, name, unit, aggregation, group_by from meters where tenant_id = $1 and ${isUuid(ref) ? 'id = $2' : 'slug = $2'}`,
    [currentContext().tenantId, ref.toLowerCase()],
  )
  if (!meter) throw new AppError('not_found', 'There is no such meter.')
  return meter
}

/** Ids of the customers asked for; null asks for all. What names nobody as it stands is a list, with commas. */
async function findCustomers(texts: readonly string[]): Promise<string[] | null> {
  if (texts.length === 0) return null
  const whole = await findCustomerIds(texts)
  const refs = texts.flatMap((text, at) => (whole[at] === null ? readList(text) : [whole[at] ?? '']))
  if (refs.length > MOST_CUSTOMERS)
    throw invalid({ pointer: '/customer', detail: `may have at most ${MOST_CUSTOMERS} entries` })
  const ids = await findCustomerIds(refs)
  const unknown = refs.filter((_, at) => ids[at] === null)
  if (unknown.length > 0)
    throw nothingNamed('/customer', `customer: ${unknown.map((name) => cutText(name, 255)).join(', ')}`)
  return ids.filter((id) => id !== null)
}

function checkGroups(meter: Meter, groupBy: readonly string[], filter: MeterFilter | undefined): void {
  const allowed = meter.group_by.length > 0 ? meter.group_by.join(', ') : 'none'
  const errors = [
    ...groupBy
      .filter((key) => key !== CUSTOMER && !meter.group_by.includes(key))
      .map((key) => ({
        pointer: '/group_by',
        detail: `${key} is not a group_by property of this meter; allowed: ${[...meter.group_by, CUSTOMER].join(', ')}`,
      })),
    ...(filter ? propertiesOf(filter) : [])
      .filter((key) => !meter.group_by.includes(key))
      .map((key) => ({
        pointer: '/filter',
        detail: `${key} is not a group_by property of this meter; allowed: ${allowed}`,
      })),
  ]
  if (errors.length > 0) throw invalid(...errors)
}

function tooMany({ window, group_by }: UsageQueryInput): AppError {
  return invalid({
    pointer: group_by.length > 0 ? '/group_by' : '/window',
    detail: `gives more than ${MOST_ROWS} rows${window ? ` of ${window} windows` : ''}; ask for a shorter range, a longer window, or fewer groups`,
  })
}

/** A series as CSV, one line per row; what it was split by are columns of their own, in the order asked for, also where there is no row. */
export function usageSeriesToCsv({ data }: UsageSeries, groupBy: readonly string[]): string {
  const customers = groupBy.includes(CUSTOMER)
  const keys = [...new Set(groupBy)].filter((key) => key !== CUSTOMER)
  const head = [
    'window_start',
    'window_end',
    ...(customers ? ['customer'] : []),
    ...keys.map((key) => escapeFormula(`group.${key}`)),
    'value',
    'events',
  ]
  const lines = data.map((row) => [
    row.window_start,
    row.window_end,
    ...(customers ? [escapeFormula(row.customer?.external_id ?? '')] : []),
    ...keys.map((key) => escapeFormula(row.group?.[key] ?? '')),
    quantityCell(row.value),
    String(row.events),
  ])
  return toCsv([head, ...lines])
}
