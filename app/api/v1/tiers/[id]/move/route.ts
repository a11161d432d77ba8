import { tierMove } from '@/features/tiers/schema'
import { moveSubscriptions } from '@/features/tiers/services/tier-move-service'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const POST = withTenantAuth(
  async (request, { params }) =>
    ApiResponse.success(
      await moveSubscriptions(params.id ?? '', await readJson(request, tierMove, { optional: true })),
    ),
  { permission: 'tiers:write' },
)
