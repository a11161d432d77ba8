import { cutPositioned, isCursorMoment, readCursor } from '@/libs/api-utils/page'
import { tenantQuery } from '@/libs/db/tenant-db'
import { notFound } from '@/libs/errors'
import { isUuid } from '@/libs/ids'
import { type Quantity, toQuantity } from '@/libs/ingest/decimal'
import { type StoredUsage, toUsageLine, USAGE_LINE, type UsageLine } from '@/libs/metering/customer-usage'
import { requireMeter } from '@/libs/metering/find-meter'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { readTimeZone } from '@/libs/tenancy/time-zone'
import type { HistoryQuery } from '../schema'
import { findCustomer } from './entitled-customer'
import { type Grant, type GrantJson, openGrants, parseGrant } from './grant-service'

export type Balance = { customer_id: string } & UsageLine & { grants: Grant[] }
export type BalanceEntry = {
  id: string
  kind: string
  amount: Quantity
  balance: Quantity
  grant_id: string | null
  occurred_at: Date
}
export type BalanceHistory = {
  data: BalanceEntry[]
  next_cursor: string | null
  daily: { day: string; used: Quantity; events: number }[]
}

const MOST_GRANTS = 200

/** Where a customer stands with a meter, and the grants that count, at one moment. @throws AppError not_found, invalid_input for the meter. */
export async function getBalance(customerRef: string, meterRef: string): Promise<Balance> {
  const customer = await findCustomer(customerRef)
  const meter = await requireMeter(meterRef)
  const [row] = await tenantQuery<StoredUsage & { grants: GrantJson[] }>(
    `select ${USAGE_LINE}, (${openGrants(MOST_GRANTS)}) as grants from app.customer_usage($1, $2, $3) u where u.meter_id = $4`,
    [currentContext().tenantId, customer.id, await readTimeZone(), meter.id],
  )
  if (!row) throw notFound()
  const { grants, ...stored } = row
  const { terms: _terms, ...shown } = toUsageLine(stored)
  return { customer_id: customer.id, ...shown, grants: grants.map(parseGrant) }
}

/**
 * What happened to a balance beside usage, the newest first; the first page also has the usage of the last 90 days.
 * @throws AppError not_found, invalid_input for the meter.
 */
export async function listBalanceHistory(customerRef: string, query: HistoryQuery): Promise<BalanceHistory> {
  const customer = await findCustomer(customerRef)
  const meter = await requireMeter(query.meter)
  const [occurredAt, id] = readCursor(query.cursor, isCursorMoment, isUuid)
  const rows = await tenantQuery<StoredEntry>(
    `select id, kind, amount::text, balance::text, grant_id, occurred_at, occurred_at::text as position from balance_entries
     where tenant_id = $1 and customer_id = $2 and meter_id = $3
       and ($4::timestamptz is null or (occurred_at, id) < ($4, $5::uuid))
     order by occurred_at desc, id desc limit $6`,
    [currentContext().tenantId, customer.id, meter.id, occurredAt, id, query.limit + 1],
  )
  const page = cutPositioned(rows, query.limit)
  return {
    data: page.data.map((row) => ({ ...row, amount: toQuantity(row.amount), balance: toQuantity(row.balance) })),
    next_cursor: page.next_cursor,
    daily: query.cursor === undefined ? await loadDaily(customer.id, meter.id) : [],
  }
}

type StoredEntry = Omit<BalanceEntry, 'amount' | 'balance'> & { amount: string; balance: string; position: string }

async function loadDaily(customerId: string, meterId: string): Promise<BalanceHistory['daily']> {
  const rows = await tenantQuery<{ day: string; used: string; events: string }>(
    `select u.day::text, u.events::text, u.used::text from (
       select d.day::date as day, coalesce(k.events, 0) as events,
         case when m.aggregation = 'WEIGHTED_SUM' then app.weighted_average($1, m.id, $3, d.day::date, app.day_start(d.day::date, $4),
             least(app.day_start(d.day::date + 1, $4), statement_timestamp()), k.used, k.moment)
           else app.metered_value(m.aggregation, k.used, k.events) end as used
       from meters m
       cross join (select (statement_timestamp() at time zone $4)::date as today) t
       cross join generate_series(t.today - 89, t.today, interval '1 day') d (day)
       left join usage_counters k on k.tenant_id = $1 and k.period = 'day' and k.meter_id = m.id and k.starts_on = d.day::date and k.customer_id = $3
       where m.tenant_id = $1 and m.id = $2 and (k.events > 0 or m.aggregation = 'WEIGHTED_SUM')
     ) u
     where u.events > 0 or u.used <> 0
     order by u.day`,
    [currentContext().tenantId, meterId, customerId, await readTimeZone()],
  )
  return rows.map(({ day, used, events }) => ({ day, used: toQuantity(used), events: Number(events) }))
}
