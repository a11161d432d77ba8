import { sql } from 'kysely'
import { registryDb, tenantQuery } from '@/libs/db/tenant-db'
import { AppError, notFound } from '@/libs/errors'
import { currentContext } from '@/libs/tenancy/tenant-context'
import type { TenantStatus } from '@/libs/tenancy/tenant-status'
import type { TenantChange } from '../schema'

/** How long a deleted tenant can be brought back. */
const RESTORE_DAYS = 30

const COLUMNS = [
  'id',
  'slug',
  'name',
  'description',
  'status',
  'plan_id',
  'time_zone',
  'billing_email',
  'metadata',
  'created_at',
  'updated_at',
  'activated_at',
] as const

/** A tenant as its own people see it. */
export type TenantRow = {
  id: string
  slug: string
  name: string
  description: string
  status: TenantStatus
  plan_id: string
  time_zone: string
  billing_email: string | null
  metadata: unknown
  created_at: Date
  updated_at: Date
  activated_at: Date | null
}

/** The current tenant. @throws AppError not_found. */
export async function getTenant(): Promise<TenantRow> {
  const row = await registryDb()
    .selectFrom('tenants')
    .select(COLUMNS)
    .where('id', '=', currentContext().tenantId)
    .executeTakeFirst()
  if (!row) throw notFound()
  return row
}

/** Changes what its own people may change of the current tenant. @throws AppError not_found. */
export async function updateTenant(change: TenantChange): Promise<TenantRow> {
  const { metadata, ...plain } = change
  const row = await registryDb()
    .updateTable('tenants')
    .set({ ...plain, ...(metadata ? { metadata: JSON.stringify(metadata) } : {}), updated_at: sql<Date>`now()` })
    .where('id', '=', currentContext().tenantId)
    .returning(COLUMNS)
    .executeTakeFirst()
  if (!row) throw notFound()
  return row
}

/**
 * Deletes the current tenant softly: it answers nobody from now on, and an operator can restore it for 30 days.
 * @throws AppError forbidden for anybody but an owner.
 */
export async function deleteTenant(role: string): Promise<TenantRow & { purge_after: Date | null }> {
  if (role !== 'owner') throw new AppError('forbidden', 'Only an owner can delete a tenant.')
  await tenantQuery('select app.delete_own_tenant($1)', [RESTORE_DAYS])
  const row = await registryDb()
    .selectFrom('tenants')
    .select([...COLUMNS, 'purge_after'])
    .where('id', '=', currentContext().tenantId)
    .executeTakeFirst()
  if (!row) throw notFound()
  return row
}

type InfoRow = {
  id: string
  slug: string
  name: string
  status: TenantStatus
  time_zone: string
  plan: { id: string; name: string; limits: Record<string, number | null>; features: Record<string, boolean> }
  branding: { display_name: string; primary_color: string; accent_color: string; support_url: string | null }
}

/** The current tenant in short, with its plan and brand: what every member and customer may know. */
export async function getTenantInfo(): Promise<InfoRow> {
  const [row] = await tenantQuery<InfoRow>(
    `select t.id, t.slug, t.name, t.status, t.time_zone,
       jsonb_build_object('id', p.id, 'name', p.name, 'limits', p.limits, 'features', p.features) as plan,
       (select to_jsonb(b) from app.portal_branding(t.id) b) as branding
     from tenants t join plans p on p.id = t.plan_id where t.id = $1`,
    [currentContext().tenantId],
  )
  if (!row) throw notFound()
  return row
}
