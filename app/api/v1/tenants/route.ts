import { operatorTenantQuery, ownerInput } from '@/features/operator/schema'
import { listTenants } from '@/features/operator/services/operator-tenant-service'
import { createTenant } from '@/features/operator/services/tenant-lifecycle-service'
import { ownTenantListQuery, readWishes, tenantInput } from '@/features/tenants/schema'
import { listOwnTenants } from '@/features/tenants/services/own-tenant-service'
import { createOwnTenant } from '@/features/tenants/services/tenant-registration-service'
import { forStaffOrUser } from '@/libs/api-utils/addressed-tenant'
import { ApiResponse } from '@/libs/api-utils/api-response'
import { readRepeatable } from '@/libs/api-utils/idempotency'
import { withOperatorAuth } from '@/libs/api-utils/operator-api-wrapper'
import { parseInput, readJson, readQuery } from '@/libs/api-utils/read-json'
import { repeatUndone } from '@/libs/api-utils/repeat-undone'
import { withUserAuth } from '@/libs/api-utils/user-api-wrapper'

/** Operators see every tenant, everybody else their own. */
export const GET = forStaffOrUser(
  withOperatorAuth(async (request) => ApiResponse.page(await listTenants(readQuery(request, operatorTenantQuery)))),
  withUserAuth(async (request, { user }) =>
    ApiResponse.page(await listOwnTenants(user.id, readQuery(request, ownTenantListQuery))),
  ),
)

function answerCreated({ tenant, repeated }: { tenant: { id: string }; repeated: boolean }): Response {
  const response = ApiResponse.created(tenant, `/api/v1/tenants/${tenant.id}`)
  if (repeated) response.headers.set('idempotent-replayed', 'true')
  return response
}

export const POST = forStaffOrUser(
  withOperatorAuth(async (request, { actor }) => {
    const repeatable = await readRepeatable(request)
    const { owner_user_id, owner_email, ...input } = await readJson(request, tenantInput.safeExtend(ownerInput.shape))
    parseInput(ownerInput, { owner_user_id, owner_email })
    const { slug, subdomain } = input
    const owner = owner_user_id && owner_email ? { id: owner_user_id, email: owner_email } : null
    const slug_field = slug === undefined ? ('subdomain' as const) : ('slug' as const)
    const wanted = { ...input, slug: slug ?? subdomain, slug_field, metadata: readWishes(input) }
    return answerCreated(await createTenant(wanted, owner, actor, repeatable))
  }),
  withUserAuth((request, { user, actor }) =>
    repeatUndone(request, async (mine) => {
      const repeatable = await readRepeatable(mine)
      return answerCreated(await createOwnTenant(await readJson(mine, tenantInput), user, actor, repeatable))
    }),
  ),
)
