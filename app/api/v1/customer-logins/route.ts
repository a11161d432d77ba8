import { customerLoginInput, customerLoginListQuery } from '@/features/customer-logins/schema'
import { inviteCustomerLogin, listCustomerLogins } from '@/features/customer-logins/services/customer-login-service'
import { readJson, readQuery } from '@/libs/api-utils/read-json'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const GET = withTenantAuth(
  async (request) => ApiResponse.page(await listCustomerLogins(readQuery(request, customerLoginListQuery))),
  { permission: 'customers:read' },
)

export const POST = withTenantAuth(
  async (request, { tenant }) =>
    ApiResponse.created(await inviteCustomerLogin(await readJson(request, customerLoginInput), tenant)),
  { permission: 'customers:write' },
)
