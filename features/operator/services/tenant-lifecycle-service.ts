import { operatorQuery } from '@/libs/db/operator-db'
import { AppError, invalidInput } from '@/libs/errors'
import { newId } from '@/libs/ids'
import {
  type NewTenant,
  type RegistryQuery,
  type Repeatable,
  registerTenant,
  requirePlan,
} from '@/libs/tenancy/register-tenant'
import type { Actor } from '@/libs/tenancy/tenant-context'
import type { TenantStatus } from '@/libs/tenancy/tenant-status'
import { getTenant, type OperatorTenant } from './operator-tenant-service'

/** How long a deleted tenant can be brought back. */
const RESTORE_DAYS = 30

const asOperator: RegistryQuery = (text, values) => operatorQuery(text, values)

/**
 * Makes a tenant on any plan, for an owner or for nobody yet.
 * @throws AppError as registerTenant; forbidden for support.
 */
export async function createTenant(
  input: Omit<NewTenant, 'plan'> & {
    plan?: string | undefined
    /** Another name for plan. */
    billing_plan?: string | undefined
    billing_email?: string | undefined
    domain?: string | undefined
  },
  owner: { id: string; email: string } | null,
  actor: Actor,
  repeatable: Repeatable | null,
): Promise<{ tenant: OperatorTenant; repeated: boolean }> {
  const plan = await requirePlan(
    asOperator,
    input.plan ?? input.billing_plan ?? 'free',
    input.plan === undefined ? 'billing_plan' : 'plan',
  )
  const { id, repeated } = await registerTenant(
    asOperator,
    { ...input, plan },
    { actor: { ...actor, kind: 'operator' }, owner, maxTenants: null, repeatable },
  )
  if (!repeated) {
    if (input.domain)
      await operatorQuery('insert into domains (tenant_id, id, hostname) values ($1, $2, $3)', [
        id,
        newId(),
        input.domain,
      ])
    if (input.billing_email)
      await operatorQuery('update tenants set billing_email = $2 where id = $1', [id, input.billing_email])
  }
  return { tenant: await getTenant(id), repeated }
}

/** What an operator may change of a tenant besides its state. */
export type OperatorChange = {
  name?: string | undefined
  description?: string | undefined
  time_zone?: string | undefined
  billing_email?: string | null | undefined
  metadata?: Record<string, unknown> | undefined
  plan?: string | undefined
  /** Another name for plan. */
  billing_plan?: string | undefined
}

/** Changes a tenant. @throws AppError not_found, forbidden for support, conflict for a deleted tenant. */
export async function changeTenant(name: string, change: OperatorChange): Promise<OperatorTenant> {
  const { id, status } = await getTenant(name)
  if (status === 'deleted') throw new AppError('conflict', 'This tenant is deleted; restore it first.')
  const { plan, billing_plan, metadata, ...plain } = change
  if (plan && billing_plan && plan !== billing_plan)
    throw invalidInput('/billing_plan', 'is another name for plan; send one')
  const values: Record<string, unknown> = { ...plain }
  if (metadata) values.metadata = JSON.stringify(metadata)
  const wanted = plan ?? billing_plan
  if (wanted) values.plan_id = await requirePlan(asOperator, wanted, plan ? 'plan' : 'billing_plan')
  const columns = Object.keys(values).filter((column) => values[column] !== undefined)
  const assignments = columns.map((column, index) => `${column} = $${index + 2}`)
  await operatorQuery(`update tenants set ${[...assignments, 'updated_at = now()'].join(', ')} where id = $1`, [
    id,
    ...columns.map((column) => values[column]),
  ])
  return getTenant(id)
}

/**
 * The one step of a tenant's life: from one of `from` to another state. Who is there already stays there, so that a
 * repeat is a success.
 */
async function move(
  name: string,
  target: TenantStatus,
  from: readonly TenantStatus[],
  assignments: string,
  values: unknown[] = [],
): Promise<OperatorTenant> {
  const present = await getTenant(name)
  const [moved] = await operatorQuery<{ id: string }>(
    `update tenants set ${assignments}, updated_at = now() where id = $1 and status = any ($2::tenant_status[]) returning id`,
    [present.id, from, ...values],
  )
  if (moved) return getTenant(present.id)
  const now = await getTenant(present.id)
  if (now.status === target) return now
  throw new AppError('conflict', `A tenant that is ${now.status} cannot become ${target}.`, {
    extra: { tenant_status: now.status },
  })
}

/** Opens a tenant, or opens it again after a suspension. @throws AppError conflict for a deleted one. */
export function activateTenant(name: string): Promise<OperatorTenant> {
  return move(
    name,
    'active',
    ['pending', 'past_due', 'read_only', 'suspended'],
    `status = 'active', activated_at = coalesce(activated_at, now()), suspended_reason = null,
     last_suspended_at = coalesce(suspended_at, last_suspended_at), suspended_at = null`,
  )
}

/** Closes a tenant at once: portal, sessions, keys; with a reason where one is given. @throws AppError conflict for a deleted one. */
export function suspendTenant(name: string, reason?: string): Promise<OperatorTenant> {
  return move(
    name,
    'suspended',
    ['pending', 'active', 'past_due', 'read_only'],
    `status = 'suspended', suspended_at = now(), suspended_reason = $3`,
    [reason ?? null],
  )
}

/** Deletes a tenant softly: it can be restored for 30 days. */
export function deleteTenant(name: string): Promise<OperatorTenant> {
  return move(
    name,
    'deleted',
    ['pending', 'active', 'past_due', 'read_only', 'suspended'],
    `status = 'deleted', deleted_from = status, deleted_at = now(), purge_after = now() + make_interval(days => $3)`,
    [RESTORE_DAYS],
  )
}

/**
 * Brings a deleted tenant back to the state it was deleted in.
 * @throws AppError conflict when its time has run out.
 */
export async function restoreTenant(name: string): Promise<OperatorTenant> {
  const present = await getTenant(name)
  if (present.status !== 'deleted') return present
  if (present.purge_after && present.purge_after.getTime() <= Date.now())
    throw new AppError('conflict', 'The time in which this tenant could be restored is over.')
  const [kept] = await operatorQuery<{ deleted_from: TenantStatus | null }>(
    'select deleted_from from tenants where id = $1',
    [present.id],
  )
  // One that was deleted before its state was kept has left traces.
  const before =
    kept?.deleted_from ?? (present.suspended_at ? 'suspended' : present.activated_at ? 'active' : 'pending')
  return move(
    name,
    before,
    ['deleted'],
    'status = $3::tenant_status, deleted_from = null, deleted_at = null, purge_after = null',
    [before],
  )
}
