import { entitlementInput } from '@/features/entitlements/schema'
import { listEntitlements } from '@/features/entitlements/services/entitlement-service'
import { createEntitlement } from '@/features/entitlements/services/entitlement-write-service'
import { findFeature } from '@/features/features/services/feature-service'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (_request, { params }) => ApiResponse.success(await listEntitlements(params.id ?? '')),
  { permission: 'customers:read' },
)

export const POST = withTenantAuth(
  async (request, { params }) => {
    const input = await readJson(request, entitlementInput)
    const { kind, meter, feature_key } = input
    // A feature that is listed brings the meter that counts it.
    const listed = kind === 'metered' && meter === undefined && feature_key ? await findFeature(feature_key) : null
    const found = listed?.meter ? { ...input, meter: listed.meter.id } : input
    return ApiResponse.created(await createEntitlement(params.id ?? '', found))
  },
  { permission: 'customers:write' },
)
