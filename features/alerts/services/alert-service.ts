import { cutPage, type Page, readCursor } from '@/libs/api-utils/page'
import { tenantDb, tenantQuery } from '@/libs/db/tenant-db'
import { invalidInput, notFound } from '@/libs/errors'
import { isUuid, newId } from '@/libs/ids'
import { type Quantity, toQuantity } from '@/libs/ingest/decimal'
import { findCustomerId } from '@/libs/metering/find-customers'
import { findMeter, resolveUsageFilter } from '@/libs/metering/find-meter'
import { currentContext } from '@/libs/tenancy/tenant-context'
import type { AlertInput, AlertKind, AlertListQuery, AlertPatch } from '../schema'

export type Alert = {
  id: string
  name: string
  kind: AlertKind
  threshold: Quantity
  recurring_every: Quantity | null
  tells_admins: boolean
  tells_customer: boolean
  tells_connectors: boolean
  enabled: boolean
  meter: { id: string; slug: string; name: string; unit: string }
  customer: { id: string; external_id: string; name: string | null } | null
  last_fired_at: Date | null
  created_at: Date
  updated_at: Date
  archived_at: Date | null
}

type StoredAlert = Omit<Alert, 'threshold' | 'recurring_every'> & { threshold: string; recurring_every: string | null }

const SELECT = `
  select r.id, r.name, r.kind, r.threshold::text, r.recurring_every::text, r.tells_admins, r.tells_customer, r.tells_connectors,
    r.enabled, r.created_at, r.updated_at, r.archived_at,
    jsonb_build_object('id', m.id, 'slug', m.slug, 'name', m.name, 'unit', m.unit) as meter,
    case when c.id is not null then jsonb_build_object('id', c.id, 'external_id', c.external_id, 'name', c.name) end as customer,
    f.fired_at as last_fired_at
  from alert_rules r
  join meters m on m.tenant_id = $1 and m.id = r.meter_id
  left join customers c on c.tenant_id = $1 and c.id = r.customer_id
  left join lateral (
    select max(x.fired_at) as fired_at from alert_firings x where x.tenant_id = $1 and x.rule_id = r.id
  ) f on true
  where r.tenant_id = $1`

const toAlert = ({ threshold, recurring_every, ...row }: StoredAlert): Alert => ({
  ...row,
  threshold: toQuantity(threshold),
  recurring_every: recurring_every === null ? null : toQuantity(recurring_every),
})

/** The rules that are in force or switched off, newest first. @throws AppError not_found for a filter that names nothing. */
export async function listAlerts({ cursor, limit, ...filter }: AlertListQuery): Promise<Page<Alert>> {
  const { meterId, customerId } = await resolveUsageFilter(filter)
  const [after] = readCursor(cursor, isUuid)
  const rows = await tenantQuery<StoredAlert>(
    `${SELECT} and r.archived_at is null and ($2::uuid is null or r.meter_id = $2) and ($3::uuid is null or r.customer_id = $3)
       and ($4::uuid is null or r.id < $4) order by r.id desc limit $5`,
    [currentContext().tenantId, meterId, customerId, after, limit + 1],
  )
  return cutPage(rows.map(toAlert), limit, ({ id }) => [id])
}

/** One rule by its id. @throws AppError not_found. */
export async function getAlert(id: string): Promise<Alert> {
  const rows = isUuid(id)
    ? await tenantQuery<StoredAlert>(`${SELECT} and r.id = $2`, [currentContext().tenantId, id])
    : []
  const [row] = rows
  if (!row) throw notFound()
  return toAlert(row)
}

/** Makes a rule; what is reached already fires once the worker has looked. @throws AppError invalid_input. */
export async function createAlert({ meter, customer, ...fields }: AlertInput): Promise<Alert> {
  const watched = await findMeter(meter)
  if (!watched) throw invalidInput('/meter', 'there is no such meter')
  if (watched.archived_at) throw invalidInput('/meter', 'is archived')
  if (watched.aggregation === 'WEIGHTED_SUM')
    throw invalidInput('/meter', 'averages over time, so it passes thresholds without any event')
  const customerId = customer === null ? null : await findCustomerId(customer)
  if (customer !== null && !customerId) throw invalidInput('/customer', 'there is no such customer')
  const id = newId()
  await tenantDb()
    .insertInto('alert_rules')
    .values({ id, ...fields, meter_id: watched.id, customer_id: customerId })
    .execute()
  return getAlert(id)
}

/** Changes a rule. @throws AppError not_found, also for one that is archived. */
export async function updateAlert(id: string, patch: AlertPatch): Promise<Alert> {
  return change(id, patch)
}

/** Archives a rule: it fires no more. @throws AppError not_found. */
export async function archiveAlert(id: string): Promise<Alert> {
  return change(id, { archived_at: new Date() })
}

async function change(id: string, values: AlertPatch & { archived_at?: Date }): Promise<Alert> {
  if (!isUuid(id)) throw notFound()
  const row = await tenantDb()
    .updateTable('alert_rules')
    .set({ ...values, updated_at: new Date() })
    .where('id', '=', id)
    .where('archived_at', 'is', null)
    .returning('id')
    .executeTakeFirst()
  if (!row) throw notFound()
  return getAlert(row.id)
}

/**
 * 80 % and 100 % of every cap: for each meter that the present version of a tier or a customer's own entitlement caps, the
 * two rules where they are missing. Gives those it made.
 */
export async function createStandardAlerts(): Promise<Alert[]> {
  const { tenantId } = currentContext()
  // One at a time: two clicks at once make one set.
  await tenantQuery('select pg_advisory_xact_lock(hashtextextended($1, 2))', [`${tenantId} standard alerts`])
  const missing = await tenantQuery<{ meter_id: string; threshold: number }>(
    `select m.id as meter_id, s.threshold from meters m cross join (values (80), (100)) s (threshold)
     where m.tenant_id = $1 and m.archived_at is null and m.aggregation <> 'WEIGHTED_SUM'
       and (exists (select 1 from tier_caps c join tiers t on t.tenant_id = $1 and t.id = c.tier_id and t.version = c.version
           where c.tenant_id = $1 and c.meter_id = m.id and t.archived_at is null)
         or exists (select 1 from entitlements e where e.tenant_id = $1 and e.meter_id = m.id and e.canceled_at is null))
       and not exists (select 1 from alert_rules r where r.tenant_id = $1 and r.meter_id = m.id and r.customer_id is null
         and r.kind = 'usage_percent' and r.threshold = s.threshold and r.archived_at is null)
     order by m.slug, s.threshold`,
    [tenantId],
  )
  if (missing.length === 0) return []
  const rows = missing.map(({ meter_id, threshold }) => ({
    id: newId(),
    name: `${threshold} % of the cap`,
    meter_id,
    customer_id: null,
    kind: 'usage_percent',
    threshold: String(threshold),
  }))
  await tenantDb().insertInto('alert_rules').values(rows).execute()
  const made = await tenantQuery<StoredAlert>(`${SELECT} and r.id = any($2) order by r.id`, [
    tenantId,
    rows.map(({ id }) => id),
  ])
  return made.map(toAlert)
}
