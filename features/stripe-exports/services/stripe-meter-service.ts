import { tenantQuery } from '@/libs/db/tenant-db'
import { invalidInput, notFound } from '@/libs/errors'
import { isUuid, newId } from '@/libs/ids'
import { currentContext } from '@/libs/tenancy/tenant-context'
import { OLDEST_DAYS, type StripeExport, type StripeMeter, type StripeMeterInput } from '../schema'
import { getStripeExport, makeDue, requireOpenExport } from './stripe-export-service'

type Stored = {
  meter: { id: string; slug: string; name: string; unit: string; aggregation: string; archived_at: string | null }
  event_name: string | null
  enabled: boolean | null
  cut_at: Date | null
}

const SELECT = `
  select jsonb_build_object('id', m.id, 'slug', m.slug, 'name', m.name, 'unit', m.unit, 'aggregation', m.aggregation,
      'archived_at', m.archived_at) as meter,
    s.event_name, s.enabled, s.cut_at
  from meters m left join stripe_meters s on s.tenant_id = $1 and s.stripe_export_id = $2 and s.meter_id = m.id
  where m.tenant_id = $1`

/** Why usage of a meter cannot go to Stripe as increments; null when it can. */
function reasonAgainst({ aggregation, archived_at }: Stored['meter'], mapped: boolean): string | null {
  if (aggregation !== 'SUM' && aggregation !== 'COUNT')
    return `${aggregation} does not add up, and Stripe is sent increments. Only SUM and COUNT can be pushed.`
  return archived_at && !mapped ? 'The meter is archived.' : null
}

const toRow = ({ meter, event_name, enabled, cut_at }: Stored): StripeMeter => ({
  meter: { ...meter, archived_at: meter.archived_at && new Date(meter.archived_at).toISOString() },
  mapped: event_name !== null,
  // The slug and not the event_type: several meters may share a type, and Stripe would add them up.
  event_name: event_name ?? meter.slug,
  enabled: enabled ?? false,
  cut_at: cut_at?.toISOString() ?? null,
  reason: reasonAgainst(meter, event_name !== null),
})

/** All meters with what is mapped of them, and why the others cannot be. @throws AppError not_found. */
export async function listStripeMeters(exportId: string): Promise<StripeMeter[]> {
  await getStripeExport(exportId)
  const rows = await tenantQuery<Stored>(
    `${SELECT} and (m.archived_at is null or s.id is not null) order by m.slug limit 1000`,
    [currentContext().tenantId, exportId],
  )
  return rows.map(toRow)
}

async function findRow(exportId: string, meter: string): Promise<Stored> {
  const rows = await tenantQuery<Stored>(`${SELECT} and (m.slug = $3 or m.id = $4)`, [
    currentContext().tenantId,
    exportId,
    meter.toLowerCase(),
    isUuid(meter) ? meter : null,
  ])
  const [row] = rows
  if (!row) throw notFound()
  return row
}

/**
 * Until when usage of a meter, received after `from`, was pushed to this account before, may have been, or is to be; null for none of it.
 * As text, to the microsecond.
 */
async function pushedUntil({ account_id, mode }: StripeExport, meterId: string, from: string): Promise<string | null> {
  const [row] = await tenantQuery<{ until: string | null }>(
    `select to_char(max(d.cut_at) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as until
     from stripe_deliveries d join stripe_exports x on x.tenant_id = $1 and x.id = d.stripe_export_id
     where d.tenant_id = $1 and d.meter_id = $2 and d.cut_at > $3 and (d.status <> 'skipped' or d.uncertain_since is not null)
       and x.mode = $4 and coalesce(x.account_id = $5, true)`,
    [currentContext().tenantId, meterId, from, mode, account_id],
  )
  return row?.until ?? null
}

/** Maps a meter to a meter at Stripe, or changes how. @throws AppError not_found, invalid_input, conflict. */
export async function putStripeMeter(
  exportId: string,
  meter: string,
  { event_name, enabled, from }: StripeMeterInput,
): Promise<StripeMeter> {
  const connection = await requireOpenExport(exportId)
  const { tenantId } = currentContext()
  const row = await findRow(exportId, meter)
  const mapped = row.event_name !== null
  const reason = reasonAgainst(row.meter, mapped)
  if (reason) throw invalidInput('/meter', reason)
  if (from !== undefined) {
    if (mapped) throw invalidInput('/from', 'is set once, when the meter is added: moving it would count usage twice')
    const age = Date.now() - Date.parse(from)
    if (age < 0) throw invalidInput('/from', 'must not be in the future')
    if (age > OLDEST_DAYS * 86_400_000) throw invalidInput('/from', `must be at most ${OLDEST_DAYS} days back`)
    const until = await pushedUntil(connection, row.meter.id, from)
    if (until)
      throw invalidInput('/from', `is too early: what was received until ${until} has been pushed to this account`)
  }
  const name = event_name ?? row.event_name ?? row.meter.slug
  if (name.length > 100)
    throw invalidInput('/event_name', 'is missing, and the slug is longer than the 100 characters Stripe takes')
  const [other] = await tenantQuery<{ slug: string }>(
    `select m.slug from stripe_meters s join meters m on m.tenant_id = $1 and m.id = s.meter_id
     where s.tenant_id = $1 and s.stripe_export_id = $2 and s.event_name = $3 and s.meter_id <> $4`,
    [tenantId, exportId, name, row.meter.id],
  )
  if (other) throw invalidInput('/event_name', `is taken by ${other.slug}: Stripe would add the two up`)
  await tenantQuery(
    `insert into stripe_meters (tenant_id, id, stripe_export_id, meter_id, event_name, enabled, cut_at, begins_at)
     select $1, $2, $3, $4, $5, coalesce($6, true), b.at, b.at from (select coalesce($7, clock_timestamp())) b (at)
     on conflict (tenant_id, stripe_export_id, meter_id) do update
       set event_name = excluded.event_name, enabled = coalesce($6, stripe_meters.enabled), updated_at = now()`,
    [tenantId, newId(), exportId, row.meter.id, name, enabled ?? null, from ?? null],
  )
  await makeDue(exportId)
  return toRow(await findRow(exportId, meter))
}

/** Pushes a meter no more; what is written down already still goes. @throws AppError not_found, conflict. */
export async function removeStripeMeter(exportId: string, meter: string): Promise<void> {
  await requireOpenExport(exportId)
  const row = await findRow(exportId, meter)
  const gone = await tenantQuery(
    'delete from stripe_meters where tenant_id = $1 and stripe_export_id = $2 and meter_id = $3 returning id',
    [currentContext().tenantId, exportId, row.meter.id],
  )
  if (gone.length === 0) throw notFound()
}
