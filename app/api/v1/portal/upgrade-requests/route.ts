import { setSubscription } from '@/features/customers/services/subscription-service'
import { upgradeRequestInput } from '@/features/upgrade-requests/schema'
import {
  isSelfService,
  requestUpgrade,
  requireOffer,
} from '@/features/upgrade-requests/services/upgrade-request-service'
import { readIdempotencyKey, runOnce } from '@/libs/api-utils/idempotency'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'
import { readOnlyTenant } from '@/libs/errors'
import { runInTenant } from '@/libs/tenancy/tenant-context'

// The transaction is opened here and not by the wrapper, because the tier that is asked for decides with which permissions.
export const POST = withTenantAuth(
  async (request, { tenant, actor, customerId }) => {
    if (tenant.status === 'read_only') throw readOnlyTenant()
    const key = readIdempotencyKey(request)
    const { tier, note } = await readJson(request.clone(), upgradeRequestInput)
    // Where the tenant lets customers take a tier: for that, and as nobody but the customer itself, it may change its subscription.
    const takes = customerId !== null && (await runInTenant(tenant, actor, () => isSelfService(tier)))
    const asker = takes ? { ...actor, permissions: [...actor.permissions, 'customers:write'] } : actor
    const ask = async () => {
      const offer = await requireOffer(tier)
      if (offer.had_by) return ApiResponse.created(offer.had_by)
      if (!takes || !offer.self_service) return ApiResponse.created(await requestUpgrade(offer.id, { note }, 'open'))
      await setSubscription(customerId, { tier: offer.id })
      return ApiResponse.created(await requestUpgrade(offer.id, { note }, 'accepted'))
    }
    return runInTenant(tenant, asker, () => (key ? runOnce(request, key, ask) : ask()))
  },
  { permission: 'portal:write', transaction: 'none' },
)
