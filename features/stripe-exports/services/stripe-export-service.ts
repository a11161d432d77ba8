import { cutPage, type Page, type PageQuery, readCursor } from '@/libs/api-utils/page'
import { sealSecret } from '@/libs/crypto/tenant-secrets'
import { tenantQuery } from '@/libs/db/tenant-db'
import { AppError, invalidInput, notFound } from '@/libs/errors'
import { isUuid, newId } from '@/libs/ids'
import { currentContext } from '@/libs/tenancy/tenant-context'
import type { StripeExport, StripeExportInput, StripeExportPatch } from '../schema'

/** Topic of the outbox that wakes the worker for a tenant's account. */
export const STRIPE_TOPIC = 'stripe_exports'

type DateColumn = 'paused_until' | 'checked_at' | 'pushed_at' | 'created_at' | 'updated_at' | 'disconnected_at'
type Stored = Omit<StripeExport, DateColumn> &
  Record<'created_at' | 'updated_at', Date> &
  Record<Exclude<DateColumn, 'created_at' | 'updated_at'>, Date | null>

const SELECT = `
  select x.id, x.status, x.enabled, x.mode, x.last_four, x.account_id, x.account_name, x.last_error, x.paused_until, x.checked_at,
    x.pushed_at, x.created_at, x.updated_at, x.disconnected_at, n.pending, n.failed
  from stripe_exports x
  cross join lateral (
    select count(*) filter (where d.status = 'pending')::int as pending, count(*) filter (where d.status = 'failed')::int as failed
    from stripe_deliveries d
    where d.tenant_id = $1 and d.stripe_export_id = x.id and d.status in ('pending', 'failed')
  ) n
  where x.tenant_id = $1`

const toRow = ({ created_at, updated_at, ...row }: Stored): StripeExport => ({
  ...row,
  paused_until: row.paused_until && row.paused_until > new Date() ? row.paused_until.toISOString() : null,
  checked_at: row.checked_at?.toISOString() ?? null,
  pushed_at: row.pushed_at?.toISOString() ?? null,
  disconnected_at: row.disconnected_at?.toISOString() ?? null,
  created_at: created_at.toISOString(),
  updated_at: updated_at.toISOString(),
})

/** Where the key of a connection is sealed for. */
export const secretPlace = (tenant_id: string, row: string) => ({
  tenant_id,
  table: 'stripe_exports',
  column: 'secret',
  row,
})

const keyColumns = async (secret_key: string, id: string) => ({
  secret: await sealSecret(secret_key, secretPlace(currentContext().tenantId, id)),
  last_four: secret_key.slice(-4),
  mode: secret_key.split('_')[1] === 'live' ? 'live' : 'test',
})

/** Wakes the worker for the current tenant's account, in this transaction. */
async function wakeWorker(): Promise<void> {
  await tenantQuery('insert into outbox (tenant_id, id, topic, payload) values ($1, $2, $3, $4)', [
    currentContext().tenantId,
    newId(),
    STRIPE_TOPIC,
    '{}',
  ])
}

/** Connections, the newest first: at most one is not disconnected. */
export async function listStripeExports({ cursor, limit }: PageQuery): Promise<Page<StripeExport>> {
  const [before] = readCursor(cursor, isUuid)
  const rows = await tenantQuery<Stored>(`${SELECT} and ($2::uuid is null or x.id < $2) order by x.id desc limit $3`, [
    currentContext().tenantId,
    before,
    limit + 1,
  ])
  return cutPage(rows.map(toRow), limit, ({ id }) => [id])
}

/** One connection. @throws AppError not_found. */
export async function getStripeExport(id: string): Promise<StripeExport> {
  if (!isUuid(id)) throw notFound()
  const [row] = await tenantQuery<Stored>(`${SELECT} and x.id = $2`, [currentContext().tenantId, id])
  if (!row) throw notFound()
  return toRow(row)
}

/** As getStripeExport, for what is still connected. @throws AppError not_found, conflict for a former one. */
export async function requireOpenExport(id: string): Promise<StripeExport> {
  const row = await getStripeExport(id)
  if (row.status === 'disconnected')
    throw new AppError('conflict', 'This connection has ended. Connect the account again.')
  return row
}

/**
 * Connects the tenant's account. The worker tries the key at once; `status` then says how it went.
 * @throws AppError conflict while another account is connected, or when secrets cannot be kept here.
 */
export async function connectStripe({ secret_key }: StripeExportInput): Promise<StripeExport> {
  const { tenantId } = currentContext()
  const id = newId()
  const { secret, last_four, mode } = await keyColumns(secret_key, id)
  const made = await tenantQuery<{ id: string }>(
    `insert into stripe_exports (tenant_id, id, secret, last_four, mode) values ($1, $2, $3, $4, $5)
     on conflict (tenant_id) where status in ('checking', 'connected', 'refused') do nothing returning id`,
    [tenantId, id, secret, last_four, mode],
  )
  if (made.length === 0)
    throw new AppError('conflict', 'An account is connected already. Replace its key, or disconnect it first.')
  await wakeWorker()
  return getStripeExport(id)
}

/** Replaces the key, which is tried again, or holds everything back. @throws AppError not_found, conflict. */
export async function updateStripeExport(id: string, patch: StripeExportPatch): Promise<StripeExport> {
  const before = await requireOpenExport(id)
  const { tenantId } = currentContext()
  if (patch.secret_key !== undefined) {
    const { secret, last_four, mode } = await keyColumns(patch.secret_key, id)
    if (mode !== before.mode)
      throw invalidInput('/secret_key', `must be of ${before.mode} mode, as the connection is: disconnect it first`)
    await tenantQuery(
      `update stripe_exports set secret = $3, last_four = $4, mode = $5, status = 'checking', last_error = null, paused_until = null,
         updated_at = now() where tenant_id = $1 and id = $2`,
      [tenantId, id, secret, last_four, mode],
    )
  }
  if (patch.enabled !== undefined)
    await tenantQuery('update stripe_exports set enabled = $3, updated_at = now() where tenant_id = $1 and id = $2', [
      tenantId,
      id,
      patch.enabled,
    ])
  await makeDue(id)
  return getStripeExport(id)
}

/** Ends the connection: the key is forgotten, what was not sent never will be. @throws AppError not_found, conflict. */
export async function disconnectStripe(id: string): Promise<StripeExport> {
  await requireOpenExport(id)
  const values = [currentContext().tenantId, id]
  await tenantQuery(
    `update stripe_exports set status = 'disconnected', secret = null, disconnected_at = now(), updated_at = now(), cut_asked = false
     where tenant_id = $1 and id = $2`,
    values,
  )
  await tenantQuery(
    `update stripe_deliveries set status = 'skipped', last_error = case when uncertain_since is null
       then 'The account was disconnected before this was sent.'
       else 'The account was disconnected before Stripe answered: look for the identifier there.' end
     where tenant_id = $1 and stripe_export_id = $2 and status in ('pending', 'failed')`,
    values,
  )
  await tenantQuery('delete from stripe_meters where tenant_id = $1 and stripe_export_id = $2', values)
  return getStripeExport(id)
}

/** Pushes what has come in since the last cut now, instead of after the hour. @throws AppError not_found, conflict. */
export async function askForPush(id: string): Promise<StripeExport> {
  const { status, enabled } = await requireOpenExport(id)
  if (status === 'refused') throw new AppError('conflict', 'Stripe refuses the key. Replace it first.')
  if (!enabled) throw new AppError('conflict', 'Pushing is held back. Resume it first.')
  await tenantQuery('update stripe_exports set cut_asked = true where tenant_id = $1 and id = $2', [
    currentContext().tenantId,
    id,
  ])
  await makeDue(id)
  return getStripeExport(id)
}

/** Has the worker look at a connection at once. */
export async function makeDue(id: string): Promise<void> {
  await tenantQuery('update stripe_exports set due_at = now() where tenant_id = $1 and id = $2', [
    currentContext().tenantId,
    id,
  ])
  await wakeWorker()
}
