import { TenantAnalytics } from '@/libs/analytics/tenant-analytics'
import { ROLE_PERMISSIONS } from '@/libs/auth/permissions'
import { serverPool } from '@/libs/db/pools'
import { tenantQuery } from '@/libs/db/tenant-db'
import { env } from '@/libs/env'
import { AppError, notFound } from '@/libs/errors'
import { newId } from '@/libs/ids'
import { type RegistryQuery, registerTenant, requirePlan } from '@/libs/tenancy/register-tenant'
import { type Actor, runInTenant } from '@/libs/tenancy/tenant-context'
import { readWishes, type TenantInput } from '../schema'
import { getTenant, type TenantRow } from './tenant-service'

/** Plans a user can take without the platform's staff. */
const SELF_SERVICE_PLANS = ['free', 'basic']

const onServer: RegistryQuery = async (text, values) => (await serverPool().query(text, values)).rows

/**
 * A signed-in user makes a tenant and becomes its owner; it is pending until its first steps are done.
 * @throws AppError as registerTenant; forbidden for a plan that only operators give.
 */
export async function createOwnTenant(
  input: TenantInput,
  user: { id: string; email: string },
  actor: Actor,
  idempotencyKey: string | null,
): Promise<{ tenant: TenantRow; repeated: boolean }> {
  const plan = await requirePlan(
    onServer,
    input.plan ?? input.billing_plan ?? 'free',
    input.plan === undefined ? 'billing_plan' : 'plan',
  )
  if (!SELF_SERVICE_PLANS.includes(plan))
    throw new AppError(
      'forbidden',
      `You can start on ${SELF_SERVICE_PLANS.join(' or ')}; other plans are given by an operator.`,
    )
  const { id, slug, repeated } = await registerTenant(
    onServer,
    {
      name: input.name,
      slug: input.slug ?? input.subdomain,
      slug_field: input.slug === undefined ? 'subdomain' : 'slug',
      description: input.description,
      plan,
      time_zone: input.time_zone,
      metadata: readWishes(input),
    },
    { actor, owner: user, maxTenants: env().MAX_TENANTS_PER_USER, idempotencyKey },
  )
  const owner: Actor = { ...actor, permissions: ROLE_PERMISSIONS.owner }
  const { rows } = await serverPool().query<{ epoch: number; database_id: string }>(
    'select epoch, database_id from app.route_tenant($1, null, null)',
    [id],
  )
  const place = rows[0]
  if (!place) throw notFound()
  const routing = { id, slug, name: input.name, status: 'pending' as const, plan_id: plan, time_zone: 'UTC', ...place }
  return runInTenant(routing, owner, async () => {
    if (input.domain)
      await tenantQuery(
        'insert into domains (id, hostname) values ($1, $2) on conflict (tenant_id, hostname) do nothing',
        [newId(), input.domain],
      )
    if (input.billing_email && !repeated)
      await tenantQuery('update tenants set billing_email = $1 where id = (select app.tenant_id())', [
        input.billing_email,
      ])
    if (!repeated) await TenantAnalytics.trackEvent(user.id, 'tenant_created', { plan })
    return { tenant: await getTenant(), repeated }
  })
}
