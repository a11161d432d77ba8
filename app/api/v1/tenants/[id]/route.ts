import { planChange } from '@/features/operator/schema'
import * as tenants from '@/features/operator/services/operator-tenant-service'
import * as lifecycle from '@/features/operator/services/tenant-lifecycle-service'
import { tenantChange } from '@/features/tenants/schema'
import { deleteTenant, getTenant, updateTenant } from '@/features/tenants/services/tenant-service'
import { forStaffOrTenant } from '@/libs/api-utils/addressed-tenant'
import { withOperatorAuth } from '@/libs/api-utils/operator-api-wrapper'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = forStaffOrTenant(
  withOperatorAuth(async (_request, { params }) => ApiResponse.success(await tenants.getTenant(params.id ?? ''))),
  withTenantAuth(async () => ApiResponse.success(await getTenant()), { permission: 'tenants:read' }),
)

export const PATCH = forStaffOrTenant(
  withOperatorAuth(async (request, { params }) => {
    const change = await readJson(request, tenantChange.safeExtend(planChange))
    return ApiResponse.success(await lifecycle.changeTenant(params.id ?? '', change))
  }),
  withTenantAuth(async (request) => ApiResponse.success(await updateTenant(await readJson(request, tenantChange))), {
    permission: 'tenants:write',
  }),
)

/** Changes what is sent and leaves the rest, like PATCH: clients of older systems send parts with PUT. */
export const PUT = PATCH

export const DELETE = forStaffOrTenant(
  withOperatorAuth(async (_request, { params }) => ApiResponse.success(await lifecycle.deleteTenant(params.id ?? ''))),
  withTenantAuth(async (_request, { role }) => ApiResponse.success(await deleteTenant(role)), {
    permission: 'tenants:write',
  }),
)
