import { removeCustomerLogin } from '@/features/customer-logins/services/customer-login-service'
import { ApiResponse, withTenantAuth } from '@/libs/api-utils/tenant-api-wrapper'

export const DELETE = withTenantAuth(
  async (_request, { params }) => {
    await removeCustomerLogin(params.id ?? '')
    return ApiResponse.noContent()
  },
  { permission: 'customers:write' },
)
