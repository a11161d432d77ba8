import { cutPage, isCursorMoment, type Page, readCursor } from '@/libs/api-utils/page'
import { tenantQuery } from '@/libs/db/tenant-db'
import { AppError, invalidInput, notFound } from '@/libs/errors'
import { isUuid, newId } from '@/libs/ids'
import { toQuantity } from '@/libs/ingest/decimal'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { readTimeZone } from '@/libs/tenancy/time-zone'
import { startOfDay } from '@/libs/tenancy/zoned-day'
import type {
  BillingLineListQuery,
  BillingLineRow,
  BillingPeriodInput,
  BillingPeriodListQuery,
  BillingPeriodRow,
} from '../schema'

const PERIOD = 'p.id, p.starts_at, p.ends_at, p.closed_at, p.lines, p.events, p.adjustments'
/** Of the meter of a line `l`, as it is now; $1 is the tenant. */
export const METER_NAME = '(select m.name from meters m where m.tenant_id = $1 and m.id = l.meter_id) as meter_name'
const LINE = `l.customer_id, l.customer, l.meter_id, l.meter, ${METER_NAME}, l.starts_on::text, l.ends_on::text, l.quantity::text, l.events, l.tier, l.tier_version,
  l.cap_limit::text, l.overage::text, l.adjustment`

/** Lines of the customer that $6 names; as everywhere, an id comes before an external id. The period is $2. */
const OF_CUSTOMER = `case when exists (select from billing_lines i
    where i.tenant_id = $1 and i.billing_period_id = $2 and i.customer_id = $10::uuid)
  then l.customer_id = $10::uuid else l.customer = $6 end`

/** What a period is made of, beside the right to close it. */
const READS = ['usage:read', 'customers:read', 'meters:read', 'tiers:read']

type StoredPeriod = {
  id: string
  starts_at: Date
  ends_at: Date
  closed_at: Date
  lines: number
  events: string
  adjustments: number
}
/** A line as the database gives it: amounts as exact text. */
export type StoredLine = Omit<BillingLineRow, 'quantity' | 'events' | 'cap_limit' | 'overage'> & {
  quantity: string
  events: string
  cap_limit: string | null
  overage: string | null
}

function toPeriod({ starts_at, ends_at, closed_at, events, ...rest }: StoredPeriod): BillingPeriodRow {
  return {
    ...rest,
    starts_at: starts_at.toISOString(),
    ends_at: ends_at.toISOString(),
    closed_at: closed_at.toISOString(),
    events: Number(events),
  }
}

/** A line as it goes out. */
export function toLine({ quantity, events, cap_limit, overage, ...rest }: StoredLine): BillingLineRow {
  const { customer_id, customer, meter_id, meter, meter_name, starts_on, ends_on, tier, tier_version, adjustment } =
    rest
  return {
    customer_id,
    customer,
    meter_id,
    meter,
    meter_name,
    starts_on,
    ends_on,
    quantity: toQuantity(quantity),
    events: Number(events),
    tier,
    tier_version,
    cap_limit: cap_limit === null ? null : toQuantity(cap_limit),
    overage: overage === null ? null : toQuantity(overage),
    adjustment,
  }
}

/** A moment, or the first moment of a day in a time zone. */
export function readMoment(text: string, zone: string): Date {
  return /^\d{4}-\d\d-\d\d$/.test(text) ? startOfDay(text, 0, zone) : new Date(text)
}

/**
 * Closes the time since the period before, up to `ends_at`. Its lines never change; what is received or corrected later
 * belongs to the next one. @throws AppError invalid_input when it ends in the future or not after the one before,
 * forbidden for a caller who does not see all usage, conflict while another time zone has not come to all totals yet.
 */
export async function closeBillingPeriod({ ends_at }: BillingPeriodInput): Promise<BillingPeriodRow> {
  const missing = READS.filter((permission) => !currentContext().actor.permissions.includes(permission))
  if (missing.length > 0)
    throw new AppError('forbidden', `Closing a period needs to see all of it: ${missing.join(', ')}.`, {
      extra: { required_permission: missing },
    })
  const zone = await readTimeZone()
  await tenantQuery("set local statement_timeout = '5min'")
  try {
    const [row] = await tenantQuery<StoredPeriod>(`select ${PERIOD} from app.close_billing_period($1, $2, $3, $4) p`, [
      currentContext().tenantId,
      zone,
      newId(),
      readMoment(ends_at, zone),
    ])
    if (!row) throw new Error('A period that was closed is there.')
    return toPeriod(row)
  } catch (error) {
    const { code, detail } = error as { code?: string; detail?: string }
    if (code === 'TM023') throw invalidInput('/ends_at', 'must not be in the future', error)
    if (code === 'TM027')
      throw new AppError(
        'conflict',
        'Usage is being counted anew by the days of another time zone. Try again in a moment.',
        { retry_after: 5 },
        error,
      )
    if (code !== 'TM024') throw error
    const { starts_at } = JSON.parse(detail ?? '{}') as { starts_at?: string }
    const earliest = starts_at ? new Date(starts_at).toISOString() : 'the period before'
    throw invalidInput('/ends_at', `must be after ${earliest}`, error)
  }
}

/** Closed periods, the newest first. */
export async function listBillingPeriods({ cursor, limit }: BillingPeriodListQuery): Promise<Page<BillingPeriodRow>> {
  const [before] = readCursor(cursor, isCursorMoment)
  const rows = await tenantQuery<StoredPeriod>(
    `select ${PERIOD} from billing_periods p where p.tenant_id = $1 and ($2::timestamptz is null or p.starts_at < $2)
     order by p.starts_at desc limit $3`,
    [currentContext().tenantId, before, limit + 1],
  )
  return cutPage(rows.map(toPeriod), limit, ({ starts_at }) => [starts_at])
}

/** One closed period. @throws AppError not_found. */
export async function getBillingPeriod(id: string): Promise<BillingPeriodRow> {
  if (!isUuid(id)) throw notFound()
  const [row] = await tenantQuery<StoredPeriod>(
    `select ${PERIOD} from billing_periods p where p.tenant_id = $1 and p.id = $2`,
    [currentContext().tenantId, id],
  )
  if (!row) throw notFound()
  return toPeriod(row)
}

/** The lines of a closed period, by customer, meter and period of usage. @throws AppError not_found. */
export async function listBillingLines(
  id: string,
  { cursor, limit, customer, meter, adjustment }: BillingLineListQuery,
): Promise<Page<BillingLineRow>> {
  await getBillingPeriod(id)
  const [afterCustomer, afterMeter, afterDay] = readCursor(cursor, isUuid, isUuid, isCursorMoment)
  const rows = await tenantQuery<StoredLine>(
    `select ${LINE} from billing_lines l
     where l.tenant_id = $1 and l.billing_period_id = $2
       and ($3::uuid is null or (l.customer_id, l.meter_id, l.starts_on) > ($3, $4, $5::date))
       and ($6::text is null or ${OF_CUSTOMER}) and ($7::text is null or l.meter = $7 or l.meter_id::text = $7)
       and ($8::boolean is null or l.adjustment = $8)
     order by l.customer_id, l.meter_id, l.starts_on limit $9`,
    [
      currentContext().tenantId,
      id,
      afterCustomer,
      afterMeter,
      afterDay,
      customer ?? null,
      meter ?? null,
      adjustment ?? null,
      limit + 1,
      customer !== undefined && isUuid(customer) ? customer : null,
    ],
  )
  const page = cutPage(rows, limit, (row) => [row.customer_id, row.meter_id, row.starts_on])
  return { data: page.data.map(toLine), next_cursor: page.next_cursor }
}
