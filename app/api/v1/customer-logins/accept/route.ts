import { acceptInput } from '@/features/customer-logins/schema'
import { acceptCustomerLogin } from '@/features/customer-logins/services/customer-login-service'
import { readJson } from '@/libs/api-utils/read-json'
import { ApiResponse } from '@/libs/api-utils/tenant-api-wrapper'
import { withUserAuth } from '@/libs/api-utils/user-api-wrapper'
import { chooseTenant, readTenantSources } from '@/libs/tenancy/tenant-sources'

/** Sent by the portal's /join page: the tenant is the one whose host it is, the user is not yet anything to it. */
export const POST = withUserAuth(
  async (request, { user, actor }) => {
    const { token } = await readJson(request, acceptInput)
    const tenant = await chooseTenant(readTenantSources(request, null))
    return ApiResponse.success(await acceptCustomerLogin(token, tenant, user, actor))
  },
  { onPortals: true },
)
