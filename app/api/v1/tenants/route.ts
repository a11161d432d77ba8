import { operatorTenantQuery, ownerInput } from '@/features/operator/schema'
import { listTenants } from '@/features/operator/services/operator-tenant-service'
import { createTenant } from '@/features/operator/services/tenant-lifecycle-service'
import { ownTenantListQuery, readWishes, tenantInput } from '@/features/tenants/schema'
import { listOwnTenants } from '@/features/tenants/services/own-tenant-service'
import { createOwnTenant } from '@/features/tenants/services/tenant-registration-service'
import { ApiResponse } from '@/libs/api-utils/api-response'
import { readIdempotencyKey } from '@/libs/api-utils/idempotency'
import { parseInput, readJson, readQuery } from '@/libs/api-utils/read-json'
import { withUserAuth } from '@/libs/api-utils/user-api-wrapper'
import { findOperatorRole } from '@/libs/auth/standing'
import { runAsOperator } from '@/libs/db/operator-db'

/** Operators see every tenant, everybody else their own. */
export const GET = withUserAuth(async (request, { user, actor }) => {
  const { data, next_cursor } = (await findOperatorRole(user.id))
    ? await runAsOperator(actor, () => listTenants(readQuery(request, operatorTenantQuery)))
    : await listOwnTenants(user.id, readQuery(request, ownTenantListQuery))
  return ApiResponse.page(data, next_cursor)
})

function answerCreated({ tenant, repeated }: { tenant: { id: string }; repeated: boolean }): Response {
  const response = ApiResponse.created(tenant, `/api/v1/tenants/${tenant.id}`)
  if (repeated) response.headers.set('idempotent-replayed', 'true')
  return response
}

export const POST = withUserAuth(async (request, { user, actor }) => {
  const key = readIdempotencyKey(request)
  if (!(await findOperatorRole(user.id))) {
    return answerCreated(await createOwnTenant(await readJson(request, tenantInput), user, actor, key))
  }
  const input = await readJson(request, tenantInput.safeExtend(ownerInput.shape))
  const { owner_user_id, owner_email, ...rest } = input
  parseInput(ownerInput, { owner_user_id, owner_email })
  const owner = owner_user_id && owner_email ? { id: owner_user_id, email: owner_email } : null
  return answerCreated(
    await runAsOperator(actor, () =>
      createTenant(
        {
          ...rest,
          slug: rest.slug ?? rest.subdomain,
          plan: rest.plan ?? rest.billing_plan,
          metadata: readWishes(rest),
        },
        owner,
        actor,
        key,
      ),
    ),
  )
})
