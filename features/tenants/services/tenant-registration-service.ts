import { TenantAnalytics } from '@/libs/analytics/tenant-analytics'
import { type MemberRole, ROLE_PERMISSIONS } from '@/libs/auth/permissions'
import { tenantQuery } from '@/libs/db/tenant-db'
import { env } from '@/libs/env'
import { AppError } from '@/libs/errors'
import { newId } from '@/libs/ids'
import { type RegistryQuery, type Repeatable, registerTenant, requirePlan } from '@/libs/tenancy/register-tenant'
import type { TenantRouting } from '@/libs/tenancy/resolve-tenant'
import { type Actor, runInNewTenant } from '@/libs/tenancy/tenant-context'
import { readWishes, type TenantInput } from '../schema'
import { getTenant, type TenantRow } from './tenant-service'

/** Plans a user can take without the platform's staff. */
const SELF_SERVICE_PLANS = ['free', 'basic']

/**
 * A signed-in user makes a tenant and becomes its owner; it is pending until its first steps are done.
 * @throws AppError as registerTenant; forbidden for a plan that only operators give; conflict when what an Idempotency-Key
 * made is deleted by now, or not the user's any more.
 */
export function createOwnTenant(
  input: TenantInput,
  user: { id: string; email: string },
  actor: Actor,
  repeatable: Repeatable | null,
): Promise<{ tenant: TenantRow; repeated: boolean }> {
  return runInNewTenant(
    async (client) => {
      const query: RegistryQuery = async (text, values) => (await client.query(text, values)).rows
      const plan = await requireOwnPlan(query, input)
      const { id, repeated } = await registerTenant(
        query,
        {
          name: input.name,
          slug: input.slug ?? input.subdomain,
          slug_field: input.slug === undefined ? 'subdomain' : 'slug',
          description: input.description,
          plan,
          time_zone: input.time_zone,
          metadata: readWishes(input),
        },
        { actor, owner: user, maxTenants: env().MAX_TENANTS_PER_USER, repeatable },
      )
      return { ...(await findOwn(query, id, user.id, actor)), repeated }
    },
    async ({ routing, repeated }) => {
      if (!repeated) await furnish(input, user.id, routing.plan_id)
      return { tenant: await getTenant(), repeated }
    },
  )
}

/** @throws AppError invalid_input when there is no such plan, forbidden for one that only operators give. */
async function requireOwnPlan(query: RegistryQuery, { plan, billing_plan }: TenantInput): Promise<string> {
  const id = await requirePlan(query, plan ?? billing_plan ?? 'free', plan === undefined ? 'billing_plan' : 'plan')
  if (SELF_SERVICE_PLANS.includes(id)) return id
  throw new AppError(
    'forbidden',
    `You can start on ${SELF_SERVICE_PLANS.join(' or ')}; other plans are given by an operator.`,
  )
}

/** A tenant as this transaction sees it, and the user as who they are in it. */
async function findOwn(query: RegistryQuery, id: string, userId: string, actor: Actor) {
  const [routing] = await query<TenantRouting>(
    'select id, slug, name, status, plan_id, time_zone, epoch, database_id from app.route_tenant($1, null, null)',
    [id],
  )
  const [access] = await query<{ role: MemberRole | null }>('select role from app.find_access($1, $2)', [id, userId])
  if (!routing || !access?.role)
    throw new AppError('conflict', 'What this Idempotency-Key made is deleted, or not yours any more.')
  return { routing, actor: { ...actor, permissions: ROLE_PERMISSIONS[access.role] } }
}

/** What a new tenant has besides its entry in the registry. */
async function furnish({ domain, billing_email }: TenantInput, userId: string, plan: string): Promise<void> {
  if (domain) await tenantQuery('insert into domains (id, hostname) values ($1, $2)', [newId(), domain])
  if (billing_email)
    await tenantQuery('update tenants set billing_email = $1 where id = (select app.tenant_id())', [billing_email])
  await TenantAnalytics.trackEvent(userId, 'tenant_created', { plan })
}
