import { getStanding } from '@/features/tenants/services/own-tenant-service'
import { ApiResponse } from '@/libs/api-utils/api-response'
import { withUserAuth } from '@/libs/api-utils/user-api-wrapper'

/** A session of a portal knows of that tenant alone. */
export const GET = withUserAuth(
  async (_request, { user, portalOf }) => {
    const { operator, tenants } = await getStanding(user.id)
    if (portalOf === null) return ApiResponse.success({ user, operator, tenants })
    return ApiResponse.success({ user, operator: null, tenants: tenants.filter(({ id }) => id === portalOf) })
  },
  { onPortals: true },
)
