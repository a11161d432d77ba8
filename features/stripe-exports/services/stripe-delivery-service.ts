import { cutPage, type Page, readCursor } from '@/libs/api-utils/page'
import { tenantQuery } from '@/libs/db/tenant-db'
import { AppError, notFound } from '@/libs/errors'
import { isUuid } from '@/libs/ids'
import { toQuantity } from '@/libs/ingest/decimal'
import { resolveCustomerFilter } from '@/libs/metering/find-customers'
import { resolveMeterFilter } from '@/libs/metering/find-meter'
import { currentContext } from '@/libs/tenancy/tenant-context'
import type { StripeDelivery, StripeDeliveryListQuery } from '../schema'
import { getStripeExport, makeDue, requireOpenExport } from './stripe-export-service'

type DateColumn = 'hour' | 'happened_at' | 'next_attempt_at' | 'sent_at' | 'created_at'
type Stored = Omit<StripeDelivery, DateColumn | 'amount' | 'events'> & {
  amount: string
  events: string
  sent_at: Date | null
} & Record<Exclude<DateColumn, 'sent_at'>, Date>

const SELECT = `
  select d.id, d.event_name, d.hour, d.happened_at, trim_scale(d.amount)::text as amount, d.events::text as events, d.identifier, d.status,
    d.attempts, d.last_error, d.next_attempt_at, d.sent_at, d.created_at,
    jsonb_build_object('id', m.id, 'slug', m.slug, 'name', m.name, 'unit', m.unit) as meter,
    jsonb_build_object('id', c.id, 'external_id', c.external_id, 'name', c.name) as customer
  from stripe_deliveries d
  join meters m on m.tenant_id = $1 and m.id = d.meter_id
  join customers c on c.tenant_id = $1 and c.id = d.customer_id
  where d.tenant_id = $1 and d.stripe_export_id = $2`

const toRow = ({
  amount,
  events,
  hour,
  happened_at,
  next_attempt_at,
  sent_at,
  created_at,
  ...row
}: Stored): StripeDelivery => ({
  ...row,
  amount: toQuantity(amount),
  events: Number(events),
  hour: hour.toISOString(),
  happened_at: happened_at.toISOString(),
  next_attempt_at: row.status === 'pending' ? next_attempt_at.toISOString() : null,
  sent_at: sent_at?.toISOString() ?? null,
  created_at: created_at.toISOString(),
})

/** What went and is to go, the newest first. @throws AppError not_found. */
export async function listStripeDeliveries(
  exportId: string,
  { cursor, limit, status, meter, customer }: StripeDeliveryListQuery,
): Promise<Page<StripeDelivery>> {
  await getStripeExport(exportId)
  const [before] = readCursor(cursor, isUuid)
  const rows = await tenantQuery<Stored>(
    `${SELECT} and ($3::uuid is null or d.id < $3) and ($4::text is null or d.status = $4)
       and ($5::uuid is null or d.meter_id = $5) and ($6::uuid is null or d.customer_id = $6)
     order by d.id desc limit $7`,
    [
      currentContext().tenantId,
      exportId,
      before,
      status ?? null,
      await resolveMeterFilter(meter),
      await resolveCustomerFilter(customer),
      limit + 1,
    ],
  )
  return cutPage(rows.map(toRow), limit, ({ id }) => [id])
}

async function getDelivery(exportId: string, id: string): Promise<StripeDelivery> {
  if (!isUuid(id)) throw notFound()
  const [row] = await tenantQuery<Stored>(`${SELECT} and d.id = $3`, [currentContext().tenantId, exportId, id])
  if (!row) throw notFound()
  return toRow(row)
}

const RETRY = `update stripe_deliveries set status = 'pending', attempts = 0, uncertain_since = null, next_attempt_at = now()
  where tenant_id = $1 and stripe_export_id = $2 and status = 'failed'`

/** Sends a delivery that failed once more, under the same identifier. @throws AppError not_found, conflict. */
export async function retryStripeDelivery(exportId: string, id: string): Promise<StripeDelivery> {
  await requireOpenExport(exportId)
  const { status } = await getDelivery(exportId, id)
  if (status !== 'failed') throw new AppError('conflict', `Only what failed can be sent again; this one is ${status}.`)
  await tenantQuery(`${RETRY} and id = $3`, [currentContext().tenantId, exportId, id])
  await makeDue(exportId)
  return getDelivery(exportId, id)
}

/** Sends all that failed once more. @throws AppError not_found, conflict. */
export async function retryStripeDeliveries(exportId: string): Promise<{ retried: number }> {
  await requireOpenExport(exportId)
  const rows = await tenantQuery(`${RETRY} returning id`, [currentContext().tenantId, exportId])
  if (rows.length > 0) await makeDue(exportId)
  return { retried: rows.length }
}

/** Gives up a delivery that failed: somebody looked at Stripe and put it right there. @throws AppError not_found, conflict. */
export async function skipStripeDelivery(exportId: string, id: string): Promise<StripeDelivery> {
  await requireOpenExport(exportId)
  const { status } = await getDelivery(exportId, id)
  if (status !== 'failed') throw new AppError('conflict', `Only what failed can be given up; this one is ${status}.`)
  await tenantQuery(
    `update stripe_deliveries set status = 'skipped' where tenant_id = $1 and stripe_export_id = $2 and id = $3 and status = 'failed'`,
    [currentContext().tenantId, exportId, id],
  )
  return getDelivery(exportId, id)
}
