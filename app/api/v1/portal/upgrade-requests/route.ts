import { setSubscription } from '@/features/customers/services/subscription-service'
import { upgradeRequestInput } from '@/features/upgrade-requests/schema'
import { requestUpgrade, requireOffer } from '@/features/upgrade-requests/services/upgrade-request-service'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'
import { runInTenant } from '@/libs/tenancy/tenant-context'

export const POST = withTenantAuth(
  async (request, { tenant, actor, customerId }) => {
    const { tier, note } = await readJson(request, upgradeRequestInput)
    const offer = await runInTenant(tenant, actor, () => requireOffer(tier))
    if (!offer.self_service || !customerId) {
      return ApiResponse.created(await runInTenant(tenant, actor, () => requestUpgrade(offer.id, { note }, 'open')))
    }
    // The tenant lets customers take this tier: for that, and as nobody but the customer itself, it may change its subscription.
    const taker = { ...actor, permissions: [...actor.permissions, 'customers:write'] }
    const taken = await runInTenant(tenant, taker, async () => {
      const { id } = await requireOffer(offer.id)
      await setSubscription(customerId, { tier_id: id })
      return requestUpgrade(id, { note }, 'accepted')
    })
    return ApiResponse.created(taken)
  },
  { permission: 'portal:read', transaction: 'none' },
)
