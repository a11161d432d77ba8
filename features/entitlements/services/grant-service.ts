import { cutPage, type Page, readCursor } from '@/libs/api-utils/page'
import { tenantQuery } from '@/libs/db/tenant-db'
import { invalidInput, notFound } from '@/libs/errors'
import { isUuid, newId } from '@/libs/ids'
import { type Quantity, toQuantity } from '@/libs/ingest/decimal'
import { requireMeter, resolveMeterFilter } from '@/libs/metering/find-meter'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { readTimeZone } from '@/libs/tenancy/time-zone'
import type { GrantInput, GrantListQuery } from '../schema'
import { findCustomer, isAdditive, type MeterRow } from './entitled-customer'

/** An amount of a meter given to a customer on top of its allowance, as it stands now. */
export type Grant = {
  id: string
  meter: Omit<MeterRow, 'aggregation'>
  amount: Quantity
  remaining: Quantity
  priority: number
  effective_at: Date
  expires_at: Date | null
  recurrence: 'day' | 'week' | 'month' | 'year' | null
  rollover: { min: Quantity; max: Quantity }
  state: 'scheduled' | 'active' | 'used' | 'expired' | 'voided'
  issued_at: Date | null
  issues: number
  next_issue_at: Date | null
  metadata: unknown
  created_at: Date
  closed_at: Date | null
  voided_at: Date | null
}
type Stored = Omit<Grant, 'amount' | 'remaining' | 'rollover'> & {
  amount: string
  remaining: string
  rollover_min: string
  rollover_max: string
}
/** In JSON moments are text. */
export type GrantJson = {
  [Key in keyof Stored]: Stored[Key] extends Date
    ? string
    : Stored[Key] extends Date | null
      ? string | null
      : Stored[Key]
}

const LATEST_BACK_MS = 35 * 86_400_000
/** Of a customer ($2) of a tenant ($1) as they stand, in a time zone ($3): grants as `g`. */
const SELECT = `
  select g.id, jsonb_build_object('id', m.id, 'slug', m.slug, 'name', m.name, 'unit', m.unit) as meter, g.amount::text, g.remaining::text,
    g.priority, g.effective_at, g.expires_at, g.recurrence, g.rollover_min::text, g.rollover_max::text,
    case when g.voided_at is not null then 'voided' when g.closed_at is not null then 'expired' when g.issues = 0 then 'scheduled'
      when g.remaining = 0 then 'used' else 'active' end as state,
    g.issued_at, g.issues, case when g.closed_at is null then d.due end as next_issue_at, g.metadata, g.created_at, g.closed_at, g.voided_at
  from app.customer_grants($1, $2, statement_timestamp(), $3) g
  join meters m on m.tenant_id = $1 and m.id = g.meter_id
  cross join lateral (
    select case when x.due < coalesce(g.expires_at, 'infinity') then x.due end as due
    from (select app.grant_due(g.effective_at, g.recurrence, g.issues, $3) as due) x
  ) d`

/** Grants of a customer, the newest first. @throws AppError not_found, also for a meter that is not there. */
export async function listGrants(customerRef: string, query: GrantListQuery): Promise<Page<Grant>> {
  const { cursor, limit, meter, state } = query
  const customer = await findCustomer(customerRef)
  const [before] = readCursor(cursor, isUuid)
  const rows = await tenantQuery<Stored>(
    `${SELECT}
     where ($4::uuid is null or g.meter_id = $4)
       and ($5 = 'all' or (g.closed_at is null) = ($5 = 'open')) and ($6::uuid is null or g.id < $6)
     order by g.id desc limit $7`,
    [
      currentContext().tenantId,
      customer.id,
      await readTimeZone(),
      await resolveMeterFilter(meter),
      state,
      before,
      limit + 1,
    ],
  )
  return cutPage(rows.map(toGrant), limit, ({ id }) => [id])
}

/** One grant of a customer. @throws AppError not_found. */
export async function getGrant(customerRef: string, grantId: string): Promise<Grant> {
  const customer = await findCustomer(customerRef)
  const [row] = isUuid(grantId)
    ? await tenantQuery<Stored>(`${SELECT} where g.id = $4`, [
        currentContext().tenantId,
        customer.id,
        await readTimeZone(),
        grantId,
      ])
    : []
  if (!row) throw notFound()
  return toGrant(row)
}

/**
 * Gives a customer an amount of a meter on top of its allowance. @throws AppError not_found, invalid_input when the meter
 * does not add up, or the customer has no cap of it that a grant could add to.
 */
export async function createGrant(customerRef: string, input: GrantInput): Promise<Grant> {
  const { tenantId } = currentContext()
  const customer = await findCustomer(customerRef)
  const meter = await requireMeter(input.meter)
  if (!isAdditive(meter)) throw invalidInput('/meter', 'takes no grants: only meters that add up do (SUM, COUNT)')
  const now = new Date()
  const effective = input.effective_at ?? now
  if (effective.getTime() < now.getTime() - LATEST_BACK_MS)
    throw invalidInput('/effective_at', 'lies more than 35 days back')
  if (input.expires_at && input.expires_at <= effective) throw invalidInput('/expires_at', 'must be after effective_at')
  if (input.expires_at && input.expires_at <= now) throw invalidInput('/expires_at', 'must be in the future')
  const caps = await tenantQuery('select cap_limit from app.effective_cap($1, $2, $3)', [
    tenantId,
    customer.id,
    meter.id,
  ])
  if (caps.length === 0) {
    throw invalidInput(
      '/meter',
      'has no cap for this customer, so nothing limits it; give it an entitlement for the meter first',
    )
  }
  const id = newId()
  await tenantQuery('select app.add_grant($1, $2, clock_timestamp(), $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)', [
    tenantId,
    await readTimeZone(),
    id,
    customer.id,
    meter.id,
    input.amount,
    input.priority,
    input.effective_at ?? null,
    input.expires_at ?? null,
    input.recurrence ?? null,
    input.rollover?.min ?? '0',
    input.rollover?.max ?? (input.recurrence ? '0' : input.amount),
    input.metadata ? JSON.stringify(input.metadata) : null,
  ])
  return getGrant(customer.id, id)
}

/** Takes back what is left of a grant; what was used of it stays used. Safe to repeat. @throws AppError not_found. */
export async function voidGrant(customerRef: string, grantId: string): Promise<Grant> {
  const { id } = await getGrant(customerRef, grantId)
  await tenantQuery('select app.void_grant($1, $2, clock_timestamp(), $3)', [
    currentContext().tenantId,
    await readTimeZone(),
    id,
  ])
  return getGrant(customerRef, id)
}

/** A select of the newest open grants of a meter ($4) as one JSON list: for a statement that says more of the same moment. */
export const openGrants = (most: number) => `
  select coalesce(jsonb_agg(o order by o.id desc), '[]') from (
    ${SELECT} where g.meter_id = $4 and g.closed_at is null order by g.id desc limit ${most}
  ) o`

/** A grant out of `openGrants`. */
export function parseGrant(row: GrantJson): Grant {
  const moment = (text: string | null) => (text === null ? null : new Date(text))
  return toGrant({
    ...row,
    effective_at: new Date(row.effective_at),
    expires_at: moment(row.expires_at),
    issued_at: moment(row.issued_at),
    next_issue_at: moment(row.next_issue_at),
    created_at: new Date(row.created_at),
    closed_at: moment(row.closed_at),
    voided_at: moment(row.voided_at),
  })
}

function toGrant({ rollover_min, rollover_max, amount, remaining, ...row }: Stored): Grant {
  return {
    ...row,
    amount: toQuantity(amount),
    remaining: toQuantity(remaining),
    rollover: { min: toQuantity(rollover_min), max: toQuantity(rollover_max) },
  }
}
