import { setSubscription } from '@/features/customers/services/subscription-service'
import { upgradeRequestInput } from '@/features/upgrade-requests/schema'
import { chooseTier, findChooser } from '@/features/upgrade-requests/services/tier-choice-service'
import { readIdempotencyKey, runOnce } from '@/libs/api-utils/idempotency'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'
import { readOnlyTenant } from '@/libs/errors'
import { runInTenant } from '@/libs/tenancy/tenant-context'

// The transaction is opened here and not by the wrapper, because the tier that is asked for decides with which permissions.
export const POST = withTenantAuth(
  async (request, { tenant, actor }) => {
    if (tenant.status === 'read_only') throw readOnlyTenant()
    const key = readIdempotencyKey(request)
    const input = await readJson(request.clone(), upgradeRequestInput)
    const chooser = await runInTenant(tenant, actor, () => findChooser(input.tier))
    const choose = async () =>
      ApiResponse.created(await chooseTier(input, (customer, tier) => setSubscription(customer, { tier })))
    return runInTenant(tenant, chooser, () => (key ? runOnce(request, key, choose) : choose()))
  },
  { permission: 'portal:write', transaction: 'none' },
)
